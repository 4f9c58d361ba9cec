//! No request is lost on the way in, while the configuration changes, in a rollout, and on the way out; and a connection
//! past the proxy is named for as long as it lasts.

use crate::load::Load;
use crate::socket::Socket;
use crate::stage::{Stage, object};
use serde_json::Value;
use std::time::Duration;
use tests::cluster::{condition, message};
use tests::eventually::eventually;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_lost_through_the_whole_life() {
    let mut stage = Stage::new("load").await;
    let load = Load::start(&stage.address(), "/healthz");
    stage.protect().await;
    load.guarded(true);

    stage.space.apply(&object("main", "^/(healthz|ws)"));
    in_force(&stage).await;
    let socket = Socket::open(stage.address());
    eventually("the WebSocket talks", Duration::from_secs(10), || async {
        let so_far = socket.so_far();
        if so_far.1 > 0 { Ok(()) } else { Err(so_far) }
    })
    .await;
    stage.space.apply(&object("main", "^/(healthz|ws|other)"));
    in_force(&stage).await;
    stage.operator = None;
    sleep(Duration::from_secs(2)).await;
    stage.operator = Some(stage.start_operator().await);
    stage.routed().await;
    let (opened, echoes) = socket.so_far();
    assert_eq!(opened, 1, "a reload or the operator's restart ended the WebSocket");
    assert!(echoes > 20, "only {echoes} messages came back");

    stage.space.ok(&["rollout", "restart", "deployment/web"], None);
    stage.available().await;
    stage.routed().await;
    assert!(socket.so_far().1 > echoes, "the WebSocket did not come back after the rollout");
    let of_socket = socket.stop().await;
    assert!(of_socket.is_empty(), "the WebSocket failed: {of_socket:#?}");

    load.guarded(false);
    stage.give_back().await;
    let outcome = load.stop().await;
    assert!(
        outcome.failures.is_empty(),
        "{} failed: {:#?}",
        outcome.failures.len(),
        outcome.failures.iter().take(20).collect::<Vec<_>>()
    );
    assert!(outcome.rate >= 200.0, "only {} requests a second", outcome.rate);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_from_before_is_named_for_as_long_as_it_lasts() {
    let stage = Stage::new("direct").await;
    // The pods have the sidecar, and the Service still leads to the app: so it is for a moment in every injection.
    stage.space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/traffic=Companion"], None);
    stage.space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/inject=main"], None);
    let beside = |object: &Value| {
        object.pointer("/status/workloads/0/traffic") == Some(&Value::from("Companion"))
    };
    stage.space.until("o2p/main", "the sidecars run", beside).await;
    stage.available().await;
    // A pod that ends would take the connection along.
    eventually("the old pods are gone", Duration::from_mins(1), || async {
        let pods = stage.listed("pods");
        if pods.len() == 2 { Ok(()) } else { Err(pods) }
    })
    .await;
    let direct = TcpStream::connect(stage.address()).await.expect("the app answers");
    let (ends, mut end) = tokio::sync::oneshot::channel();
    let kept = tokio::spawn(async move {
        let mut direct = direct;
        while end.try_recv().is_err() {
            assert_eq!(ask(&mut direct).await, 200, "the connection from before");
            sleep(Duration::from_secs(1)).await;
        }
    });

    stage.space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/traffic-"], None);
    let named = |object: &Value| {
        condition(object, "TrafficRouted") == "False DirectConnections"
            && stage.pods().iter().any(|pod| message(object, "TrafficRouted").contains(pod))
    };
    stage.space.until("o2p/main", "the condition names the connection", named).await;
    assert_eq!(crate::stage::status(&stage.address(), "/").await, 403, "a new connection");
    let watched = Instant::now();
    while watched.elapsed() < Duration::from_secs(10) {
        let object = stage.space.get("o2p/main");
        assert!(named(&object), "no longer named while it lasts: {object:#}");
        sleep(Duration::from_millis(500)).await;
    }
    ends.send(()).expect("the connection lasts");
    kept.await.expect("the connection lasted");
    stage.routed().await;
}

/// Waits until both pods run the present configuration and the status says so.
async fn in_force(stage: &Stage) {
    let reloaded = |object: &Value| {
        object.pointer("/status/workloads/0/upToDate") == Some(&Value::from(2))
            && object.pointer("/status/observedGeneration")
                == object.pointer("/metadata/generation")
    };
    stage.space.until("o2p/main", "the change is in force", reloaded).await;
}

/// Sends a request on a connection that stays open; the status of the answer.
async fn ask(connection: &mut TcpStream) -> u16 {
    let request = b"GET /healthz HTTP/1.1\r\nHost: web\r\n\r\n";
    connection.write_all(request).await.expect("the app reads");
    let mut answer = [0; 8192];
    let count = connection.read(&mut answer).await.expect("the app answers");
    let answer = String::from_utf8_lossy(answer.get(..count).unwrap_or_default());
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_another_manager_is_left_alone_and_named() {
    let stage = Stage::new("foreign").await;
    stage.space.ok(&["annotate", "service/web", "meta.helm.sh/release-name=shop"], None);
    stage.space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/inject=main"], None);
    let named = |object: &Value| {
        condition(object, "TrafficRouted") == "False DirectPathOpen"
            && message(object, "TrafficRouted").contains("Helm release \"shop\"")
    };
    stage.space.until("o2p/main", "the Service is named", named).await;
    let target = |service: &Value| service.pointer("/spec/ports/0/targetPort").cloned();
    assert_eq!(target(&stage.space.get("service/web")), Some(Value::from("http")));
    stage.space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/traffic=Retarget"], None);
    stage.routed().await;
    assert_eq!(target(&stage.space.get("service/web")), Some(Value::from(4180)));
    stage.give_back().await;
    assert_eq!(target(&stage.space.get("service/web")), Some(Value::from("http")));
}
