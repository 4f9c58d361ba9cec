//! A Service as a watch keeps it: its metadata, and which pods it selects.

use crate::object::MANAGED_BY;
use crate::traffic::{
    Companion, ORIGINALS, ROUTED, TRAFFIC, WORKLOAD, selects_labels, workload_of,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};

/// A Service, as far as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watched {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Spec {
    #[serde(default)]
    selector: BTreeMap<String, String>,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    ports: Vec<Value>,
    #[serde(default, rename = "publishNotReadyAddresses")]
    publish_not_ready: bool,
    #[serde(default, rename = "clusterIP")]
    cluster_ip: Option<String>,
}

impl Watched {
    /// A live one.
    pub(super) fn of(service: &Value) -> Self {
        Self::deserialize(service).unwrap_or_default()
    }

    /// A number that changes with all that is decided on.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let Spec { selector, kind, ports: _, publish_not_ready, cluster_ip } = &self.spec;
        (selector, kind, publish_not_ready, cluster_ip).hash(&mut hasher);
        let ObjectMeta { uid, deletion_timestamp, .. } = &self.metadata;
        (uid, deletion_timestamp.is_some()).hash(&mut hasher);
        self.spec.ports.iter().for_each(|port| port.to_string().hash(&mut hasher));
        (self.labels().get(TRAFFIC), self.annotations().get(ORIGINALS)).hash(&mut hasher);
        hasher.finish()
    }

    /// The workload, by its uid, of which it remembers that nothing reached it without a login.
    pub(super) fn routed(&self) -> Option<&str> {
        self.annotations().get(ROUTED).map(String::as_str)
    }

    /// Whether it selects pods with these labels.
    pub(crate) fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        selects_labels(&self.spec.kind, &self.spec.selector, labels)
    }

    /// Whether it was turned, even if somebody took one of its two marks away.
    pub(crate) fn is_marked(&self) -> bool {
        !self.is_companion()
            && (self.labels().contains_key(TRAFFIC) || self.annotations().contains_key(ORIGINALS))
    }

    /// Name of the workload that it is on record for, or the companion of.
    pub(crate) fn workload(&self) -> Option<String> {
        let annotations = self.annotations();
        let recorded = || Some(workload_of(annotations.get(ORIGINALS)?)?.1);
        annotations.get(WORKLOAD).cloned().or_else(recorded)
    }

    /// Whether it is a companion, which is made for one workload and led by that workload's own turns.
    ///
    /// Whatever else says so is a Service like any other: it may lead past the proxy.
    pub(crate) fn is_companion(&self) -> bool {
        let named = |workload: &String| self.name_any() == Companion::name(workload);
        self.labels().get(MANAGED_BY.0).is_some_and(|value| value == MANAGED_BY.1)
            && self.annotations().get(WORKLOAD).is_some_and(named)
            && self.spec.ports.len() <= 1
    }
}

impl Resource for Watched {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Service".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "services".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
