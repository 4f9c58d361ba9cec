//! An operator that is killed after each of its writes, whichever of its controllers made it, and started again.

use crate::stage::{Stage, app, carries, status};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tests::eventually::eventually;
use tests::prober::Prober;
use tests::process::program;
use tokio::time::{Instant, sleep};

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_killed_after_each_write_ends_in_the_same_state() {
    let stage = Stage::without_operator("killed").await;
    let before = stage.snapshot();
    stage.space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/inject=main"], None);
    let written = kill_after_each_write(&stage, |stage| leads_to(stage, 4180) && is_routed(stage));
    assert_written(&written, &["deployments/web", "services/web", "services/web-oauth2-proxy"]);
    assert_written(&written, &["secrets/main-config", "secrets", "oauth2proxies/main/status"]);
    assert_eq!(status(&stage.address(), "/healthz").await, 200);
    assert_ne!(status(&stage.address(), "/").await, 200);
    stage.space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/inject-"], None);
    let written = kill_after_each_write(&stage, |stage| {
        !carries(&stage.space.get("deployment/web"))
            && stage.space.get("service/web-oauth2-proxy").is_null()
    });
    assert_written(&written, &["deployments/web", "services/web", "services/web-oauth2-proxy"]);
    stage.available().await;
    assert_eq!(stage.snapshot(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_killed_after_each_write_of_a_change_a_repair_and_a_deletion_opens_nothing() {
    let mut stage = Stage::new("rekilled").await;
    let before = stage.snapshot().map(|object| object["spec"].clone());
    stage.protect().await;
    stage.operator = None;
    let stranger = Prober::stranger(&[stage.address()]);
    eventually("nobody is let in", Duration::from_secs(30), || async {
        sleep(Duration::from_secs(1)).await;
        let wrong = stranger.take();
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    })
    .await;

    stage.space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/port=4280"], None);
    let written = kill_after_each_write(&stage, |stage| leads_to(stage, 4280) && is_routed(stage));
    assert_written(&written, &["deployments/web", "services/web", "services/web-oauth2-proxy"]);
    stage.available().await;
    stranger.is_content("another port");

    // Both are written back at once, marks and records and all.
    let asking = "oauth2proxy.dev/inject: main, oauth2proxy.dev/port: \"4280\"";
    let bare = "metadata: {name: web, labels: {app: web}}";
    let asking =
        format!("metadata: {{name: web, labels: {{app: web}}, annotations: {{{asking}}}}}");
    stage.space.ok(&["replace", "-f", "-"], Some(&app(2).replace(bare, &asking)));
    let written = kill_after_each_write(&stage, |stage| {
        leads_to(stage, 4280) && carries(&stage.space.get("deployment/web")) && is_routed(stage)
    });
    assert_written(&written, &["deployments/web", "services/web"]);
    stage.available().await;
    // It was open until an operator came; from then on nothing is.
    let _ = stranger.take();

    stage.space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/port-"], None);
    let remove = r#"{"spec": {"deletionPolicy": "Remove"}}"#;
    stage.space.ok(&["patch", "o2p/main", "--type=merge", "-p", remove], None);
    stage.space.ok(&["delete", "o2p/main", "--wait=false"], None);
    stranger.is_content("the deletion begins");
    let written = kill_after_each_write(&stage, |stage| stage.space.get("o2p/main").is_null());
    assert_written(&written, &["deployments/web", "services/web", "services/web-oauth2-proxy"]);
    assert_written(&written, &["secrets/main-config", "secrets/main-cookie", "oauth2proxies/main"]);
    stage.bare().await;
    for secret in ["secret/main-config", "secret/main-cookie"] {
        assert!(stage.space.get(secret).is_null(), "{secret} is left");
    }
    // What `replace` wiped, such as kubectl's own annotation, stays wiped.
    assert_eq!(stage.snapshot().map(|object| object["spec"].clone()), before);
    stranger.stop().await;
}

/// Whether the Service and the companion lead there.
fn leads_to(stage: &Stage, port: u16) -> bool {
    ["service/web", "service/web-oauth2-proxy"].iter().all(|service| {
        let service = stage.space.get(service);
        service.pointer("/spec/ports/0/targetPort") == Some(&Value::from(port))
    })
}

fn is_routed(stage: &Stage) -> bool {
    let object = stage.space.get("o2p/main");
    object.pointer("/status/workloads/0/traffic") == Some(&Value::from("Routed"))
}

fn assert_written(written: &BTreeSet<String>, these: &[&str]) {
    for one in these {
        assert!(written.contains(*one), "nobody was killed after a write of {one}: {written:#?}");
    }
}

/// Starts the operator over and over. Each process makes one write and dies before the next. Ends when `done` holds; what was
/// written, each by a process that died right after it.
fn kill_after_each_write(stage: &Stage, done: impl Fn(&Stage) -> bool) -> BTreeSet<String> {
    let end = Instant::now() + Duration::from_mins(5);
    let operator = program("operator", "oauth2-proxy-operator");
    let name = &stage.space.name;
    let (namespaces, lease) = (format!("--namespaces={name}"), format!("--lease-name={name}"));
    let flags = ["--scope=namespaces", &namespaces, &lease];
    let home = tests::proxy::temp_dir();
    let kubeconfig = stage.space.cluster.account(&flags, home.path());
    let mut written = BTreeSet::new();
    while !done(stage) {
        assert!(Instant::now() < end, "not done after {written:#?}");
        let log = home.path().join("log");
        let mut process = Command::new(&operator)
            .env("KUBECONFIG", &kubeconfig)
            .env("POD_NAME", name)
            .env("POD_NAMESPACE", "default")
            .env("OAUTH2_PROXY_OPERATOR_FAULT_AT", "2")
            .args(["run", "--proxy-image=none", "--admin-address=127.0.0.1:0"])
            .arg("--log-format=json")
            .args(flags)
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap_or_else(|error| panic!("{}: {error}", log.display())))
            .spawn()
            .unwrap_or_else(|error| panic!("the operator does not start: {error}"));
        // What is awaited may need no further write.
        while !process.try_wait().is_ok_and(|status| status.is_some())
            && !done(stage)
            && Instant::now() < end
        {
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = (process.kill(), process.wait());
        written.extend(first_write(&log, name));
    }
    written
}

/// What a process wrote, by its fault points: kind and name of the object, or the kind of a new one.
fn first_write(log: &Path, namespace: &str) -> Option<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let first = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|line| line.get("number") == Some(&Value::from(1)))?;
    let path = first.get("path")?.as_str()?;
    Some(path.split_once(&format!("/namespaces/{namespace}/"))?.1.to_owned())
}
