//! A pod whose specification is behind is given a configuration that it can start with.

use crate::stage::Stage;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_of_a_paused_workload_starts_although_a_newer_configuration_names_a_file() {
    let stage = Stage::new("behind").await;
    stage.protect().await;
    let space = &stage.space;
    let two = |secret: &Value| secret["data"]["config.v1.2.json"].is_string();
    space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/paused=true"], None);
    space.ok(&["create", "secret", "generic", "people", "--from-literal=list=a@example.com"], None);
    let people = r#"{"spec": {"access": {"emailsFrom": {"secretKeyRef": {"name": "people", "key": "list"}}}}}"#;
    space.ok(&["patch", "o2p/main", "--type=merge", "-p", people], None);
    space.until("secret/main-config", "the earlier one is kept beside it", two).await;
    // New pods, with the volume of before.
    space.ok(&["delete", "pods", "-l", "app=web"], None);
    stage.available().await;
    assert!(two(&space.get("secret/main-config")));

    space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/paused-"], None);
    space.until("secret/main-config", "every pod has the file", |secret| !two(secret)).await;
    stage.available().await;
    let present =
        |object: &Value| object.pointer("/status/workloads/0/upToDate") == Some(&Value::from(2));
    space.until("o2p/main", "all have it in force", present).await;
}
