//! The demo: Keycloak, a sample app, the operator, one object and one annotation, in a cluster
//! made for it or in one that the person has.
//!
//! Everything is done as a person would do it, with kubectl and helm and the files in
//! `examples/demo`; nothing here knows what the operator does about it.

mod down;
mod forwards;
mod settings;
mod target;
mod wait;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

pub use self::down::down;
pub(crate) use self::forwards::serve;
use self::settings::{Settings, State};
use self::target::Target;
use crate::build;
use crate::cache::{Cache, repository};
use crate::cluster::Cluster;
use crate::error::{Doing as _, Result};
use crate::image::keycloak;
use crate::interrupt::Interrupts;
use crate::program::{run, run_with_input};
use crate::report::{Report, print};

/// The namespace of the sample app, as the files in `examples/demo` have it.
pub(crate) const NAMESPACE: &str = "oauth2-proxy-demo";
/// The operator's release and its namespace.
pub(crate) const RELEASE: &str = "oauth2-proxy-operator";
pub(crate) const OPERATOR_NAMESPACE: &str = "oauth2-proxy-demo-operator";

/// Brings the demo up, or up to date, and prints where it is.
///
/// # Errors
/// What did not work, with what was seen instead.
pub fn up(
    from: Option<&Path>,
    cache: &Cache,
    report: &Report,
    interrupts: &Interrupts,
) -> Result<()> {
    let settings = Settings::from_environment()?;
    let state = State::in_cache(cache);
    forwards::stop(&state)?;
    settings.require_free_ports()?;
    let programs = build::images(from, &repository().join("target/images"), report)?;
    let target = target(&settings, cache, report, interrupts)?;
    state.remember(&settings)?;
    let changed = load(&target, programs, cache, report)?;
    report.step("restart what runs an older image of the same name", || {
        changed.iter().try_for_each(|image| restart(&target, image))
    })?;
    report.step("apply Keycloak and the sample app", || {
        apply(&target, &settings, "1-keycloak.yaml")?;
        apply(&target, &settings, "2-sample-app.yaml")
    })?;
    operator(&target, report)?;
    wait::rollout(&target, "keycloak", report)?;
    wait::rollout(&target, "sample-app", report)?;
    report.step("apply the OAuth2Proxy", || apply(&target, &settings, "3-oauth2proxy.yaml"))?;
    wait::condition(&target, "ConfigRendered", report)?;
    report.step("kubectl annotate deployment sample-app oauth2proxy.dev/inject=main", || {
        let args =
            ["annotate", "--overwrite", "deployment", "sample-app", "oauth2proxy.dev/inject=main"];
        run(target.kubectl().args(["--namespace", NAMESPACE]).args(args)).map(drop)
    })?;
    wait::injected(&target, report)?;
    forwards::start(&state, &target, &settings, report)?;
    tell(&target, &settings, report);
    Ok(())
}

/// Gives a cluster of the harness the images, and returns the names of those that it had not.
fn load(
    target: &Target,
    mut archives: Vec<PathBuf>,
    cache: &Cache,
    report: &Report,
) -> Result<Vec<String>> {
    let Target::Cluster { cluster, .. } = target else {
        return Ok(Vec::new());
    };
    archives.push(keycloak::ensure(cache, report)?);
    let mut changed = Vec::new();
    for archive in archives {
        let loaded = crate::cluster::load(cluster, &archive, report)?;
        changed.extend(loaded.names.into_iter().filter(|_| loaded.fresh));
    }
    Ok(changed)
}

/// Restarts the Deployments whose running pods have an older content of `image`: nodes do not look
/// for a new one under a name that they know.
fn restart(target: &Target, image: &str) -> Result<()> {
    for namespace in [NAMESPACE, OPERATOR_NAMESPACE] {
        let get = ["get", "deployments", "--output=json", "--namespace", namespace];
        let found: Value =
            serde_json::from_str(&run(target.kubectl().args(get))?).unwrap_or_default();
        for name in running(&found, image) {
            let restart = ["rollout", "restart", "deployment", name, "--namespace", namespace];
            run(target.kubectl().args(restart))?;
        }
    }
    Ok(())
}

/// The names of Deployments with a container of `image`.
fn running<'a>(deployments: &'a Value, image: &str) -> Vec<&'a str> {
    let containers = ["/spec/template/spec/initContainers", "/spec/template/spec/containers"];
    let has = |deployment: &Value| {
        containers
            .iter()
            .filter_map(|place| deployment.pointer(place)?.as_array())
            .flatten()
            .any(|container| container.get("image").and_then(Value::as_str) == Some(image))
    };
    let list = deployments.get("items").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter(|deployment| has(deployment))
        .filter_map(|deployment| deployment.pointer("/metadata/name")?.as_str())
        .collect()
}

fn target(
    settings: &Settings,
    cache: &Cache,
    report: &Report,
    interrupts: &Interrupts,
) -> Result<Target> {
    if let Some(context) = &settings.context {
        return Target::of_context(context, cache, report);
    }
    let cluster = Cluster::named("demo", cache)?;
    crate::cluster::up(&cluster, cache, report, interrupts)?;
    Target::of_cluster(cluster, cache, report)
}

/// Applies a file of `examples/demo`, with the chosen ports in place of the usual ones.
fn apply(target: &Target, settings: &Settings, file: &str) -> Result<()> {
    let path = repository().join("examples/demo").join(file);
    let text = fs::read_to_string(&path).doing(|| format!("read {}", path.display()))?;
    let text = settings.with_ports(&text);
    run_with_input(target.kubectl().args(["apply", "--filename", "-"]), &text).map(drop)
}

/// Installs the operator by its chart, unless the cluster has one that is not the demo's.
fn operator(target: &Target, report: &Report) -> Result<()> {
    if target.has_foreign_operator()? {
        report.note("this cluster has the operator already: it is used as it is");
        return Ok(());
    }
    report.step("helm install the operator", || {
        run(target.kubectl().args([
            "get",
            "namespace",
            OPERATOR_NAMESPACE,
            "--ignore-not-found",
            "--output=name",
        ]))?;
        let chart = repository().join("charts/oauth2-proxy-operator");
        let mut helm = target.helm();
        helm.args(["upgrade", "--install", RELEASE]).arg(chart);
        helm.args([
            "--namespace",
            OPERATOR_NAMESPACE,
            "--create-namespace",
            "--set",
            "crds.keep=false",
        ]);
        run(&mut helm).map(drop)
    })?;
    wait::operator(target, report)
}

fn tell(target: &Target, settings: &Settings, report: &Report) {
    let kubectl = target.shown_kubectl();
    let total = report.elapsed().as_secs();
    print(format_args!(
        "\nThe demo is up after {total} s.\n\n  \
         URL       http://localhost:{port}\n  \
         User      alice\n  \
         Password  wonderland\n\n\
         What happened:\n\n  \
         {kubectl} describe oauth2proxy main\n  \
         {kubectl} describe deployment sample-app\n  \
         {kubectl} get services,endpointslices\n\n\
         Remove it with: make demo-down",
        port = settings.port,
    ));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn deployment_runs_an_image_also_as_a_sidecar() {
        let pod = |init: &str, app: &str| json!({"template": {"spec": {"initContainers": [{"image": init}], "containers": [{"image": app}]}}});
        let found = json!({"items": [
            {"metadata": {"name": "a"}, "spec": pod("proxy:1", "app:1")},
            {"metadata": {"name": "b"}, "spec": pod("proxy:2", "app:1")},
        ]});
        assert_eq!(running(&found, "proxy:1"), ["a"]);
        assert_eq!(running(&found, "app:1"), ["a", "b"]);
        assert!(running(&found, "proxy").is_empty());
    }
}
