//! Brings the demo's images to the nodes of the cluster that it goes to.

use std::path::PathBuf;
use std::process::Command;

use launcher::machine::in_path;
use serde_json::Value;

use crate::cache::Cache;
use crate::cluster::{self, Cluster};
use crate::demo::target::Target;
use crate::demo::{NAMESPACE, OPERATOR_NAMESPACE};
use crate::error::Result;
use crate::image::{describe, keycloak};
use crate::program::run;
use crate::report::Report;

/// The way to a cluster's nodes.
#[derive(Debug)]
enum Way {
    /// A cluster of the harness: straight into its containerd, and only what it does not have.
    Harness(Cluster),
    /// A tool that made the cluster and its arguments before the archive's path.
    Tool { program: PathBuf, arguments: Vec<String> },
    /// None that is known: the nodes pull the images by their public names.
    Pull,
}

/// Gives the nodes `programs` and Keycloak, and restarts what ran an older content of the same name.
pub(crate) fn bring(
    target: &Target,
    programs: &[PathBuf],
    cache: &Cache,
    report: &Report,
) -> Result<()> {
    let mut changed = Vec::new();
    match way(target, cache)? {
        Way::Harness(cluster) => {
            let keycloak = keycloak::ensure(cache, report)?;
            for archive in programs.iter().chain([&keycloak]) {
                let loaded = cluster::load(&cluster, archive, report)?;
                changed.extend(loaded.names.into_iter().filter(|_| loaded.fresh));
            }
        }
        Way::Tool { program, arguments } => {
            for archive in programs {
                let names: Vec<_> = describe(archive)?.into_iter().map(|image| image.name).collect();
                report.step(&format!("load {}", names.join(", ")), || {
                    run(Command::new(&program).args(&arguments).arg(archive))
                })?;
                changed.extend(names);
            }
        }
        Way::Pull => report.note(
            "this cluster is none of the harness, kind, minikube or k3d: its nodes pull the images by their public names",
        ),
    }
    report.step("restart what runs an older image of the same name", || {
        changed.iter().try_for_each(|image| restart(target, image))
    })
}

fn way(target: &Target, cache: &Cache) -> Result<Way> {
    let context = match target {
        Target::Cluster { cluster, .. } => return Ok(Way::Harness(cluster.clone())),
        Target::Context { context, .. } => context,
    };
    let server = ["config", "view", "--minify", "--output=jsonpath={.clusters[0].cluster.server}"];
    let server = run(target.kubectl().args(server))?;
    for (cluster, record) in cluster::list(cache)? {
        let node = record.map(|record| format!("//{}:", record.network.node));
        if node.is_some_and(|node| server.contains(&node)) && cluster.running()?.is_some() {
            return Ok(Way::Harness(cluster));
        }
    }
    Ok(tool(context, in_path))
}

/// The tool that made a cluster, told by the name that it gives its contexts.
fn tool(context: &str, find: impl Fn(&str) -> Option<PathBuf>) -> Way {
    let (name, arguments) = if let Some(name) = context.strip_prefix("kind-") {
        ("kind", vec!["load", "image-archive", "--name", name])
    } else if let Some(name) = context.strip_prefix("k3d-") {
        ("k3d", vec!["image", "import", "--cluster", name])
    } else if context == "minikube" {
        ("minikube", vec!["image", "load"])
    } else {
        return Way::Pull;
    };
    let arguments = arguments.into_iter().map(str::to_owned).collect();
    find(name).map_or(Way::Pull, |program| Way::Tool { program, arguments })
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn clusters_of_known_tools_get_their_images_from_them() {
        let found = |name: &str| Some(PathBuf::from(name));
        let line = |context: &str| match tool(context, found) {
            Way::Tool { program, arguments } => {
                format!("{} {}", program.display(), arguments.join(" "))
            }
            Way::Harness(_) | Way::Pull => String::new(),
        };
        assert_eq!(line("kind-dev"), "kind load image-archive --name dev");
        assert_eq!(line("k3d-dev"), "k3d image import --cluster dev");
        assert_eq!(line("minikube"), "minikube image load");
        assert_eq!(line("production"), "");
        assert!(matches!(tool("kind-dev", |_| None), Way::Pull));
    }

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
