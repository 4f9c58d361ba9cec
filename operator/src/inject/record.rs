//! What was added to a workload, kept in an annotation of it: the only ground on which anything is ever removed.

use super::{Ports, annotation};
use crate::workload::Kind;
use crds::Traffic;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The content of the annotation `oauth2proxy.dev/injected`. A stored format: fields are added, never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    /// Name of the `OAuth2Proxy`, in the namespace of the workload.
    pub(crate) object: String,
    /// The text by which the workload asked for it, to put it back when a rollback wiped all annotations.
    pub(crate) opt_in: String,
    /// Name of the init container.
    pub(crate) container: String,
    /// Names of the volumes.
    pub(crate) volumes: Vec<String>,
    /// Names of the pull secrets that the pod specification did not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) image_pull_secrets: Vec<String>,
    /// Names of the annotations of the pod template.
    pub(crate) template_annotations: Vec<String>,
    /// The proxy's port.
    pub(crate) port: u16,
    /// The port of its probes and status.
    pub(crate) admin_port: u16,
    /// The protected port.
    pub(crate) upstream_port: u16,
    /// The kind of the workload; records of before kinds were written are about a Deployment.
    #[serde(default, skip_serializing_if = "Kind::is_default")]
    pub(crate) kind: Kind,
    /// What was wanted of its Services, to be defended when neither annotation nor object can be read any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) traffic: Option<Traffic>,
    /// The image of the sidecar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) image: Option<String>,
    /// Version of the renderer; absent: that of the first release, which wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) renderer: Option<u32>,
    /// Namespace and name of the lease of the operator that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) writer: Option<String>,
    /// The uid of the companion Service, which nobody can choose: what a companion of another uid says of the workload is not
    /// believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) companion: Option<String>,
}

/// What the record annotation of a workload says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// Nothing was added.
    No,
    /// This was added.
    Yes(Box<Record>),
    /// Something was, and somebody changed the annotation so that it cannot be read; the text says how.
    Unreadable(String),
}

impl Recorded {
    /// Reads the record of a live workload.
    pub(crate) fn read(workload: &Value) -> Self {
        match annotation::annotation(workload, annotation::INJECTED) {
            None => Self::No,
            Some(text) => match serde_json::from_str(text) {
                Ok(record) => Self::Yes(Box::new(record)),
                Err(error) => Self::Unreadable(error.to_string()),
            },
        }
    }

    /// The record, if there is a readable one.
    pub(crate) fn as_ref(&self) -> Option<&Record> {
        match self {
            Self::Yes(record) => Some(record),
            Self::No | Self::Unreadable(_) => None,
        }
    }
}

impl Record {
    /// The text of the annotation. Equal records give equal bytes.
    pub(crate) fn to_text(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// The ports that the sidecar was given.
    pub(crate) fn ports(&self) -> Ports {
        Ports { proxy: self.port, admin: self.admin_port, upstream: self.upstream_port }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TEXT: &str = r#"{"adminPort":44180,"container":"oauth2-proxy","imagePullSecrets":["pull"],"object":"main","optIn":"main","port":4180,"templateAnnotations":["oauth2proxy.dev/injected-by"],"upstreamPort":8080,"volumes":["oauth2-proxy"]}"#;

    #[test]
    fn the_stored_text_is_read_and_written_alike() {
        let workload = json!({"metadata": {"annotations": {annotation::INJECTED: TEXT}}});
        let Recorded::Yes(record) = Recorded::read(&workload) else { panic!("not read") };
        assert_eq!(record.to_text(), TEXT);
    }

    #[test]
    fn a_record_that_cannot_be_read_is_not_taken_for_none() {
        let workload = json!({"metadata": {"annotations": {annotation::INJECTED: "{}"}}});
        assert!(matches!(Recorded::read(&workload), Recorded::Unreadable(_)));
        assert_eq!(Recorded::read(&json!({"metadata": {}})), Recorded::No);
    }
}
