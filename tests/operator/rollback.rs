//! `kubectl rollout undo`, which replaces all annotations of a Deployment by those of an older ReplicaSet, and who may bring an
//! opt-in back.

use crate::object;
use crate::objects::{alone, ready};
use crate::services::{carries, deployment};
use serde_json::{Value, json};
use std::time::Duration;
use tests::cluster::Namespace;
use tests::eventually::eventually;
use tokio::time::sleep;

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
";

/// What the deployment controller, which does not run here, keeps of Deployment `web` as it is now.
fn keep_revision(namespace: &Namespace, revision: u32) {
    let web = namespace.get("deployment/web");
    let part = |pointer: &str| web.pointer(pointer).cloned().unwrap_or_default();
    let with = |mut map: Value, key: &str, value: &str| {
        if let Some(map) = map.as_object_mut() {
            map.remove("kubectl.kubernetes.io/last-applied-configuration");
            map.insert(key.to_owned(), value.into());
        }
        map
    };
    let hash = format!("r{revision}");
    let labels = with(part("/spec/template/metadata/labels"), "pod-template-hash", &hash);
    let matched = with(part("/spec/selector/matchLabels"), "pod-template-hash", &hash);
    let revision = revision.to_string();
    let set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": format!("web-{hash}"), "labels": labels,
            "annotations": with(part("/metadata/annotations"), "deployment.kubernetes.io/revision", &revision),
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "controller": true,
                "uid": part("/metadata/uid"),
            }],
        },
        "spec": {"replicas": 0, "selector": {"matchLabels": matched}, "template": {
            "metadata": {"labels": labels, "annotations": part("/spec/template/metadata/annotations")},
            "spec": part("/spec/template/spec"),
        }},
    });
    namespace.ok(&["create", "-f", "-"], Some(&set.to_string()));
}

fn annotation(workload: &Value, name: &str) -> Option<String> {
    let all = workload.pointer("/metadata/annotations")?;
    all.get(format!("oauth2proxy.dev/{name}"))?.as_str().map(str::to_owned)
}

/// Whether the sidecar is there and the record names the companion.
fn settled(workload: &Value) -> bool {
    carries(workload)
        && annotation(workload, "injected").is_some_and(|record| record.contains("\"companion\":"))
}

fn is_turned(service: &Value) -> bool {
    service.pointer("/spec/ports/0/targetPort") == Some(&Value::from(4180))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rollback_brings_back_ends_no_protection() {
    let (namespace, _operator) = alone("undone").await;
    namespace.apply(&object("main", ""));
    namespace.until("o2p/main", "the object is ready", ready).await;
    namespace.apply(SERVICE);
    namespace.apply(&deployment("web", "app: web", "false"));
    keep_revision(&namespace, 1);
    namespace
        .ok(&["annotate", "--overwrite", "deployment/web", "oauth2proxy.dev/inject=main"], None);
    namespace.until("deployment/web", "the sidecar comes", settled).await;
    namespace.until("service/web", "it is turned", is_turned).await;
    let remembered = |service: &Value| annotation(service, "opted-in").is_some();
    namespace.until("service/web-oauth2-proxy", "the opt-in is remembered", remembered).await;
    keep_revision(&namespace, 2);

    namespace.ok(&["rollout", "undo", "deployment/web"], None);
    let back = |workload: &Value| {
        carries(workload) && annotation(workload, "inject").as_deref() == Some("main")
    };
    namespace.until("deployment/web", "opt-in and sidecar come back", back).await;
    assert!(is_turned(&namespace.get("service/web")));

    let mode = "oauth2proxy.dev/traffic";
    let companion = format!("{mode}=Companion");
    namespace.ok(&["annotate", "deployment/web", &companion], None);
    namespace.until("service/web", "a person is obeyed", |service| !is_turned(service)).await;
    namespace.ok(&["set", "image", "deployment/web", "app=app:3"], None);
    namespace.until("deployment/web", "the sidecar stays", settled).await;
    keep_revision(&namespace, 3);
    namespace.ok(&["annotate", "deployment/web", &format!("{mode}-")], None);
    namespace.ok(&["set", "image", "deployment/web", "app=app:4"], None);
    namespace.until("service/web", "it is turned again", is_turned).await;
    keep_revision(&namespace, 4);
    namespace.ok(&["rollout", "undo", "deployment/web"], None);
    let told = |object: &Value| {
        let message = object.pointer("/status/workloads/0/message").and_then(Value::as_str);
        message.is_some_and(|message| message.starts_with("RolledBack"))
    };
    namespace.until("o2p/main", "it is told", told).await;
    assert_eq!(
        annotation(&namespace.get("deployment/web"), "traffic").as_deref(),
        Some("Companion")
    );
    assert!(is_turned(&namespace.get("service/web")));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_write_services_alone_opts_nobody_in() {
    let (namespace, _operator) = alone("forged").await;
    namespace.apply(&object("main", ""));
    namespace.until("o2p/main", "the object is ready", ready).await;
    let plain = deployment("web", "app: web", "main")
        .replace(", annotations: {oauth2proxy.dev/inject: \"main\"}", "");
    namespace.apply(&plain);
    let uid = namespace.get("deployment/web")["metadata"]["uid"].clone();
    let forged = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": "web-oauth2-proxy",
            "labels": {"app.kubernetes.io/managed-by": "oauth2-proxy-operator", "oauth2proxy.dev/traffic": "companion"},
            "annotations": {"oauth2proxy.dev/workload": "web", "oauth2proxy.dev/opted-in": "main"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": uid}],
        },
        "spec": {"selector": {"name": "web"}, "ports": [{"port": 80, "targetPort": 4180}]},
    });
    namespace.ok(&["create", "-f", "-"], Some(&forged.to_string()));
    eventually("it is told on the workload", Duration::from_secs(30), || async {
        let selector = "--field-selector=reason=RolledBack,involvedObject.kind=Deployment";
        let events = namespace.ok(&["get", "events", selector, "-o", "json"], None);
        let step = "kubectl delete service web-oauth2-proxy";
        if events.contains(step) { Ok(()) } else { Err(events) }
    })
    .await;
    // No event can say that nothing more comes.
    sleep(Duration::from_secs(2)).await;
    let web = namespace.get("deployment/web");
    assert!(annotation(&web, "inject").is_none() && !carries(&web));
}
