//! The end of objects.

use crate::stage::{Stage, carries, status};
use serde_json::Value;
use tests::cluster::{condition, message};

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_deletion_names_the_workload_and_waits_for_it() {
    let stage = Stage::new("block").await;
    stage.protect().await;
    stage.space.ok(&["delete", "o2p/main", "--wait=false"], None);
    let blocked = |object: &Value| condition(object, "Ready") == "False DeletionBlocked";
    let object = stage.space.until("o2p/main", "the deletion waits", blocked).await;
    assert!(message(&object, "Ready").contains("Deployment web"), "{}", message(&object, "Ready"));
    assert!(carries(&stage.space.get("deployment/web")));
    assert_eq!(status(&stage.address(), "/healthz").await, 200);
    stage.give_back().await;
    stage.space.until("o2p/main", "the object goes", Value::is_null).await;
}

/// The collector deletes what a deleted object owns in the foreground, whatever holds the object itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreground_deletion_that_is_blocked_leaves_pods_their_secrets() {
    let stage = Stage::new("foreground").await;
    stage.protect().await;
    let keys = stage.space.get("secret/main-cookie");
    stage.space.ok(&["delete", "o2p/main", "--cascade=foreground", "--wait=false"], None);
    let blocked = |object: &Value| condition(object, "Ready") == "False DeletionBlocked";
    stage.space.until("o2p/main", "the deletion waits", blocked).await;
    // Pods that are made now mount what the collector would have taken by then.
    stage.space.ok(&["rollout", "restart", "deployment/web"], None);
    stage.available().await;
    assert_eq!(stage.space.get("secret/main-cookie")["data"], keys["data"]);
    assert!(!stage.space.get("secret/main-config").is_null());
    stage.give_back().await;
    stage.space.until("o2p/main", "the object goes", Value::is_null).await;
    assert!(stage.space.get("secret/main-cookie").is_null(), "the Secrets go before the object");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removing_deletion_gives_the_workload_back() {
    let stage = Stage::new("remove").await;
    let before = stage.snapshot();
    stage.protect().await;
    stage.space.ok(
        &["patch", "o2p/main", "--type=merge", "-p", r#"{"spec":{"deletionPolicy":"Remove"}}"#],
        None,
    );
    stage.space.ok(&["delete", "o2p/main", "--wait=false"], None);
    stage.bare().await;
    stage.space.until("o2p/main", "the object goes", Value::is_null).await;
    // It has said until now that it waits for its object.
    stage.space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/inject-"], None);
    let silent =
        |live: &Value| live.pointer("/metadata/annotations/oauth2proxy.dev~1status").is_none();
    stage.space.until("deployment/web", "it says nothing of itself any more", silent).await;
    assert_eq!(stage.snapshot(), before);
}
