//! The chart with both Helms that people have: linted, rendered, refused, and taken by a real API server. The files of its
//! folder `ci` are the combinations that are looked at; every value is in one of them.
//!
//! Tests that need no cluster hold it all the same, or it would be brought up anew for those after them.

mod refused;
mod rendered;
mod values;

use serde_yaml_ng::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tests::cluster::{Cluster, component};
use tests::process::root;

const HELMS: [&str; 2] = ["helm3", "helm4"];
const CHART: &str = "charts/oauth2-proxy-operator";
/// For what needs no cluster, and so is told nothing by one.
const VERSION: &str = "--kube-version=1.35.4";

fn helm(version: &str, arguments: &[&str]) -> Command {
    let mut helm = Command::new(component(version).join("helm"));
    for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        helm.env(variable, "/nonexistent");
    }
    helm.args(arguments).current_dir(root());
    helm
}

fn run(version: &str, arguments: &[&str]) -> Output {
    helm(version, arguments).output().expect("helm is built")
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The text of what a release with these arguments consists of.
fn template(version: &str, more: &[&str]) -> String {
    let arguments = ["template", "operator", CHART, "--namespace=default", VERSION];
    let output = run(version, &[&arguments[..], more].concat());
    assert!(output.status.success(), "{version} {more:?}: {}", said(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // Helm 3 passes over an object behind two separators where it is asked for some of the templates.
    let lines: Vec<_> = text.lines().collect();
    let torn = lines.windows(2).any(|pair| {
        matches!(pair, [source, "---"] if source.starts_with("# Source:") || *source == "---")
    });
    assert!(!torn, "{version} {more:?}: two separators in a row:\n{text}");
    text
}

fn objects(text: &str) -> Vec<Value> {
    let documents = serde_yaml_ng::Deserializer::from_str(text);
    let parsed = documents.map(|document| {
        <Value as serde::Deserialize>::deserialize(document).expect("YAML that can be read")
    });
    parsed.filter(|object| !object.is_null()).collect()
}

/// What a path of names and numbers leads to; null if it leads nowhere.
fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('/').filter(|step| !step.is_empty()).fold(value, |value, step| {
        let step = step.replace("~1", "/");
        let found = match step.parse::<usize>() {
            Ok(number) if value.is_sequence() => value.get(number),
            _ => value.get(step.as_str()),
        };
        found.unwrap_or(&Value::Null)
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The files of the folder `ci`.
fn combinations() -> Vec<PathBuf> {
    let folder = root().join(CHART).join("ci");
    let files = std::fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<_> = files.map(|entry| entry.expect("its entry").path()).collect();
    files.sort();
    assert!(files.len() >= 8, "only {files:?}");
    files
}

fn flag(file: &Path) -> String {
    format!("--values={}", file.display())
}

#[tokio::test]
async fn the_chart_lints_without_a_word() {
    let _cluster = Cluster::shared();
    for version in HELMS {
        let files = combinations().iter().map(|file| flag(file)).collect::<Vec<_>>();
        for more in files.iter().map(String::as_str).chain(["--quiet"]) {
            let output = run(version, &["lint", "--strict", CHART, VERSION, more]);
            assert!(output.status.success(), "{version} {more}: {}", said(&output));
            assert!(!said(&output).contains("[WARNING]"), "{version} {more}: {}", said(&output));
        }
    }
}

#[tokio::test]
async fn every_form_of_it_is_taken_by_the_api_server() {
    let cluster = Cluster::shared();
    let _namespaces =
        ["chart-elsewhere", "chart-team-a", "chart-team-b"].map(|name| cluster.namespace(name));
    let mut taken = 0;
    for version in HELMS {
        for file in combinations() {
            let mut objects = objects(&template(version, &[&flag(&file)]));
            // Kinds that only clusters with the Prometheus operator have.
            objects.retain(|object| !text(at(object, "apiVersion")).starts_with("monitoring."));
            objects.retain(|object| text(at(object, "metadata/namespace")) != "monitoring");
            for object in &mut objects {
                // A pod is taken only if its account is there already, which a dry run does not bring about.
                if at(object, "kind") == "Pod" {
                    object["spec"]["serviceAccountName"] = "default".into();
                }
                // Nothing that is taken may hold a right that nobody looked at.
                assert!(!serde_yaml_ng::to_string(object).unwrap_or_default().contains("'*'"));
            }
            let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects});
            let apply = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
            let output = cluster.kubectl(&apply, Some(&list.to_string()));
            assert!(output.status.success(), "{version} {}: {}", file.display(), said(&output));
            taken += objects.len();
        }
    }
    assert!(taken > 100, "only {taken} objects were looked at");
}

#[tokio::test]
async fn helm_itself_takes_the_longest_name_and_the_shortest() {
    let cluster = Cluster::shared();
    let long = format!("--set=fullnameOverride={}", "a".repeat(63));
    for version in HELMS {
        for name in [long.as_str(), "--set=fullnameOverride=a"] {
            let mut helm = helm(version, &["install", "operator", CHART, "--namespace=default"]);
            helm.args(["--dry-run=server", "--set=crds.install=false", name]);
            let output = helm.env("KUBECONFIG", cluster.kubeconfig()).output().expect("helm");
            assert!(output.status.success(), "{version} {name}: {}", said(&output));
        }
        let more =
            ["--set=metrics.dashboard.enabled=true", "--set=metrics.proxyPodMonitor.enabled=true"];
        for object in objects(&template(version, &[&[long.as_str()], &more[..]].concat())) {
            let (kind, name) = (text(at(&object, "kind")), text(at(&object, "metadata/name")));
            // Those of a Service and of a pod are DNS labels; of the rest more is allowed.
            let most = if ["Service", "Pod"].contains(&kind.as_str()) { 63 } else { 253 };
            assert!(name.len() <= most, "{version}: {kind} {name}");
        }
    }
}
