//! The end of objects, and an operator that is killed after each of its writes.

use crate::stage::{Stage, carries, status};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use tests::cluster::{condition, message};
use tests::process::program;
use tokio::time::Instant;

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
    stage.space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/inject-"], None);
    assert_eq!(stage.snapshot(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_killed_after_each_write_ends_in_the_same_state() {
    let operator = program("operator", "oauth2-proxy-operator");
    let stage = Stage::without_operator("killed").await;
    let before = stage.snapshot();
    stage.space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/inject=main"], None);
    let kills = kill_after_each_write(&stage, &operator, |stage| {
        stage.space.get("o2p/main").pointer("/status/workloads/0/traffic")
            == Some(&Value::from("Routed"))
    });
    assert!(kills >= 6, "only {kills} writes were seen");
    assert_eq!(status(&stage.address(), "/healthz").await, 200);
    assert_ne!(status(&stage.address(), "/").await, 200);
    stage.space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/inject-"], None);
    let kills = kill_after_each_write(&stage, &operator, |stage| {
        !carries(&stage.space.get("deployment/web"))
            && stage.space.get("service/web-oauth2-proxy").is_null()
    });
    assert!(kills >= 3, "only {kills} writes were seen");
    stage.available().await;
    assert_eq!(stage.snapshot(), before);
}

/// Starts the operator over and over. Each process makes one write and dies before the next. Ends when `done` holds.
fn kill_after_each_write(stage: &Stage, operator: &PathBuf, done: impl Fn(&Stage) -> bool) -> u32 {
    let end = Instant::now() + Duration::from_mins(4);
    let (namespaces, lease) = (
        format!("--namespaces={}", stage.space.name),
        format!("--lease-name={}", stage.space.name),
    );
    let flags = ["--scope=namespaces", &namespaces, &lease];
    let home = tests::proxy::temp_dir();
    let kubeconfig = stage.space.cluster.account(&flags, home.path());
    let mut kills = 0;
    while !done(stage) {
        assert!(Instant::now() < end, "not done after {kills} kills");
        let mut process = Command::new(operator)
            .env("KUBECONFIG", &kubeconfig)
            .env("POD_NAME", "killed")
            .env("POD_NAMESPACE", "default")
            .env("OAUTH2_PROXY_OPERATOR_FAULT_AT", "2")
            .args(["run", "--proxy-image=none", "--admin-address=127.0.0.1:0"])
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("the operator does not start: {error}"));
        loop {
            if process.try_wait().is_ok_and(|status| status.is_some()) {
                kills += 1;
                break;
            }
            // What is awaited may need no further write.
            if done(stage) || Instant::now() > end {
                let _ = process.kill();
                let _ = process.wait();
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    kills
}
