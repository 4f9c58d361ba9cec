//! An operator of all namespaces but one, with the rights that the chart gives it for that. It needs a cluster of its own:
//! it would look after the namespaces of every other test.

use crate::objects::ready;
use crate::services::{carries, deployment};
use crate::{CLIENT_SECRET, object};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;
use tests::cluster::{Cluster, Namespace};
use tests::eventually::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn in_a_namespace_that_is_left_out_nothing_is_done_and_who_asks_is_told() {
    let cluster = Cluster::with_definition(&format!("x{}", std::process::id()));
    let (left, kept) = (cluster.namespace("left"), cluster.namespace("kept"));
    for namespace in [&left, &kept] {
        namespace.apply(CLIENT_SECRET);
        namespace.apply(&object("main", ""));
        namespace.apply(&deployment("web", "app: web", "main"));
    }
    let _operator = cluster.operator("excluded-0", &["--exclude-namespaces=left"]).await;
    kept.until("o2p/main", "the object that counts is ready", ready).await;
    kept.until("deployment/web", "the workload that counts is injected", carries).await;
    told(&left, "Deployment", "oauth2proxy.dev/inject=main has no effect").await;
    told(&left, "OAuth2Proxy", "nothing is done for this object").await;
    // What comes later is seen as well.
    left.apply(&deployment("late", "app: late", "main"));
    told(&left, "Deployment", "late").await;

    assert!(!carries(&left.get("deployment/web")));
    assert!(left.get("o2p/main").get("status").is_none());
    assert!(left.get("o2p/main").pointer("/metadata/finalizers").is_none());
    let requests: BTreeSet<_> = requests(&cluster, "left");
    let allowed = [
        "create events",
        "list deployments",
        "list oauth2proxies",
        "patch events",
        "watch deployments",
        "watch oauth2proxies",
    ];
    let more: Vec<_> =
        requests.iter().filter(|request| !allowed.contains(&request.as_str())).collect();
    assert!(more.is_empty(), "in the namespace that is left out: {more:?}");
    assert!(requests.contains("create events"), "{requests:?}");
}

async fn told(namespace: &Namespace, kind: &str, what: &str) {
    eventually("it is told", Duration::from_secs(30), || async {
        let selector = format!("--field-selector=involvedObject.kind={kind}");
        let events = namespace.ok(&["get", "events", &selector, "-o", "json"], None);
        let says = events.contains(what) && events.contains("scope.excludeNamespaces");
        if says { Ok(()) } else { Err(events) }
    })
    .await;
}

/// Verb and resource of what operators asked of the API server in a namespace, all with the account of the chart.
fn requests(cluster: &Cluster, namespace: &str) -> BTreeSet<String> {
    let text = |event: &Value, pointer: &str| {
        event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let audit = cluster.audit();
    let ours = audit
        .iter()
        .filter(|event| text(event, "/userAgent").starts_with("oauth2-proxy-operator/"));
    ours.inspect(|event| {
        let user = text(event, "/user/username");
        assert_eq!(user, "system:serviceaccount:default:oauth2-proxy-operator");
    })
    .filter(|event| text(event, "/objectRef/namespace") == namespace)
    .map(|event| format!("{} {}", text(event, "/verb"), text(event, "/objectRef/resource")))
    .collect()
}
