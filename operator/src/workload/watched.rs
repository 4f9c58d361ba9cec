//! A workload as a watch keeps it: its metadata, and that of its pods, by whose labels Services find them. The rest is read
//! live by whoever needs it.

use super::{Kind, WorkloadRef};
use crds::OAuth2Proxy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt as _};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};

/// Annotation on the workload, written by the operator: how far it is, in one word. For people and `kubectl wait`; nothing is
/// concluded from it.
pub(crate) const STATUS: &str = "oauth2proxy.dev/status";

/// A Deployment, as far as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watched {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Spec {
    template: Template,
    /// Changes with all of it. The generation of a Deployment does not say that: it changes with every annotation too.
    #[serde(skip)]
    digest: u64,
}

impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: Deserializer<'de>>(spec: D) -> Result<Self, D::Error> {
        let spec = Value::deserialize(spec)?;
        let mut hasher = DefaultHasher::new();
        spec.hash(&mut hasher);
        let template = spec.get("template").map(Template::deserialize).transpose();
        let template = template.map_err(D::Error::custom)?.unwrap_or_default();
        Ok(Self { template, digest: hasher.finish() })
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Status {
    #[serde(default, rename = "conditions", deserialize_with = "failures")]
    failures: Vec<Condition>,
}

/// What is read of a condition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Condition {
    #[serde(rename = "type", default)]
    type_: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

/// The conditions that tell of a rollout that does not get on; the others change with every pod.
fn failures<'de, D: Deserializer<'de>>(conditions: D) -> Result<Vec<Condition>, D::Error> {
    let mut all = Option::<Vec<Condition>>::deserialize(conditions)?.unwrap_or_default();
    all.retain(|one| is_failure(&one.type_, &one.status, &one.reason));
    Ok(all)
}

/// Whether a condition of a workload tells of a rollout that does not get on.
pub(crate) fn is_failure(type_: &str, status: &str, reason: &str) -> bool {
    match (type_, status) {
        ("ReplicaFailure", "True") => true,
        ("Progressing", "False") => reason == "ProgressDeadlineExceeded",
        _ => false,
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Template {
    #[serde(default)]
    metadata: TemplateMetadata,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct TemplateMetadata {
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "ours")]
    annotations: BTreeMap<String, String>,
}

/// Those annotations that begin with our prefix: of thousands of templates the others are memory for nothing.
fn ours<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let all = Option::<BTreeMap<String, String>>::deserialize(from)?.unwrap_or_default();
    let prefix = OAuth2Proxy::group(&());
    let is_ours = |name: &str| name.split_once('/').is_some_and(|(first, _)| first == prefix);
    Ok(all.into_iter().filter(|(name, _)| is_ours(name)).collect())
}

impl Watched {
    /// Labels of its pods.
    pub(crate) fn pod_labels(&self) -> &BTreeMap<String, String> {
        &self.spec.template.metadata.labels
    }

    /// An annotation of its pods.
    pub(crate) fn pod_annotation(&self, name: &str) -> Option<&str> {
        self.spec.template.metadata.annotations.get(name).map(String::as_str)
    }

    /// A live one.
    pub(crate) fn of(workload: &Value) -> Self {
        Self::deserialize(workload).unwrap_or_default()
    }

    /// A number that changes with all that its own turns and those of its Services are derived from: a change of the rest of
    /// its status tells of pods that came, became ready or went, and of those alone.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let ObjectMeta { uid, deletion_timestamp, labels, annotations, .. } = &self.metadata;
        (uid, deletion_timestamp.is_some(), self.spec.digest).hash(&mut hasher);
        let group = OAuth2Proxy::group(&());
        let ours = |name: &str| {
            name != STATUS && name.split_once('/').is_some_and(|(prefix, _)| prefix == group)
        };
        for map in [labels, annotations] {
            let ours: Vec<_> = map.iter().flatten().filter(|(name, _)| ours(name)).collect();
            ours.hash(&mut hasher);
        }
        self.status.failures.hash(&mut hasher);
        hasher.finish()
    }

    /// Its name.
    pub(crate) fn reference(&self) -> WorkloadRef {
        WorkloadRef {
            namespace: self.namespace().unwrap_or_default(),
            kind: Kind::Deployment,
            name: self.name_any(),
        }
    }
}

impl Resource for Watched {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        Kind::Deployment.as_str().into()
    }

    fn group((): &()) -> Cow<'_, str> {
        Kind::Deployment.resource().group.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        Kind::Deployment.resource().version.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        Kind::Deployment.resource().plural.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn its_number_changes_with_what_turns_read_and_not_with_its_pods() {
        let deployment = json!({
            "metadata": {
                "name": "web", "namespace": "shop", "uid": "u", "generation": 2, "resourceVersion": "10",
                "annotations": {"oauth2proxy.dev/inject": "main", "example.com/note": "a", STATUS: "Injecting"},
            },
            "spec": {"replicas": 1, "template": {"metadata": {"labels": {"app": "web"}}}},
            "status": {"readyReplicas": 1, "conditions": [
                {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "message": "1 of 2"},
            ]},
        });
        let of = |path: &str, value: Value| {
            let mut changed = deployment.clone();
            *changed.pointer_mut(path).unwrap() = value;
            serde_json::from_value::<Watched>(changed).unwrap().fingerprint()
        };
        let same = of("/metadata/name", json!("web"));
        for (path, value) in [
            ("/metadata/resourceVersion", json!("11")),
            ("/metadata/generation", json!(3)),
            ("/metadata/annotations/example.com~1note", json!("b")),
            ("/metadata/annotations/oauth2proxy.dev~1status", json!("Routed")),
            ("/status/readyReplicas", json!(2)),
            ("/status/conditions/0/message", json!("2 of 2")),
            ("/status/conditions", json!(null)),
        ] {
            assert_eq!(of(path, value), same, "{path}");
        }
        for (path, value) in [
            ("/metadata/uid", json!("v")),
            ("/spec/replicas", json!(2)),
            ("/metadata/annotations/oauth2proxy.dev~1inject", json!("false")),
            (
                "/status/conditions/0",
                json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}),
            ),
        ] {
            assert_ne!(of(path, value), same, "{path}");
        }
    }
}
