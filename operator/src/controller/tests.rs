//! Turns of a controller, with nothing behind them but what each test says.

use super::*;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::core::Status;
use kube::core::response::StatusDetails;
use kube::runtime::reflector::store;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use serde_json::json;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::time::{sleep, timeout};

/// Of a replica that leads, or that waits until it is said.
fn gate(leads: bool) -> (Gate, impl Fn(bool)) {
    let (lead, leader) = Leadership::of_test();
    lead(leads);
    let gate = Gate {
        leader,
        stop: CancellationToken::new(),
        metrics: Metrics::new(),
        scope: Scope::Namespace("shop".to_owned()),
        pace: Pace { concurrency: 4, resync: Duration::from_mins(10) },
        running: Running::default(),
        budget: Budget::default(),
    };
    (gate, lead)
}

fn secret(name: &str) -> Arc<Secret> {
    let mut secret = Secret::default();
    secret.metadata.name = Some(name.to_owned());
    secret.metadata.namespace = Some("shop".to_owned());
    Arc::new(secret)
}

fn reference(name: &str) -> ObjectRef<Secret> {
    ObjectRef::new(name).within("shop")
}

/// A controller of the Secrets `a` and `b`, and the ends that keep it going.
fn controller() -> (Controller<Secret>, Queue<Secret>, Writer<Secret>) {
    let (store, mut writer) = store();
    writer.apply_watcher_event(&Event::Init);
    for name in ["a", "b"] {
        writer.apply_watcher_event(&Event::InitApply(secret(name).as_ref().clone()));
    }
    writer.apply_watcher_event(&Event::InitDone);
    let (queue, requests) = queue();
    (
        Controller {
            name: "test",
            share: Share::Told,
            objects: Objects::listed_already(store),
            requests,
        },
        queue,
        writer,
    )
}

fn answer(code: u16, retry_after_seconds: u32) -> Failure {
    let details = json!({"retryAfterSeconds": retry_after_seconds});
    let details: StatusDetails = serde_json::from_value(details).unwrap();
    let status = Status::failure("no", "Reason").with_code(code).with_details(details);
    Failure::api("reading", &kube::Error::Api(Box::new(status)))
}

fn has(gate: &Gate, line: &str) -> bool {
    gate.metrics.encode().unwrap().lines().any(|found| found == line)
}

fn failures(reason: &str) -> String {
    format!(
        "oauth2_proxy_operator_reconcile_failures_total{{controller=\"test\",reason=\"{reason}\"}} 1"
    )
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_busy_is_left_alone_for_as_long_as_it_asks() {
    let ((gate, _lead), backoff) = (gate(true), Backoff::default());
    let turn = |_: Arc<Secret>| async { Err(answer(429, 90)) };
    let delay = attempt(("test", Share::Told, &gate), &secret("a"), &backoff, &turn).await;
    assert!(delay >= Duration::from_secs(90) && delay < Duration::from_mins(2), "{delay:?}");
    assert!(has(&gate, &failures("api")));
}

#[tokio::test(start_paused = true)]
async fn an_api_server_in_trouble_is_asked_less_and_less() {
    let ((gate, _lead), backoff) = (gate(true), Backoff::default());
    for code in [410, 500, 503] {
        backoff.forget("shop/a");
        let turn = move |_: Arc<Secret>| async move { Err(answer(code, 0)) };
        let mut delays = Vec::new();
        for _ in 0..12 {
            delays.push(attempt(("test", Share::Told, &gate), &secret("a"), &backoff, &turn).await);
        }
        assert!(delays[0] >= Duration::from_secs(1) && delays[11] >= Duration::from_mins(5));
        assert!(delays.windows(2).take(7).all(|pair| pair[0] < pair[1]), "{code}: {delays:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_gets_no_answer_gives_its_place_back() {
    let silent = tower::service_fn(|_: http::Request<kube::client::Body>| {
        std::future::pending::<Result<http::Response<kube::client::Body>, Infallible>>()
    });
    let api: Api<Secret> = Api::namespaced(kube::Client::new(silent, "shop"), "shop");
    let ((gate, _lead), backoff) = (gate(true), Backoff::default());
    let turn = |_: Arc<Secret>| async {
        let read = api.get("a").await;
        read.map(|_| Next::Resync).map_err(|error| Failure::api("reading", &error))
    };
    let start = Instant::now();
    attempt(("test", Share::Told, &gate), &secret("a"), &backoff, &turn).await;
    assert_eq!(start.elapsed(), TIME_LIMIT);
    assert!(has(&gate, &failures("api")));
}

#[tokio::test(start_paused = true)]
async fn an_object_whose_turn_panics_stops_no_other() {
    let (gate, _lead) = gate(true);
    let (controller, queue, _writer) = controller();
    let (done, turns) = (Arc::new(AtomicUsize::new(0)), Arc::default());
    let task = controller.run(gate.clone(), Arc::default(), {
        let (done, turns): (_, Arc<Mutex<Vec<String>>>) = (Arc::clone(&done), Arc::clone(&turns));
        move |object| {
            let (done, turns) = (Arc::clone(&done), Arc::clone(&turns));
            async move {
                turns.lock().unwrap().push(object.name_any());
                assert_ne!(object.name_any(), "a", "boom");
                done.fetch_add(1, Ordering::SeqCst);
                Ok(Next::Resync)
            }
        }
    });
    tokio::spawn(task);
    queue.push(reference("a"));
    queue.push(reference("b"));
    sleep(Duration::from_mins(1)).await;
    assert_eq!(done.load(Ordering::SeqCst), 1, "{:?}", turns.lock().unwrap());
    assert!(has(&gate, &failures("defect")));
    // It gets another turn, and not at once.
    sleep(Duration::from_mins(8)).await;
    assert_eq!(turns.lock().unwrap().iter().filter(|name| *name == "a").count(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_is_forgotten_and_waits_for_nothing() {
    let ((gate, _lead), backoff) = (gate(true), Arc::new(Backoff::default()));
    let (controller, queue, mut writer) = controller();
    let task =
        controller.run(gate.clone(), Arc::clone(&backoff), |_| async { Err(answer(500, 0)) });
    tokio::spawn(task);
    queue.push(reference("a"));
    sleep(Duration::from_secs(3)).await;
    assert!(!backoff.is_empty());
    assert!(has(&gate, "oauth2_proxy_operator_queue_depth{controller=\"test\"} 0"));
    writer.apply_watcher_event(&Event::Delete(secret("a").as_ref().clone()));
    let forgotten = async {
        while !backoff.is_empty() {
            sleep(Duration::from_secs(1)).await;
        }
    };
    timeout(Duration::from_mins(10), forgotten).await.unwrap();
    assert!(has(&gate, "oauth2_proxy_operator_queue_depth{controller=\"test\"} 0"));
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_counted_until_its_turn_begins() {
    let (gate, lead) = gate(false);
    let (controller, queue, _writer) = controller();
    tokio::spawn(controller.run(gate.clone(), Arc::default(), |_| async { Ok(Next::Resync) }));
    for name in ["a", "b", "a", "gone"] {
        queue.push(reference(name));
    }
    let depth = |depth| format!("oauth2_proxy_operator_queue_depth{{controller=\"test\"}} {depth}");
    sleep(Duration::from_secs(1)).await;
    assert!(has(&gate, &depth(2)), "{}", gate.metrics.encode().unwrap());
    lead(true);
    sleep(Duration::from_secs(1)).await;
    assert!(has(&gate, &depth(0)));
}
