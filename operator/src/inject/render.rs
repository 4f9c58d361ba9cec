//! The partial object that brings the sidecar into a workload, and whether it is already there.
//!
//! It names our init container, our volumes, our annotations, pull secrets and nothing else: a pod-level field such as a
//! security context or a service account belongs to the user and must never appear here.

use super::{Ports, Record, Refusal, Target, annotation, is_named, list};
use crate::object::covers;
use crate::workload::Kind;
use aws_lc_rs::digest;
use crds::Reason;
use serde_json::{Value, json};
use std::fmt::Write;

/// Version of this renderer, on record with each workload. It goes up when pods of an older one have to be told apart.
const RENDERER: u32 = 1;

/// Name of the sidecar container.
pub(super) use crate::pod::NAME as CONTAINER;

/// The sidecar as it should be in a pod specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sidecar {
    /// An init container with `restartPolicy: Always`, as JSON without empty fields.
    pub(crate) container: Value,
    /// The volumes it mounts.
    pub(crate) volumes: Vec<Value>,
    /// Secrets needed to pull its image.
    pub(crate) image_pull_secrets: Vec<String>,
}

/// An intended state of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Injection {
    sidecar: Sidecar,
    record: Record,
    template_annotations: Value,
    identity: Value,
    /// Whether a readable record of an earlier injection says that the entries are ours already.
    recorded: bool,
    /// Who wrote the record that is there, if that was another operator.
    contested: Option<String>,
    /// Whether this is for another object than the sidecar that is there.
    moved: bool,
    /// Whether the same sidecar was asked for before, so that its absence is somebody else's doing.
    repaired: bool,
}

impl Injection {
    /// The body of a server-side apply. It names the uid, so that a workload made anew meanwhile is not taken for this one.
    pub(crate) fn body(&self) -> Value {
        let mut pod =
            json!({"initContainers": [self.sidecar.container], "volumes": self.sidecar.volumes});
        if let (Some(pod), false) = (pod.as_object_mut(), self.record.image_pull_secrets.is_empty())
        {
            let secrets =
                self.record.image_pull_secrets.iter().map(|name| json!({"name": name})).collect();
            pod.insert("imagePullSecrets".to_owned(), secrets);
        }
        let mut metadata = self.identity.clone();
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.insert(
                "annotations".to_owned(),
                json!({annotation::INJECTED: self.record.to_text()}),
            );
        }
        json!({
            "apiVersion": self.record.kind.api_version(),
            "kind": self.record.kind.as_str(),
            "metadata": metadata,
            "spec": {"template": {"metadata": {"annotations": self.template_annotations}, "spec": pod}},
        })
    }

    /// Whether the live workload is like this.
    pub(crate) fn is_in(&self, workload: &Value) -> bool {
        let mut body = self.body();
        // Names and uid are the workload's own.
        if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|key, _| key == "annotations");
        }
        covers(workload, &body)
    }

    /// The same with a companion Service that was made for it.
    pub(crate) fn with_companion(mut self, uid: Option<&str>) -> Self {
        self.record.companion = uid.map(str::to_owned);
        self
    }

    /// The ports of the sidecar.
    pub(crate) fn ports(&self) -> Ports {
        self.record.ports()
    }

    /// Name of the object that the sidecar belongs to.
    pub(crate) fn object(&self) -> &str {
        &self.record.object
    }

    /// Whether fields of our entries that somebody updated may be taken back: only what a record says is ours.
    pub(crate) fn may_repair(&self) -> bool {
        self.recorded
    }

    /// Whether this undoes somebody's change, as opposed to following a change of the object or of the operator.
    pub(crate) fn is_repair(&self) -> bool {
        self.repaired
    }

    /// The other operator that wrote what is there: two that look after one namespace would replace each other's pods for ever.
    pub(crate) fn contested(&self) -> Option<&str> {
        self.contested.as_deref()
    }

    /// Whether the workload belonged to another object before.
    pub(crate) fn is_move(&self) -> bool {
        self.moved
    }
}

/// What the workload should be like.
///
/// # Errors
/// `NameCollision`: a container or volume of our name is somebody else's.
pub(super) fn injection(
    workload: &Value,
    record: Option<&Record>,
    target: &Target<'_>,
    (ports, sidecar): (Ports, Sidecar),
) -> Result<Injection, Refusal> {
    let pod = workload.pointer("/spec/template/spec").unwrap_or(&Value::Null);
    let container = name(&sidecar.container);
    let volumes: Vec<String> = sidecar.volumes.iter().map(name).collect();
    let ours = super::own_container(workload, record) == Some(container.as_str());
    free(pod, &container, &volumes, (ours, record))?;
    let image_pull_secrets = pull_secrets(pod, record, &sidecar);
    let namespace = text(workload, "/metadata/namespace");
    let template_annotations = json!({
        annotation::INJECTED_BY: format!("{namespace}/{}", target.object),
        annotation::POD_SPEC_HASH: hash(&sidecar),
    });
    let record_now = Record {
        object: target.object.to_owned(),
        opt_in: target.opt_in.to_owned(),
        container,
        volumes,
        image_pull_secrets,
        template_annotations: [annotation::INJECTED_BY, annotation::POD_SPEC_HASH]
            .map(str::to_owned)
            .to_vec(),
        port: ports.proxy,
        admin_port: ports.admin,
        upstream_port: ports.upstream,
        kind: Kind::Deployment,
        traffic: Some(target.traffic),
        image: text_of(&sidecar.container, "image"),
        renderer: Some(RENDERER),
        writer: Some(target.writer.to_owned()),
        // One that is missing now is made anew, and known from then on.
        companion: target
            .companion
            .map(str::to_owned)
            .or_else(|| record.and_then(|record| record.companion.clone())),
    };
    Ok(Injection {
        contested: record
            .and_then(|record| record.writer.clone())
            .filter(|writer| writer != target.writer),
        moved: record.is_some_and(|record| record.object != target.object),
        repaired: record.is_some_and(|record| *record == record_now)
            && !hash_changed(workload, &template_annotations),
        recorded: record.is_some(),
        identity: json!({
            "name": text(workload, "/metadata/name"),
            "namespace": namespace,
            "uid": text(workload, "/metadata/uid"),
        }),
        sidecar,
        record: record_now,
        template_annotations,
    })
}

/// A template that carries another hash of ours follows an older rendering, which nobody else changed.
fn hash_changed(workload: &Value, wanted: &Value) -> bool {
    let live = workload
        .pointer("/spec/template/metadata/annotations")
        .and_then(|all| all.get(annotation::POD_SPEC_HASH));
    live.is_some() && live != wanted.get(annotation::POD_SPEC_HASH)
}

fn free(
    pod: &Value,
    container: &str,
    volumes: &[String],
    (ours, record): (bool, Option<&Record>),
) -> Result<(), Refusal> {
    let collision = |what: &str, name: &str| {
        Refusal::new(
            Reason::NameCollision,
            format!(
                "the pods have a {what} {name:?} of their own, and the proxy needs that name: rename yours"
            ),
        )
    };
    let taken = |list: &[Value]| list.iter().any(|entry| is_named(entry, container));
    if taken(list(pod, "/containers")) || (!ours && taken(list(pod, "/initContainers"))) {
        return Err(collision("container", container));
    }
    let recorded = |volume: &String| record.map_or(ours, |record| record.volumes.contains(volume));
    match volumes.iter().find(|name| {
        !recorded(name) && list(pod, "/volumes").iter().any(|entry| is_named(entry, name))
    }) {
        Some(volume) => Err(collision("volume", volume)),
        None => Ok(()),
    }
}

/// Those that the pods do not have by themselves.
fn pull_secrets(pod: &Value, record: Option<&Record>, sidecar: &Sidecar) -> Vec<String> {
    let recorded =
        |name: &String| record.is_some_and(|record| record.image_pull_secrets.contains(name));
    let there =
        |name: &String| list(pod, "/imagePullSecrets").iter().any(|entry| is_named(entry, name));
    sidecar
        .image_pull_secrets
        .iter()
        .filter(|name| recorded(name) || !there(name))
        .cloned()
        .collect()
}

/// Digest of all that the pod specification gets, in hexadecimal. The content of the configuration is no part of it:
/// pods take that up without being replaced.
fn hash(sidecar: &Sidecar) -> String {
    let all = json!([sidecar.container, sidecar.volumes, sidecar.image_pull_secrets]).to_string();
    digest::digest(&digest::SHA256, all.as_bytes()).as_ref().iter().take(16).fold(
        String::new(),
        |mut text, byte| {
            // Writing into a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        },
    )
}

fn text_of(value: &Value, field: &str) -> Option<String> {
    value.get(field).and_then(Value::as_str).map(str::to_owned)
}

fn name(value: &Value) -> String {
    text(value, "/name")
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}
