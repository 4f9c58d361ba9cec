//! What values come to in the objects.

use super::{HELMS, at, combinations, flag, objects, template, text};
use serde_yaml_ng::Value;
use tests::cluster::Cluster;

/// A release as its objects.
struct Release(Vec<Value>);

impl Release {
    fn of(version: &str, combination: &str) -> Self {
        let file = combinations().into_iter().find(|file| file.ends_with(combination));
        let file = file.expect(combination);
        Self(objects(&template(version, &[&flag(&file)])))
    }

    fn with(version: &str, set: &str) -> Self {
        Self(objects(&template(version, &[&format!("--set={set}")])))
    }

    /// What a path leads to in the object of a kind whose name ends like this.
    fn get(&self, kind: &str, name: &str, path: &str) -> &Value {
        let is = |object: &&Value| {
            text(at(object, "kind")) == kind && text(at(object, "metadata/name")).ends_with(name)
        };
        let found = self.0.iter().find(is);
        assert!(found.is_some(), "no {kind} {name}");
        at(found.unwrap_or(&Value::Null), path)
    }

    fn has(&self, kind: &str) -> bool {
        self.0.iter().any(|object| text(at(object, "kind")) == kind)
    }

    /// What a path leads to in the operator's pods.
    fn pod(&self, path: &str) -> &Value {
        self.get("Deployment", "", &format!("spec/template/spec/{path}"))
    }

    fn arguments(&self) -> Vec<String> {
        let arguments = self.pod("containers/0/args").as_sequence();
        arguments.into_iter().flatten().map(text).collect()
    }
}

fn yaml(text: &str) -> Value {
    serde_yaml_ng::from_str(text).expect("YAML that can be read")
}

#[tokio::test]
async fn a_cluster_that_assigns_users_gets_none_and_the_rest_of_the_profile() {
    let _cluster = Cluster::shared();
    for version in HELMS {
        let usual = Release::with(version, "replicas=2");
        assert!(usual.arguments().contains(&"--proxy-run-as-user=65532".to_owned()));
        assert_eq!(usual.pod("securityContext/runAsUser"), 65532);
        let assigned = Release::of(version, "openshift-values.yaml");
        let rest = yaml("{runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}");
        assert_eq!(*assigned.pod("securityContext"), rest, "{version}");
        assert_eq!(*assigned.get("Pod", "-test", "spec/securityContext"), rest, "{version}");
        let container = assigned.pod("containers/0/securityContext");
        assert_eq!(*container, *usual.pod("containers/0/securityContext"), "{version}");
        assert_eq!(at(container, "capabilities/drop/0"), "ALL");
        for argument in ["--proxy-run-as-user=none", "--proxy-run-as-group=none"] {
            assert!(assigned.arguments().contains(&argument.to_owned()), "{version} {argument}");
        }
        // Identities of such clusters have ten digits, which must not be written as 1e+09.
        let large = Release::with(version, "proxySecurityContext.runAsUser=1000680000");
        assert!(large.arguments().contains(&"--proxy-run-as-user=1000680000".to_owned()));
    }
}

#[tokio::test]
async fn images_come_from_where_they_are_said_to_be() {
    let _cluster = Cluster::shared();
    for version in HELMS {
        let image = |set: &str| {
            let release = Release::with(version, set);
            let proxy = release
                .arguments()
                .into_iter()
                .find_map(|argument| argument.strip_prefix("--proxy-image=").map(str::to_owned));
            let test = text(release.get("Pod", "-test", "spec/containers/0/image"));
            let own = text(release.pod("containers/0/image"));
            assert_eq!(own, test, "{version} {set}");
            (own, proxy.unwrap_or_default())
        };
        let tag = env!("CARGO_PKG_VERSION");
        let (own, proxy) = image("replicas=2");
        assert_eq!(own, format!("ghcr.io/oauth2proxy/oauth2-proxy-operator:{tag}"));
        assert_eq!(proxy, format!("ghcr.io/oauth2proxy/oauth2-proxy:{tag}"));
        let (own, proxy) = image("global.imageRegistry=mirror.example.com/hub,image.tag=v2");
        assert_eq!(own, "mirror.example.com/hub/oauth2proxy/oauth2-proxy-operator:v2");
        assert_eq!(proxy, format!("mirror.example.com/hub/oauth2proxy/oauth2-proxy:{tag}"));
        // A repository with a registry, as the chart had it before there was a value for that, keeps it.
        let (own, proxy) = image(
            "global.imageRegistry=mirror.example.com,image.repository=registry.example.com/a/b,proxyImage.repository=localhost/c",
        );
        assert_eq!(own, format!("registry.example.com/a/b:{tag}"));
        assert_eq!(proxy, format!("localhost/c:{tag}"));
        let (own, proxy) =
            image("image.registry=,image.repository=operator,proxyImage.registry=registry:5000");
        assert_eq!(own, format!("operator:{tag}"));
        assert_eq!(proxy, format!("registry:5000/oauth2proxy/oauth2-proxy:{tag}"));
        let mirror = Release::of(version, "mirror-values.yaml");
        let pinned = text(mirror.pod("containers/0/image"));
        let (name, digest) = pinned.split_once('@').expect("a digest");
        assert_eq!(name, "mirror.example.com:5000/hub/oauth2proxy/oauth2-proxy-operator");
        assert!(digest.starts_with("sha256:1111"), "{version}: {pinned}");
        assert_eq!(*mirror.pod("imagePullSecrets"), yaml("[{name: mirror}]"), "{version}");
    }
}

#[tokio::test]
async fn what_is_left_out_and_what_is_looked_after_reaches_operator_and_test() {
    let _cluster = Cluster::shared();
    for version in HELMS {
        let most = Release::of(version, "everything-values.yaml");
        let except = "--exclude-namespaces=kube-public,kube-system";
        assert!(most.arguments().contains(&except.to_owned()), "{version}");
        let test = most.get("Pod", "-test", "spec/containers/0/args");
        assert!(test.as_sequence().is_some_and(|all| all.contains(&except.into())), "{version}");
        let some = Release::of(version, "namespaces-values.yaml");
        let names = "--namespaces=chart-team-a,chart-team-b".to_owned();
        assert!(some.arguments().contains(&names), "{version}");
        assert!(!some.has("ClusterRole") && !some.has("ClusterRoleBinding"), "{version}");
    }
}

#[tokio::test]
async fn objects_go_to_the_namespace_that_is_named() {
    let _cluster = Cluster::shared();
    for version in HELMS {
        let release = Release::of(version, "everything-values.yaml");
        for object in &release.0 {
            let kind = text(at(object, "kind"));
            let namespace = at(object, "metadata/namespace");
            let whole = kind.starts_with("Cluster") || kind == "CustomResourceDefinition";
            assert!(whole == namespace.is_null(), "{version} {kind}");
            assert!(whole || namespace == "chart-elsewhere", "{version} {kind}: {namespace:?}");
            if !text(at(object, "metadata/name")).contains("-more") && kind != "ConfigMap" {
                let owner = at(object, "metadata/annotations/example.com~1owner");
                assert_eq!(owner, "identity", "{version} {kind}");
                assert_eq!(at(object, "metadata/labels/team"), "identity", "{version} {kind}");
            }
        }
        for kind in ["ClusterRoleBinding", "RoleBinding"] {
            let subject = release.get(kind, "", "subjects/0");
            assert_eq!(at(subject, "namespace"), "chart-elsewhere", "{version}");
            assert_eq!(at(subject, "name"), "login", "{version}");
        }
    }
}

#[tokio::test]
async fn labels_of_the_user_never_change_what_is_selected() {
    let _cluster = Cluster::shared();
    for version in HELMS {
        let sets = "podLabels.app\\.kubernetes\\.io/name=other,commonLabels.app\\.kubernetes\\.io/instance=other";
        let release = Release::with(version, sets);
        let selector = release.get("Deployment", "", "spec/selector/matchLabels");
        let labels = release.get("Deployment", "", "spec/template/metadata/labels");
        for (name, value) in selector.as_mapping().expect("a map") {
            assert_eq!(labels.get(name), Some(value), "{version}");
        }
    }
}

#[tokio::test]
async fn the_network_of_the_node_and_the_admin_port_go_together() {
    let _cluster = Cluster::shared();
    for version in HELMS {
        let release = Release::of(version, "host-network-values.yaml");
        assert_eq!(*release.pod("hostNetwork"), true);
        assert_eq!(release.pod("dnsPolicy"), "ClusterFirstWithHostNet");
        assert_eq!(release.pod("containers/0/ports/0/containerPort"), 18080);
        assert!(release.arguments().contains(&"--admin-address=[::]:18080".to_owned()));
        assert_eq!(release.get("PodDisruptionBudget", "", "spec/minAvailable"), 1);
        assert!(release.get("PodDisruptionBudget", "", "spec/maxUnavailable").is_null());
        let most = Release::of(version, "everything-values.yaml");
        assert_eq!(most.get("NetworkPolicy", "", "spec/ingress/0/ports/0/port"), 8081);
        let usual = Release::with(version, "replicas=2");
        assert!(usual.pod("hostNetwork").is_null() && usual.pod("dnsPolicy").is_null());
        assert_eq!(*usual.pod("enableServiceLinks"), false);
        assert!(usual.arguments().contains(&"--admin-address=:8080".to_owned()));
    }
}

#[tokio::test]
async fn monitors_ask_what_they_are_told_to() {
    let _cluster = Cluster::shared();
    for version in HELMS {
        let release = Release::of(version, "monitoring-values.yaml");
        let endpoint = yaml(
            "{port: metrics, path: /metrics, interval: 15s, scrapeTimeout: 5s, honorLabels: true,
              relabelings: [{action: replace, targetLabel: cluster, replacement: one}],
              metricRelabelings: [{action: drop, sourceLabels: [__name__], regex: '.*_bucket'}]}",
        );
        assert_eq!(*release.get("ServiceMonitor", "", "spec/endpoints/0"), endpoint, "{version}");
        // From another namespace it has to say which one it is about.
        let names = release.get("ServiceMonitor", "", "spec/namespaceSelector/matchNames/0");
        assert_eq!(names, "default", "{version}");
        let proxies = release.get("PodMonitor", "-proxies", "spec");
        assert_eq!(at(proxies, "podMetricsEndpoints/0/port"), "o2p-admin");
        assert_eq!(*at(proxies, "namespaceSelector/any"), true);
        let few = Release::of(version, "pod-monitor-values.yaml");
        let names = few.get("PodMonitor", "-proxies", "spec/namespaceSelector/matchNames");
        assert_eq!(*names, yaml("[chart-team-a]"), "{version}");
        assert_eq!(few.get("PodMonitor", "-operator", "spec/podMetricsEndpoints/0/port"), "admin");
        let groups = release.get("PrometheusRule", "", "spec/groups").as_sequence().cloned();
        let rules = groups.iter().flatten().filter_map(|group| group.get("rules")?.as_sequence());
        let rules: Vec<_> = rules.flatten().collect();
        assert!(rules.len() > 6, "{version}: {rules:?}");
        for rule in rules {
            assert_ne!(at(rule, "alert"), "OAuth2ProxyDriftRepaired", "{version}");
            assert_eq!(at(rule, "labels/team"), "identity", "{version}");
            assert!(at(rule, "labels/severity").is_string(), "{version}");
        }
        let map = release.get("ConfigMap", "-dashboard", "data/oauth2-proxy-operator.json");
        let board: serde_json::Value = serde_json::from_str(&text(map)).expect("JSON");
        assert!(board.pointer("/panels/10").is_some(), "{version}");
    }
}

#[tokio::test]
async fn what_is_off_is_not_there() {
    let _cluster = Cluster::shared();
    for version in HELMS {
        let release = Release::of(version, "single-values.yaml");
        for kind in ["Service", "ServiceAccount", "ClusterRole", "Role", "PodDisruptionBudget"] {
            assert!(!release.has(kind), "{version} {kind}");
        }
        assert_eq!(release.pod("serviceAccountName"), "login", "{version}");
        assert!(release.pod("topologySpreadConstraints").is_null(), "{version}");
        let usual = Release::with(version, "replicas=2");
        for kind in ["NetworkPolicy", "ServiceMonitor", "PodMonitor", "PrometheusRule", "ConfigMap"]
        {
            assert!(!usual.has(kind), "{version} {kind}");
        }
        let keep = usual.get(
            "CustomResourceDefinition",
            "",
            "metadata/annotations/helm.sh~1resource-policy",
        );
        assert_eq!(keep, "keep", "{version}");
        assert!(!Release::of(version, "namespaces-values.yaml").has("Pod"), "{version}");
    }
}
