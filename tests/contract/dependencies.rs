//! The walls between the crates, as docs/architecture.md draws them: read from `cargo metadata`, so that a dependency that
//! comes in through another crate counts too.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// The normal dependencies of every package, by name.
struct Graph(BTreeMap<String, BTreeSet<String>>);

impl Graph {
    fn read() -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version=1", "--locked", "--offline"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |value: &Value, field: &str| value[field].as_str().unwrap().to_owned();
        let names: BTreeMap<_, _> = metadata["packages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|package| (text(package, "id"), text(package, "name")))
            .collect();
        let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in metadata["resolve"]["nodes"].as_array().unwrap() {
            let edges = graph.entry(names[&text(node, "id")].clone()).or_default();
            for dependency in node["deps"].as_array().unwrap() {
                let kinds = dependency["dep_kinds"].as_array().unwrap();
                if kinds.iter().any(|kind| kind["kind"].is_null()) {
                    edges.insert(names[&text(dependency, "pkg")].clone());
                }
            }
        }
        Self(graph)
    }

    /// A chain from `package` to `target`, if there is one.
    fn chain(&self, package: &str, target: &str) -> Option<Vec<String>> {
        let mut seen = BTreeSet::from([package.to_owned()]);
        let mut chains = vec![vec![package.to_owned()]];
        while let Some(chain) = chains.pop() {
            for next in self.0.get(chain.last()?).into_iter().flatten() {
                let mut longer = chain.clone();
                longer.push(next.clone());
                if next == target {
                    return Some(longer);
                }
                if seen.insert(next.clone()) {
                    chains.push(longer);
                }
            }
        }
        None
    }
}

#[test]
fn no_crate_reaches_what_it_must_not_know() {
    let graph = Graph::read();
    let walls: [(&str, &[&str]); 4] = [
        (
            "crds",
            &[
                "tokio",
                "hyper",
                "rustls",
                "kube-client",
                "kube-runtime",
                "proxy-config",
                "proxy",
                "operator",
            ],
        ),
        ("proxy-config", &["tokio", "hyper", "rustls", "kube", "k8s-openapi", "aws-lc-rs", "crds"]),
        ("operator", &["proxy", "openidconnect", "aes-gcm", "reqwest", "openssl", "native-tls"]),
        (
            "proxy",
            &["kube", "kube-core", "k8s-openapi", "crds", "operator", "openssl", "native-tls"],
        ),
    ];
    let mut breaches = Vec::new();
    for (package, forbidden) in walls {
        assert!(graph.0.contains_key(package), "there is no package {package}");
        breaches.extend(
            forbidden
                .iter()
                .filter_map(|target| graph.chain(package, target))
                .map(|chain| chain.join(" -> ")),
        );
    }
    assert!(breaches.is_empty(), "docs/architecture.md forbids:\n{}", breaches.join("\n"));
}

#[test]
fn nothing_depends_on_the_tests() {
    let graph = Graph::read();
    for (package, dependencies) in &graph.0 {
        let own = ["tests", "harness"].contains(&package.as_str());
        assert!(own || !dependencies.contains("tests"), "{package} depends on tests");
        assert!(own || !dependencies.contains("harness"), "{package} depends on harness");
    }
}
