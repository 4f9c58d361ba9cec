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
        // Injection, and stand-alone proxies, which are made and taken away.
        rule(&["apps"], &["deployments"], &["get", "list", "watch", "create", "patch", "delete"]),
        // To tell that they get no sidecar.
        rule(&["apps"], &["statefulsets", "daemonsets"], &["list", "watch"]),
        rule(&["batch"], &["jobs", "cronjobs"], &["list", "watch"]),
        // What a Deployment was annotated with before a rollback.
        rule(&["apps"], &["replicasets"], &["list"]),
        // Which pods carry the proxy, and telling bare pods that they get no sidecar.
        rule(&[""], &["pods"], &["list", "watch"]),
        // Telling their kubelets of changes, by an annotation.
        rule(&[""], &["pods/status"], &["patch"]),
        // Companion and stand-alone Services, and those that are led to the proxy.
        rule(&[""], &["services"], &["get", "list", "watch", "create", "patch", "delete"]),
        // Whether requests still go to pods whose sidecar is to go.
        rule(&["discovery.k8s.io"], &["endpointslices"], &["list"]),
        rule(&[""], &["serviceaccounts"], &["get", "list", "watch", "create", "patch", "delete"]),
        // By name only: whoever may list or watch Secrets may read all of them at once. Ours have no owner whose end would
        // take them along, so they are deleted.
        rule(&[""], &["secrets"], &["get", "create", "patch", "delete"]),
        rule(&[""], &["configmaps"], &["get"]),
        rule(&["events.k8s.io"], &["events"], &["create", "patch"]),
    ],
    lease: &[rule(&["coordination.k8s.io"], &["leases"], &["get", "create", "update"])],
};

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    /// One right: group, resource, verb.
    type Right = (String, String, String);

    fn rights(rules: &Value) -> BTreeSet<Right> {
        let texts = |rule: &Value, field: &str| -> Vec<String> {
            rule[field]
                .as_array()
                .unwrap()
                .iter()
                .map(|text| text.as_str().unwrap().to_owned())
                .collect()
        };
        let mut rights = BTreeSet::new();
        for rule in rules.as_array().unwrap() {
            for group in texts(rule, "apiGroups") {
                for resource in texts(rule, "resources") {
                    for verb in texts(rule, "verbs") {
                        rights.insert((group.clone(), resource.clone(), verb));
                    }
                }
            }
        }
        rights
    }

    #[test]
    fn the_chart_grants_exactly_these() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../charts/oauth2-proxy-operator/templates/rbac.yaml"
        );
        let text = std::fs::read_to_string(path).unwrap();
        let (_, rest) = text.split_once("{{- define \"operator.workRules\" -}}").unwrap();
        let (rules, rest) = rest.split_once("{{- end -}}").unwrap();
        let granted = rights(&serde_yaml_ng::from_str(rules).unwrap());
        assert_eq!(granted, rights(&serde_json::to_value(RIGHTS.work).unwrap()));
        // Beside these rules only the lease and the roles for people are granted.
        let groups = rest.lines().filter(|line| line.trim_start().starts_with("- apiGroups:"));
        let others: BTreeSet<_> = groups.map(str::trim).collect();
        assert_eq!(
            others,
            BTreeSet::from([
                "- apiGroups: [coordination.k8s.io]",
                "- apiGroups: [oauth2proxy.dev]"
            ])
        );
    }

    #[test]
    fn secrets_can_be_neither_listed_nor_watched() {
        let work = rights(&serde_json::to_value(RIGHTS.work).unwrap());
        assert!(work.iter().all(|(_, resource, verb)| {
            resource != "secrets" || ["get", "create", "patch", "delete"].contains(&verb.as_str())
        }));
    }
}
