//! An operator that has nothing to do writes nothing.

use crate::stage::Stage;
use serde_json::Value;
use std::time::Duration;
use tests::eventually::eventually;
use tokio::time::sleep;

/// Injected Deployments.
const WORKLOADS: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn five_idle_minutes_with_fifty_injected_deployments_bring_no_write() {
    let stage = Stage::new("idle").await;
    stage.space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/inject=main"], None);
    stage.space.apply(&(1..WORKLOADS).map(workload).collect::<String>());
    eventually("all are injected and routed", Duration::from_mins(6), || async {
        let object = stage.space.get("o2p/main");
        let workloads = object.pointer("/status/workloads").and_then(Value::as_array);
        let routed = |workload: &&Value| {
            workload.get("traffic") == Some(&Value::from("Routed"))
                && workload.get("upToDate") == workload.get("pods")
        };
        let count = workloads.into_iter().flatten().filter(routed).count();
        if count == WORKLOADS { Ok(()) } else { Err(format!("{count}: {object:#}")) }
    })
    .await;
    // What the last pods that became ready bring with them.
    sleep(Duration::from_secs(15)).await;
    let before = writes(&stage).len();
    sleep(Duration::from_mins(5)).await;
    let after = writes(&stage);
    assert!(before > WORKLOADS, "the audit log shows only {before} writes of the operator");
    let new = after.get(before..).unwrap_or_default();
    assert!(new.is_empty(), "{} writes in five idle minutes: {new:#?}", new.len());
}

/// What the operator wrote in the namespace so far; its Lease is in another one.
fn writes(stage: &Stage) -> Vec<String> {
    let text = |event: &Value, pointer: &str| {
        event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let of_operator = |event: &Value| {
        text(event, "/userAgent").starts_with("oauth2-proxy-operator/")
            && text(event, "/objectRef/namespace") == stage.space.name
            && ["create", "update", "patch", "delete"].contains(&text(event, "/verb").as_str())
    };
    let audit = stage.space.cluster.audit();
    let line = |event: &Value| format!("{} {}", text(event, "/verb"), text(event, "/requestURI"));
    audit.iter().filter(|event| of_operator(event)).map(line).collect()
}

/// One of many Deployments, opted in from the start.
fn workload(number: usize) -> String {
    format!(
        "
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: idle-{number}, annotations: {{oauth2proxy.dev/inject: main}}}}
spec:
  selector: {{matchLabels: {{app: idle-{number}}}}}
  template:
    metadata: {{labels: {{app: idle-{number}}}}}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 1
      containers:
        - name: app
          image: ghcr.io/oauth2proxy/sample-app:0.1.0
          ports: [{{name: http, containerPort: 8080}}]
"
    )
}
