//! The Service `<workload>-oauth2-proxy`: always there, always leading to the proxy by number, so that a pod without the
//! sidecar has nothing listening behind it.
//!
//! It also remembers that the workload is protected: a rollback restores all annotations of a workload as they were at the
//! older revision and so wipes opt-in and record alike, which is no wish to be unprotected.

use super::{TRAFFIC, name_of};
use crate::inject::{Ports, Refusal};
use crate::object::{MANAGED_BY, covers};
use crate::workload::Kind;

use aws_lc_rs::digest;
use crds::Reason;
use serde_json::{Map, Value, json};

/// Annotation of a companion: the name of its workload.
pub(crate) const WORKLOAD: &str = "oauth2proxy.dev/workload";
/// Annotation of a companion: the kind of its workload. Companions of before kinds were written are of Deployments.
const KIND: &str = "oauth2proxy.dev/workload-kind";
/// Annotation of a companion, set once the workload carries the sidecar: the text by which the workload opted in.
const OPT_IN: &str = "oauth2proxy.dev/opted-in";
/// Annotation of a companion, set once nothing reached the workload without a login: the uid of the workload.
pub(crate) const ROUTED: &str = "oauth2proxy.dev/routed";
/// Annotation of a companion: the number of the port that is protected.
const PROTECTED: &str = "oauth2proxy.dev/protected-port";
/// Port of the Service.
const PORT: u16 = 80;

/// The companion of one workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Companion {
    body: Value,
}

impl Companion {
    /// The Service for a live workload.
    pub(crate) fn of(workload: &Value, ports: Ports) -> Self {
        let namespace = workload.pointer("/metadata/namespace");
        let body = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": Self::name(name_of(workload)),
                "namespace": namespace,
                "labels": {"app.kubernetes.io/managed-by": MANAGED_BY.1, "app.kubernetes.io/component": "companion", TRAFFIC: "companion"},
                "annotations": {WORKLOAD: name_of(workload), KIND: Kind::Deployment.as_str(), PROTECTED: ports.upstream.to_string()},
                "ownerReferences": [{
                    "apiVersion": Kind::Deployment.api_version(),
                    "kind": Kind::Deployment.as_str(),
                    "name": name_of(workload),
                    "uid": workload.pointer("/metadata/uid"),
                }],
            },
            "spec": {
                "type": "ClusterIP",
                "selector": selector(workload),
                "ports": [{"name": "http", "port": PORT, "targetPort": ports.proxy, "protocol": "TCP"}],
            },
        });
        Self { body }
    }

    /// Remembers that the workload carries the sidecar.
    pub(crate) fn remember(mut self, opt_in: &str) -> Self {
        if let Some(annotations) =
            self.body.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut)
        {
            annotations.insert(OPT_IN.to_owned(), opt_in.into());
        }
        self
    }

    /// Remembers that nothing reaches the workload without a login. From then on whatever comes behind its Services is closed at
    /// once, and not only when its pods are ready for it.
    pub(crate) fn routed(mut self, workload: &Value) -> Self {
        let uid = workload.pointer("/metadata/uid").cloned().unwrap_or_default();
        if let Some(annotations) =
            self.body.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut)
        {
            annotations.insert(ROUTED.to_owned(), uid);
        }
        self
    }

    /// Whether a live companion remembers that nothing reached this very workload without a login.
    pub(crate) fn was_routed(live: &Value, workload: &Value) -> bool {
        let uid = live.pointer("/metadata/annotations").and_then(|all| all.get(ROUTED));
        uid.is_some()
            && uid == workload.pointer("/metadata/uid")
            && Self::is_for(live, name_of(workload))
    }

    /// The ports by which a live companion knows its workload, for when no record does: the proxy's and the protected one.
    pub(crate) fn ports(live: &Value) -> Option<Ports> {
        let proxy = live.pointer("/spec/ports/0/targetPort")?.as_u64()?.try_into().ok()?;
        let upstream = live.pointer("/metadata/annotations")?.get(PROTECTED)?.as_str()?;
        Some(Ports { proxy, admin: 0, upstream: upstream.parse().ok()? })
    }

    /// The patch after which a live companion has no port but ours: to apply it takes nobody else's away.
    pub(crate) fn bare(&self, live: &Value) -> Option<Value> {
        let ports = live.pointer("/spec/ports").and_then(Value::as_array);
        if ports.is_none_or(|ports| ports.len() <= 1) {
            return None;
        }
        Some(json!([
            {"op": "test", "path": "/metadata/resourceVersion", "value": live.pointer("/metadata/resourceVersion")},
            {"op": "replace", "path": "/spec/ports", "value": self.body.pointer("/spec/ports")},
        ]))
    }

    /// The name of the companion of a workload: a DNS label (RFC 1035) of at most 63 characters, with a digest in it where
    /// the workload's name does not fit.
    pub(crate) fn name(workload: &str) -> String {
        let plain = format!("{workload}-oauth2-proxy");
        let fits = plain.len() <= 63
            && plain.starts_with(|c: char| c.is_ascii_lowercase())
            && !plain.contains('.');
        if fits {
            return plain;
        }
        let digest = digest::digest(&digest::SHA256, workload.as_bytes());
        let start = digest.as_ref().first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        let head: String = workload.replace('.', "-").chars().take(38).collect();
        format!("w-{}-{start:08x}-oauth2-proxy", head.trim_end_matches('-'))
    }

    /// The body of a server-side apply.
    pub(crate) fn body(&self) -> &Value {
        &self.body
    }

    /// Whether the live Service is like this.
    pub(crate) fn is_in(&self, live: &Value) -> bool {
        let wanted = |map: &str| self.body.pointer(map).and_then(|map| map.get(OPT_IN)).is_some();
        let there = |map: &str| live.pointer(map).and_then(|map| map.get(OPT_IN)).is_some();
        covers(live, &self.body)
            && (wanted("/metadata/annotations") || !there("/metadata/annotations"))
    }

    /// Refuses a Service of this name that somebody else made.
    ///
    /// # Errors
    /// `NameCollision`.
    pub(crate) fn check_free(workload: &Value, live: Option<&Value>) -> Result<(), Refusal> {
        match live {
            Some(live) if !Self::is_for(live, name_of(workload)) => Err(Refusal::new(
                Reason::NameCollision,
                format!(
                    "Service {:?} was not made by this operator, and the companion Service of the workload needs that name: rename or delete it",
                    name_of(live)
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Whether a live Service is the companion of the workload of this name.
    pub(crate) fn is_for(live: &Value, workload: &str) -> bool {
        let entry = |map: &str, key: &str| {
            live.pointer(map).and_then(|map| map.get(key)).and_then(Value::as_str)
        };
        entry("/metadata/labels", "app.kubernetes.io/managed-by") == Some(MANAGED_BY.1)
            && entry("/metadata/annotations", WORKLOAD) == Some(workload)
    }

    /// The uid of the live companion of a workload.
    pub(crate) fn uid<'a>(live: &'a Value, workload: &Value) -> Option<&'a str> {
        let uid = live.pointer("/metadata/uid").and_then(Value::as_str)?;
        Self::is_for(live, name_of(workload)).then_some(uid)
    }

    /// The opt-in that a live companion remembers of this very workload; one made anew under the same name has another uid.
    pub(crate) fn remembered<'a>(live: &'a Value, workload: &Value) -> Option<&'a str> {
        let owners = live.pointer("/metadata/ownerReferences")?.as_array()?;
        let same = owners.iter().any(|owner| owner.get("uid") == workload.pointer("/metadata/uid"));
        Self::opt_in(live, workload).filter(|_| same)
    }

    /// The opt-in that a live companion remembers of a workload of this name.
    pub(crate) fn opt_in<'a>(live: &'a Value, workload: &Value) -> Option<&'a str> {
        let opt_in = live.pointer("/metadata/annotations")?.get(OPT_IN)?.as_str()?;
        Self::is_for(live, name_of(workload)).then_some(opt_in)
    }
}

/// The labels by which the workload selects its pods. A Service knows no expressions, so where the workload has them, the
/// values come from the pod template, which must satisfy them.
fn selector(workload: &Value) -> Map<String, Value> {
    let matched = workload.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let mut selector = matched.cloned().unwrap_or_default();
    let labels = workload.pointer("/spec/template/metadata/labels");
    let expressions = workload.pointer("/spec/selector/matchExpressions").and_then(Value::as_array);
    for key in
        expressions.into_iter().flatten().filter_map(|expression| expression.get("key")?.as_str())
    {
        if let Some(value) = labels.and_then(|labels| labels.get(key)) {
            selector.insert(key.to_owned(), value.clone());
        }
    }
    selector
}
