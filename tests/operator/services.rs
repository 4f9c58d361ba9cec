//! Services of annotated Deployments whose pods are none, so that all of them are ready at once.

use crate::object;
use crate::objects::{alone, ready, writes};
use serde_json::Value;
use std::time::Duration;
use tests::cluster::{Namespace, message};
use tests::eventually::eventually;
use tokio::time::sleep;

pub(crate) fn deployment(name: &str, labels: &str, inject: &str) -> String {
    format!(
        "
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, annotations: {{oauth2proxy.dev/inject: \"{inject}\"}}}}
spec:
  replicas: 0
  selector: {{matchLabels: {{name: {name}}}}}
  template:
    metadata: {{labels: {{name: {name}, {labels}}}}}
    spec: {{containers: [{{name: app, image: app, ports: [{{containerPort: 8080, name: http}}]}}]}}
"
    )
}

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
";

fn target(service: &Value) -> &Value {
    service.pointer("/spec/ports/0/targetPort").unwrap_or(&Value::Null)
}

pub(crate) fn carries(deployment: &Value) -> bool {
    deployment.pointer("/spec/template/spec/initContainers/0/name")
        == Some(&Value::from("oauth2-proxy"))
}

/// One Deployment behind one Service, protected.
async fn protected(namespace: &Namespace) {
    namespace.apply(&object("main", ""));
    namespace.until("o2p/main", "the object is ready", ready).await;
    namespace.apply(SERVICE);
    namespace.apply(&deployment("web", "app: web", "main"));
    namespace.until("service/web", "it is turned", |service| target(service) == 4180).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workloads_that_share_a_service_do_not_take_turns_at_it() {
    let (namespace, _operator) = alone("shared").await;
    namespace.apply(&object("main", ""));
    namespace.until("o2p/main", "the object is ready", ready).await;
    namespace.apply(&deployment("stable", "app: web", "main"));
    namespace.apply(&deployment("canary", "app: web", "main"));
    for name in ["deployment/stable", "deployment/canary"] {
        namespace.until(name, "the sidecar comes", carries).await;
    }
    namespace.apply(SERVICE);
    namespace.until("service/web", "it is turned", |service| target(service) == 4180).await;
    // No event can say that nothing more comes.
    sleep(Duration::from_secs(3)).await;
    let turns = writes(&namespace).into_iter().filter(|write| write == "patch services web");
    // Both may have tried, and one of them have met the other's.
    assert!(turns.count() <= 2);

    // The one that is on record goes: the other takes the Service over, original and all.
    let record = |service: &Value| {
        let text = service.pointer("/metadata/annotations/oauth2proxy.dev~1original-ports");
        text.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let first = if record(&namespace.get("service/web")).contains("canary") {
        ("canary", "stable")
    } else {
        ("stable", "canary")
    };
    namespace.ok(&["delete", "deployment", first.0], None);
    let named = |service: &Value| record(service).contains(first.1) && target(service) == 4180;
    namespace.until("service/web", "the other is on record", named).await;
    namespace.ok(&["annotate", "deployment", first.1, "oauth2proxy.dev/inject-"], None);
    namespace.until("service/web", "it is restored", |service| target(service) == "http").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_selects_others_by_now_is_restored() {
    let (namespace, _operator) = alone("selects").await;
    protected(&namespace).await;
    let other = r#"{"spec": {"selector": {"app": "green"}}}"#;
    namespace.ok(&["patch", "service", "web", "-p", other], None);
    namespace.until("service/web", "it is restored", |service| target(service) == "http").await;
    let back = r#"{"spec": {"selector": {"app": "web"}}}"#;
    namespace.ok(&["patch", "service", "web", "-p", back], None);
    namespace.until("service/web", "it is turned again", |service| target(service) == 4180).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_without_sidecar_that_joins_a_turned_service_is_named() {
    let (namespace, _operator) = alone("stray").await;
    protected(&namespace).await;
    namespace.apply(
        "
apiVersion: v1
kind: Pod
metadata: {name: stray, labels: {app: web}}
spec: {containers: [{name: app, image: app}]}
",
    );
    // A pod that no workload made is found by the next look, which a change of the Service brings about at once.
    namespace.ok(&["annotate", "service/web", "example.com/touched=yes"], None);
    let named = |object: &Value| message(object, "TrafficRouted").contains("pod stray");
    namespace.until("o2p/main", "the pod is named", named).await;
    assert_eq!(target(&namespace.get("service/web")), 4180, "it opens nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_label_was_taken_away_is_restored_all_the_same() {
    let (namespace, operator) = alone("label").await;
    protected(&namespace).await;
    drop(operator);
    namespace.ok(&["label", "service", "web", "oauth2proxy.dev/traffic-"], None);
    namespace.ok(&["annotate", "deployment", "web", "oauth2proxy.dev/inject-"], None);
    let flags = ["--lease-name=label", "--scope=namespaces", "--namespaces=label"];
    let _operator = namespace.cluster.operator("label-1", &flags).await;
    namespace.until("deployment/web", "the sidecar goes", |web| !carries(web)).await;
    assert_eq!(target(&namespace.get("service/web")), "http");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_no_object_can_have_is_told_on_the_workload() {
    let (namespace, _operator) = alone("names").await;
    namespace.apply(&deployment("web", "app: web", "main other"));
    eventually("it is told", Duration::from_secs(30), || async {
        let selector = "--field-selector=reason=InvalidAnnotation,involvedObject.kind=Deployment";
        let events = namespace.ok(&["get", "events", selector, "-o", "json"], None);
        if events.contains("main other") { Ok(()) } else { Err(events) }
    })
    .await;
}
