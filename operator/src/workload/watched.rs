//! A workload as a watch keeps it: its metadata, and that of its pods, by whose labels Services find them. The rest is read
//! live by whoever needs it.

use super::{Kind, WorkloadRef};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt as _};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A Deployment, as far as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watched {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Spec {
    #[serde(default)]
    template: Template,
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
    #[serde(default)]
    annotations: BTreeMap<String, String>,
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
