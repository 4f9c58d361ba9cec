//! The rights that the operator needs, in one place. The chart's roles are compared with it by a test.

use serde::Serialize;

/// A rule as RBAC has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rule {
    /// API groups; the empty text is the core group.
    pub(crate) api_groups: &'static [&'static str],
    /// Resources.
    pub(crate) resources: &'static [&'static str],
    /// Verbs.
    pub(crate) verbs: &'static [&'static str],
}

/// All rules.
#[derive(Debug, Serialize)]
pub(crate) struct Rights {
    /// In every namespace that is looked after.
    pub(crate) work: &'static [Rule],
    /// In the operator's own namespace.
    pub(crate) lease: &'static [Rule],
}

const fn rule(
    api_groups: &'static [&'static str],
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
) -> Rule {
    Rule { api_groups, resources, verbs }
}

/// What is needed, and why.
pub(crate) const RIGHTS: Rights = Rights {
    work: &[
        // The finalizer is written, the rest belongs to the user.
        rule(&["oauth2proxy.dev"], &["oauth2proxies"], &["get", "list", "watch", "patch"]),
        rule(&["oauth2proxy.dev"], &["oauth2proxies/status"], &["patch"]),
        // To own objects in clusters that guard `blockOwnerDeletion`.
        rule(&["oauth2proxy.dev"], &["oauth2proxies/finalizers"], &["update"]),
        // Injection and stand-alone proxies.
        rule(&["apps"], &["deployments"], &["get", "list", "watch", "create", "patch", "delete"]),
        // Which pods carry the proxy, and telling their kubelets of changes.
        rule(&[""], &["pods"], &["get", "list", "watch", "patch"]),
        // Companion Services, and those that are led to the proxy.
        rule(&[""], &["services"], &["get", "list", "watch", "create", "patch", "delete"]),
        // Whether traffic has left a sidecar before it goes.
        rule(&["discovery.k8s.io"], &["endpointslices"], &["list"]),
        rule(&[""], &["serviceaccounts"], &["get", "create", "patch", "delete"]),
        // By name only: whoever may list or watch Secrets may read all of them at once.
        rule(&[""], &["secrets"], &["get", "create", "patch"]),
        rule(&[""], &["configmaps"], &["get"]),
        rule(&["events.k8s.io"], &["events"], &["create", "patch"]),
    ],
    lease: &[rule(&["coordination.k8s.io"], &["leases"], &["get", "create", "update"])],
};
