//! A workload by its name.

use super::Kind;
use k8s_openapi::api::core::v1::ObjectReference;
use serde_json::Value;
use std::fmt;

/// Which workload.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct WorkloadRef {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its name.
    pub(crate) name: String,
}

impl WorkloadRef {
    /// The Deployment of this name.
    #[cfg(test)]
    pub(crate) fn deployment(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), kind: Kind::Deployment, name: name.to_owned() }
    }

    /// A live workload of this kind.
    pub(crate) fn of(kind: Kind, workload: &Value) -> Self {
        let text = |field: &str| {
            let value = workload.pointer("/metadata").and_then(|metadata| metadata.get(field));
            value.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        Self { namespace: text("namespace"), kind, name: text("name") }
    }

    /// Whether it is the one that a stored kind and name are about.
    pub(crate) fn is(&self, kind: &str, name: &str) -> bool {
        self.kind.as_str() == kind && self.name == name
    }

    /// For events about it.
    pub(crate) fn object_reference(&self, uid: Option<String>) -> ObjectReference {
        ObjectReference {
            api_version: Some(self.kind.api_version()),
            kind: Some(self.kind.as_str().to_owned()),
            name: Some(self.name.clone()),
            namespace: Some(self.namespace.clone()),
            uid,
            ..ObjectReference::default()
        }
    }
}

/// For people who know the namespace.
impl fmt::Display for WorkloadRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}
