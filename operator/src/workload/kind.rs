//! The table of kinds. To support another: its row says so, and it gets a watch and the rights.

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
    /// `apps/v1` `StatefulSet`; gets no sidecar yet.
    StatefulSet,
    /// `apps/v1` `DaemonSet`; gets no sidecar yet.
    DaemonSet,
    /// `batch/v1` Job; gets no sidecar.
    Job,
    /// `batch/v1` `CronJob`; gets no sidecar.
    CronJob,
    /// `v1` Pod; gets no sidecar.
    Pod,
}

struct Row {
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    reported: WorkloadKind,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Deployment, Self::StatefulSet, Self::DaemonSet, Self::Job, Self::CronJob, Self::Pod];

    const fn row(self) -> Row {
        let (group, kind, plural, reported) = match self {
            Self::Deployment => ("apps", "Deployment", "deployments", WorkloadKind::Deployment),
            Self::StatefulSet => ("apps", "StatefulSet", "statefulsets", WorkloadKind::StatefulSet),
            Self::DaemonSet => ("apps", "DaemonSet", "daemonsets", WorkloadKind::DaemonSet),
            Self::Job => ("batch", "Job", "jobs", WorkloadKind::Job),
            Self::CronJob => ("batch", "CronJob", "cronjobs", WorkloadKind::CronJob),
            Self::Pod => ("", "Pod", "pods", WorkloadKind::Pod),
        };
        Row { group, kind, plural, reported }
    }

    /// Whether its pods can get a sidecar.
    pub(crate) const fn is_supported(self) -> bool {
        matches!(self, Self::Deployment)
    }

    /// The kind of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
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
        self.resource().api_version
    }

    /// Where the API server has it.
    pub(crate) fn resource(self) -> ApiResource {
        let Row { group, kind, plural, .. } = self.row();
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", kind), plural)
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
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(Kind::named(kind.as_str()), Some(kind));
            assert_eq!(format!("{:?}", kind.reported()), kind.as_str());
        }
        assert_eq!(Kind::Deployment.api_version(), "apps/v1");
        assert_eq!(Kind::Pod.api_version(), "v1");
    }
}
