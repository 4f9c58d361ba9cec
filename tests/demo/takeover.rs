//! The operator of an earlier release protects the demo's app and somebody has logged in; then that of today takes over.
//! `make takeover` builds the earlier programs from the repository's history and names them by `TAKEOVER_FROM`.

use crate::log_in;
use crate::stage::{Demo, OPERATOR};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use tests::client::Browser;
use tests::cluster::{condition, harness_with};
use tests::eventually::eventually;
use tests::prober::Prober;
use tests::process::program;
use tests::proxy::temp_dir;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make takeover builds the programs of an earlier release"]
async fn the_operator_of_today_takes_over_without_a_rollout_a_logout_or_an_open_service() {
    let demo = earlier_demo("o");
    let alice = log_in(&demo).await;
    let before = run_of(&demo);
    let (stranger, member) = probers(&demo, &alice);

    upgrade_the_operator(&demo);
    is_taken_over(&demo).await;
    // What it would do, it would have begun within this.
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(run_of(&demo), before, "a rollout, or new keys");
    assert_eq!(alice.get(&demo.url("/headers")).await.status, 200, "the session of before");
    let _ = log_in(&demo).await;
    stranger.is_content("the operator was replaced");
    member.is_content("the operator was replaced");
    let rates = (stranger.stop().await, member.stop().await);
    assert!(rates.0 >= 50.0 && rates.1 >= 20.0, "requests a second: {rates:?}");

    // Out again goes what the earlier one has put in.
    demo.ok(&["annotate", "deployment", "sample-app", "oauth2proxy.dev/inject-"]);
    eventually("sidecar and companion are gone", Duration::from_mins(3), || async {
        let sidecar = "jsonpath={.spec.template.spec.initContainers}";
        let sidecar = demo.ok(&["get", "deployment", "sample-app", "-o", sidecar]);
        let companion = ["get", "service", "sample-app-oauth2-proxy", "--ignore-not-found"];
        let left = format!("{sidecar}{}", demo.ok(&companion));
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    let target = "jsonpath={.spec.ports[0].targetPort}";
    assert_eq!(demo.ok(&["get", "service", "sample-app", "-o", target]), "http", "as it was");
    demo.down();
}

/// `make demo` of today on that of before.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "make takeover builds the programs of an earlier release"]
async fn the_demo_of_today_comes_up_on_that_of_before() {
    let demo = earlier_demo("n");
    let alice = log_in(&demo).await;
    let (stranger, member) = probers(&demo, &alice);
    demo.bring_up();
    is_taken_over(&demo).await;
    stranger.is_content("the demo of today was brought up on that of before");
    member.is_content("the demo of today was brought up on that of before");
    assert_eq!(alice.get(&demo.url("/headers")).await.status, 200, "the session of before");
    let _ = log_in(&demo).await;
    demo.down();
}

fn earlier_demo(name: &str) -> Demo {
    let from = std::env::var_os("TAKEOVER_FROM").expect("TAKEOVER_FROM: run make takeover");
    Demo::of(&PathBuf::from(from), name)
}

/// Waits until the operator of today has the app on record as its own, and says what it found.
async fn is_taken_over(demo: &Demo) {
    let record = r"jsonpath={.metadata.annotations.oauth2proxy\.dev/injected}";
    eventually("today's operator says what it found", Duration::from_mins(3), || async {
        let record = demo.ok(&["get", "deployment", "sample-app", "-o", record]);
        let object = demo.object();
        let routed = object.pointer("/status/workloads/0/traffic") == Some(&Value::from("Routed"));
        let ready = condition(&object, "Ready") == "True Ready" && routed;
        let own = record.contains(r#""writer":"#);
        if ready && own { Ok(()) } else { Err(format!("{record} {object:#}")) }
    })
    .await;
}

/// What a rollout would change, and what a logout.
fn run_of(demo: &Demo) -> [Vec<String>; 3] {
    let sample = "--selector=app.kubernetes.io/name=sample-app";
    let uids = |kind: &str| {
        let each = r#"jsonpath={range .items[*]}{.metadata.uid}{"\n"}{end}"#;
        let all = demo.ok(&["get", kind, sample, "-o", each]);
        let mut all: Vec<String> = all.lines().map(str::to_owned).collect();
        all.sort();
        all
    };
    let keys = demo.ok(&["get", "secret", "main-cookie", "-o", "jsonpath={.data}"]);
    [uids("pods"), uids("replicasets"), vec![keys]]
}

/// A stranger and Alice, who ask by the Service and by the companion.
fn probers(demo: &Demo, alice: &Browser) -> (Prober, Prober) {
    let addresses = [demo.address("sample-app"), demo.address("sample-app-oauth2-proxy")];
    let cookie = alice.cookies(&demo.url("/"));
    (Prober::stranger(&addresses), Prober::member(&addresses, cookie))
}

/// As an administrator does it: the chart and the image of today, and the proxies go on as they are.
fn upgrade_the_operator(demo: &Demo) {
    let programs = program("operator", "oauth2-proxy-operator");
    program("proxy", "oauth2-proxy");
    program("harness", "sample-app");
    let from = programs.parent().expect("a folder").display().to_string();
    let to = temp_dir();
    let to = to.path().display().to_string();
    harness_with(&[], &["images", "--from", &from, "--to", &to]);
    let archive = format!("{to}/oauth2-proxy-operator.tar");
    harness_with(&[], &["cluster", "load", demo.cluster().name(), &archive]);
    let release = ["upgrade", "oauth2-proxy-operator", &Demo::chart()];
    // The demo keeps no definition, and the chart of today asks whether that is meant.
    let removal = "--set=crds.confirmRemoval=true";
    let values = ["--reset-then-reuse-values", removal, "--wait", "--timeout=3m"];
    demo.helm("helm3", &[&release[..], &values[..]].concat());
    // The name of the image may be the same.
    let cluster = demo.cluster();
    let restart = ["rollout", "restart", "deployment", "--namespace", OPERATOR];
    cluster.ok(&restart, None);
    let wait = ["rollout", "status", "deployment", "--namespace", OPERATOR, "--timeout=3m"];
    cluster.ok(&wait, None);
}
