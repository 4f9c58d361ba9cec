//! The table of kinds. To support another: a row, a watch of it, and the rights.

use crds::WorkloadKind;
use kube::core::{ApiResource, GroupVersionKind};
use serde::{Deserialize, Serialize};

/// A kind of workload. Its text is a stored format.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub(crate) enum Kind {
    /// `apps/v1` Deployment. Records of before kinds were written are about one.
    #[default]
    Deployment,
}

struct Row {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    reported: WorkloadKind,
}

impl Kind {
    const fn row(self) -> Row {
        match self {
            Self::Deployment => Row {
                group: "apps",
                version: "v1",
                kind: "Deployment",
                plural: "deployments",
                reported: WorkloadKind::Deployment,
            },
        }
    }

    /// Whether it is the one that a record without a kind is about.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// As in manifests.
    pub(crate) const fn as_str(self) -> &'static str {
        self.row().kind
    }

    /// As in manifests: `apps/v1`.
    pub(crate) fn api_version(self) -> String {
        let Row { group, version, .. } = self.row();
        format!("{group}/{version}")
    }

    /// Where the API server has it.
    pub(crate) fn resource(self) -> ApiResource {
        let Row { group, version, kind, plural, .. } = self.row();
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
    }

    /// As the status of an object says it.
    pub(crate) const fn reported(self) -> WorkloadKind {
        self.row().reported
    }

    /// As kubectl takes it, with a name behind.
    pub(crate) fn for_kubectl(self) -> String {
        self.as_str().to_lowercase()
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_text_of_a_kind_is_that_of_manifests() {
        assert_eq!(serde_json::to_value(Kind::Deployment).unwrap(), Kind::Deployment.as_str());
        assert_eq!(Kind::Deployment.resource().api_version, Kind::Deployment.api_version());
    }
}
