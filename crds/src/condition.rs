//! Names of conditions and their reasons: no loose strings anywhere else.

use std::fmt;

/// Types of conditions of an `OAuth2Proxy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    /// Sums up the others.
    Ready,
    /// The specification is valid, what it refers to is there, and the configuration is written.
    ConfigRendered,
    /// Pods of the proxy reach the identity provider.
    IssuerReachable,
    /// Every workload that asks for the object carries the sidecar and runs the present configuration.
    WorkloadsInjected,
    /// Requests to those workloads go through the proxy.
    TrafficRouted,
    /// Proxies that refresh the same sessions know of each other. It does not count for `Ready`.
    RefreshCoordinated,
}

impl ConditionType {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::Ready,
        Self::ConfigRendered,
        Self::IssuerReachable,
        Self::WorkloadsInjected,
        Self::TrafficRouted,
        Self::RefreshCoordinated,
    ];

    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::ConfigRendered => "ConfigRendered",
            Self::IssuerReachable => "IssuerReachable",
            Self::WorkloadsInjected => "WorkloadsInjected",
            Self::TrafficRouted => "TrafficRouted",
            Self::RefreshCoordinated => "RefreshCoordinated",
        }
    }
}

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Makes the enum, its names and the list of all, so that none can be forgotten.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// Reasons of conditions and events.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name,)+
        }

        impl Reason {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The name in the API.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }
        }
    };
}

reasons! {
    /// All is well.
    Ready,
    /// The configuration is written.
    Rendered,
    /// The specification contradicts itself or holds a bad value.
    InvalidSpec,
    /// A Secret or `ConfigMap` that the specification names does not exist.
    ReferenceMissing,
    /// A Secret or `ConfigMap` lacks the entry, or the entry is empty or of the wrong form.
    ReferenceInvalid,
    /// The cookie Secret has no key that can be used, or one that can not.
    KeyRingInvalid,
    /// The cookie Secret that the operator made is gone. It is not made anew.
    KeyRingLost,
    /// An object of a name that we need belongs to someone else.
    NameCollision,
    /// A field that we need is owned by another manager.
    FieldConflict,
    /// The API server did not answer, or not as it should; tried again.
    ApiFailure,
    /// The API server says no: a quota, an admission policy, a missing right, or an object that is not valid. Tried again.
    ApiRefused,
    /// The stand-alone proxy is not ready yet.
    DeploymentNotReady,
    /// The provider answers.
    IssuerAnswers,
    /// The provider does not answer, or not as it should.
    IssuerUnreachable,
    /// The provider does not take the proxy for the client: nobody can sign in.
    ClientRefused,
    /// No pod of the proxy runs, so nobody has asked the provider yet.
    NoPods,
    /// No workload asks for the object.
    NoWorkloads,
    /// All workloads carry the sidecar and run the present configuration.
    Injected,
    /// Workloads are being injected or pods are taking up the configuration.
    InProgress,
    /// Pods do not take up the present configuration.
    ConfigNotInForce,
    /// A workload can not be injected.
    InjectionRefused,
    /// An annotation or label of a workload has no meaning, or two contradict each other.
    InvalidAnnotation,
    /// Which port of a workload is to be protected can not be told.
    AmbiguousPort,
    /// An annotation of the workload asks to leave it as it is.
    Paused,
    /// A port of the sidecar is used by another container.
    PortCollision,
    /// The workload is of a kind, or set up in a way, that can not be injected.
    Unsupported,
    /// The workload names an object that does not exist or is not ready.
    ObjectNotReady,
    /// The sidecar keeps being removed by someone else.
    Flapping,
    /// The workload's rollout is paused.
    RolloutPaused,
    /// New pods can not be made or do not become ready.
    RolloutFailed,
    /// All requests go through the proxy.
    Routed,
    /// A Service still leads to the application.
    DirectPathOpen,
    /// A connection reaches the application past the proxy.
    DirectConnections,
    /// Sessions are not refreshed, or by one proxy at a time.
    OneRefresher,
    /// Several replicas refresh sessions in cookies without knowing of each other.
    RefreshRaces,
    /// Traffic is left to the user.
    CompanionOnly,
    /// The object is being deleted.
    Deleting,
    /// The deletion waits for workloads that still ask for the object.
    DeletionBlocked,
    /// What somebody else took out or changed was put back.
    Repaired,
    /// A rollback brought back what would end a protection, and that is not taken for a wish.
    RolledBack,
    /// The sidecar was removed.
    Removed,
    /// The sidecar was left in place because it is not as we recorded it.
    RemovalSkipped,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_place_in_the_troubleshooting_page() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/troubleshooting.md");
        let page = std::fs::read_to_string(path).unwrap();
        let missing: Vec<_> = Reason::ALL
            .iter()
            .filter(|reason| !page.contains(&format!("`{}`", reason.as_str())))
            .collect();
        assert!(missing.is_empty(), "docs/troubleshooting.md does not explain {missing:?}");
    }
}
