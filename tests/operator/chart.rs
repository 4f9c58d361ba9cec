//! The chart with both Helms that people have: linted, rendered, refused, and installed as far as an API server goes.

use std::process::{Command, Output};
use tests::cluster::{Cluster, component};
use tests::process::root;

const HELMS: [&str; 2] = ["helm3", "helm4"];

fn helm(version: &str, arguments: &[&str]) -> Output {
    let home = tests::proxy::temp_dir();
    let mut helm = Command::new(component(version).join("helm"));
    for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        helm.env(variable, home.path());
    }
    helm.env("KUBECONFIG", Cluster::shared().kubeconfig()).args(arguments);
    helm.current_dir(root()).output().expect("helm is built")
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

const CHART: &str = "charts/oauth2-proxy-operator";

#[tokio::test]
async fn the_chart_lints_without_a_word() {
    let _cluster = Cluster::shared();
    for version in HELMS {
        let output = helm(version, &["lint", "--strict", CHART]);
        assert!(output.status.success(), "{version}: {}", said(&output));
    }
}

#[tokio::test]
async fn every_form_of_it_is_taken_by_the_api_server() {
    let _cluster = Cluster::shared();
    let long = format!("--set=fullnameOverride={}", "a".repeat(63));
    let forms: [&[&str]; 5] = [
        &[long.as_str()],
        &[],
        &["--set=scope.mode=namespaces,scope.namespaces={a,b}"],
        &["--set=replicas=1,podDisruptionBudget.enabled=false,metrics.service.enabled=false"],
        &[
            "--set=rbac.aggregate=false,serviceAccount.annotations.a=b,image.digest=sha256:0000000000000000000000000000000000000000000000000000000000000000",
        ],
    ];
    for version in HELMS {
        for form in forms {
            let arguments = [
                "install",
                "operator",
                CHART,
                "--namespace=default",
                "--dry-run=server",
                "--set=crds.install=false",
            ];
            let output = helm(version, &[&arguments[..], form].concat());
            assert!(output.status.success(), "{version} {form:?}: {}", said(&output));
            let text = said(&output);
            assert!(text.contains("kind: Deployment"), "{version} {form:?}: {text}");
            // The name of a Service is a DNS label.
            let names = text.lines().filter_map(|line| line.strip_prefix("  name: "));
            let metrics = names.filter(|name| name.ends_with("-metrics")).collect::<Vec<_>>();
            assert!(metrics.iter().all(|name| name.len() <= 63), "{version} {form:?}: {metrics:?}");
            assert!(text.contains("readOnlyRootFilesystem: true"), "{version} {form:?}: {text}");
            assert!(
                !text.contains("verbs: [\"*\"]") && !text.contains("- '*'"),
                "{version}: {text}"
            );
        }
    }
}

#[tokio::test]
async fn values_that_mean_nothing_are_refused_by_name() {
    let _cluster = Cluster::shared();
    for version in HELMS {
        for (set, name) in
            [("replica=3", "replica"), ("scope.mode=all", "mode"), ("replicas=0", "replicas")]
        {
            let set = format!("--set={set}");
            let output = helm(version, &["template", CHART, "--kube-version=1.35.4", &set]);
            assert!(!output.status.success(), "{version} took {set}");
            assert!(said(&output).contains(name), "{version} {set}: {}", said(&output));
        }
    }
}
