//! The examples of the repository are taken by the API server and by the operator.

use serde_json::Value;
use std::time::Duration;
use tests::cluster::{Cluster, condition, message};
use tests::eventually::eventually;
use tests::process::root;

/// The Secrets that the examples name, as their comments say how to make them.
const SECRETS: &str = "
apiVersion: v1
kind: Secret
metadata: {name: shop-oidc}
stringData: {client-secret: s3cret}
---
apiVersion: v1
kind: Secret
metadata: {name: intranet-oidc}
stringData: {client-secret: s3cret}
---
apiVersion: v1
kind: Secret
metadata: {name: legacy-oidc}
stringData: {client-secret: s3cret}
---
apiVersion: v1
kind: Secret
metadata: {name: intranet-redis}
stringData: {url: 'redis://redis.intranet.svc:6379'}
";

#[tokio::test(flavor = "multi_thread")]
async fn every_example_is_taken_and_its_configuration_written() {
    let cluster = Cluster::shared();
    let namespace = cluster.namespace("examples");
    let flags = ["--lease-name=examples", "--scope=namespaces", "--namespaces=examples"];
    let _operator = cluster.operator("examples-0", &flags).await;
    namespace.apply(SECRETS);
    let mut count = 0;
    for entry in std::fs::read_dir(root().join("examples")).expect("the examples") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("an example");
        let objects = text.lines().filter(|line| *line == "kind: OAuth2Proxy").count();
        assert_eq!(objects, 1, "{} is an example of one object", path.display());
        namespace.apply(&text);
        count += 1;
    }
    assert!(count >= 13, "only {count} examples");
    eventually("all configurations are written", Duration::from_mins(1), || async {
        let list = namespace.ok(&["get", "oauth2proxies", "-o", "json"], None);
        let list: Value = serde_json::from_str(&list).unwrap_or_default();
        let objects = list.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        let waiting: Vec<_> = objects
            .iter()
            .filter(|object| condition(object, "ConfigRendered") != "True Rendered")
            .map(|object| {
                format!("{}: {}", object["metadata"]["name"], message(object, "ConfigRendered"))
            })
            .collect();
        if waiting.is_empty() && objects.len() == count { Ok(()) } else { Err(waiting) }
    })
    .await;
}
