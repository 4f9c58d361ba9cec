//! The recipe for manifests (docs/production.md) on a cluster that has the operator: with the annotation and the proxy's port in
//! them an application is closed from its first second, and taken out in the order of the page it is what it was.

use crate::stage::Demo;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tests::cluster::Cluster;
use tests::eventually::eventually;

const NAMESPACE: &str = "gitops";

pub(crate) async fn a_manifest_with_both_lines_is_closed_from_its_first_second(demo: &Demo) {
    let cluster = demo.cluster();
    let ok =
        |arguments: &[&str]| cluster.ok(&[&["--namespace", NAMESPACE], arguments].concat(), None);
    cluster.ok(&["create", "namespace", NAMESPACE], None);
    ok(&["create", "secret", "generic", "shop-oidc", "--from-literal=client-secret=s3cret"]);
    apply(cluster, "targetPort: 4180");
    let address = ok(&["get", "service", "catalogue", "-o", "jsonpath={.spec.clusterIP}"]);
    let url = format!("http://{address}/");
    let over = Arc::new(AtomicBool::new(false));
    let prober = tokio::spawn(probe(url.clone(), Arc::clone(&over)));
    let traffic = r#"jsonpath={.status.workloads[?(@.name=="catalogue")].traffic}"#;
    ok(&["wait", "oauth2proxy/catalogue", "--timeout=3m", &format!("--for={traffic}=Routed")]);
    eventually("a stranger meets the login", Duration::from_secs(30), || answers(&url, 403)).await;
    over.store(true, Ordering::SeqCst);
    let seen = prober.await.expect("the prober ends");
    assert!(seen.iter().all(|status| [0, 403].contains(status)), "open for a moment: {seen:?}");
    assert!(seen.len() > 20, "only {} probes", seen.len());
    apply(cluster, "targetPort: 8080");
    ok(&["annotate", "deployment", "catalogue", "oauth2proxy.dev/inject-"]);
    eventually("the application is open", Duration::from_mins(2), || answers(&url, 200)).await;
    let port = ["get", "service", "catalogue", "-o", "jsonpath={.spec.ports[0].targetPort}"];
    assert_eq!(ok(&port), "8080");
    cluster.ok(&["delete", "namespace", NAMESPACE, "--timeout=2m"], None);
}

/// Applies the example with this line in place of the one with the proxy's port.
fn apply(cluster: &Cluster, line: &str) {
    let text = tests::process::root().join("examples/gitops.yaml");
    let text = std::fs::read_to_string(text).expect("the example");
    for part in ["registry.example.com/catalogue:1.0.0", "targetPort: 4180"] {
        assert_eq!(text.matches(part).count(), 1, "the example has {part} once");
    }
    let image = concat!("ghcr.io/oauth2proxy/sample-app:", env!("CARGO_PKG_VERSION"));
    let text = text.replace("registry.example.com/catalogue:1.0.0", image);
    let text = text.replace("targetPort: 4180", line);
    cluster.ok(&["--namespace", NAMESPACE, "apply", "--filename", "-"], Some(&text));
}

/// What strangers get until it is over: the status, or 0 where nobody answers.
async fn probe(url: String, over: Arc<AtomicBool>) -> Vec<u16> {
    let mut seen = Vec::new();
    while !over.load(Ordering::SeqCst) {
        seen.push(status(&url).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    seen
}

/// On a connection of its own, as a Service is asked for each.
async fn status(url: &str) -> u16 {
    let client = tests::client::builder().no_proxy().timeout(Duration::from_secs(1)).build();
    let answer = client.expect("a client").get(url).send().await;
    answer.map_or(0, |answer| answer.status().as_u16())
}

async fn answers(url: &str, wanted: u16) -> Result<(), u16> {
    let status = status(url).await;
    if status == wanted { Ok(()) } else { Err(status) }
}
