//! An application that was protected once answers nobody without a login, whatever becomes of its neighbours, its object, its
//! annotations and its Service; somebody without a session asks all the time, by the Service and by the companion.

use crate::stage::{Stage, app, carries};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tests::cluster::{condition, message};
use tests::eventually::eventually;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// Where somebody else writes to the Service itself it is open until it is turned again and kube-proxy has followed, which it
/// does once a second. On a machine that does a lot besides, some more.
const OPEN: Duration = Duration::from_secs(4);

/// Somebody without a session, who opens a connection for each request.
struct Prober {
    state: Arc<State>,
    clients: JoinSet<()>,
    start: Instant,
}

#[derive(Default)]
struct State {
    stop: AtomicBool,
    asked: AtomicU64,
    /// When the application answered.
    leaks: Mutex<Vec<Instant>>,
}

impl Prober {
    /// Asks each of these addresses some 60 times a second.
    fn start(addresses: &[String]) -> Self {
        let state = Arc::new(State::default());
        let mut clients = JoinSet::new();
        for address in addresses.iter().flat_map(|address| std::iter::repeat_n(address, 3)) {
            clients.spawn(ask(address.clone(), Arc::clone(&state)));
        }
        Self { state, clients, start: Instant::now() }
    }

    /// Takes what has leaked so far.
    fn leaks(&self) -> Vec<Instant> {
        std::mem::take(&mut *self.state.leaks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Watches for a while in which nothing may leak.
    async fn nothing_leaks(&self, what: &str) {
        sleep(Duration::from_secs(3)).await;
        let leaks = self.leaks();
        assert!(leaks.is_empty(), "{} answers of the application: {what}", leaks.len());
    }

    /// Ends it; requests a second.
    async fn stop(mut self) -> f64 {
        self.state.stop.store(true, Ordering::Relaxed);
        while self.clients.join_next().await.is_some() {}
        let asked = u32::try_from(self.state.asked.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        f64::from(asked) / self.start.elapsed().as_secs_f64()
    }
}

async fn ask(address: String, state: Arc<State>) {
    while !state.stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        if let Ok(Ok(200)) = timeout(Duration::from_secs(2), status(&address)).await {
            state.leaks.lock().unwrap_or_else(PoisonError::into_inner).push(began);
        }
        state.asked.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(50)).await;
    }
}

/// The status of the application's page on a connection of its own.
async fn status(address: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n").await?;
    let mut answer = [0; 64];
    let count = stream.read(&mut answer).await?;
    let answer = String::from_utf8_lossy(answer.get(..count).unwrap_or_default()).into_owned();
    Ok(answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default())
}

/// A Deployment of its own behind Service `web`.
fn neighbour(name: &str, replicas: u32, annotation: &str, more: &str) -> String {
    format!(
        "
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, annotations: {{{annotation}}}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{of: {name}}}}}
  template:
    metadata: {{labels: {{of: {name}, app: web}}}}
    spec:
      {more}
      containers:
        - name: app
          image: ghcr.io/oauth2proxy/sample-app:0.1.0
          ports: [{{name: http, containerPort: 8080}}]
          readinessProbe: {{httpGet: {{path: /healthz, port: http}}, periodSeconds: 1}}
"
    )
}

fn target(service: &Value) -> Option<Value> {
    service.pointer("/spec/ports/0/targetPort").cloned()
}

fn is_turned(service: &Value) -> bool {
    target(service) == Some(Value::from(4180))
}

/// Puts the Service as its manifest has it, and waits until it is turned again.
async fn apply_again(stage: &Stage) {
    let back = r#"{"spec": {"ports": [{"name": "http", "port": 80, "targetPort": "http"}]}}"#;
    stage.space.ok(&["patch", "service/web", "--type=merge", "-p", back], None);
    stage.space.until("service/web", "it is turned again", is_turned).await;
}

/// Protected, with somebody who asks.
async fn guarded(name: &str) -> (Stage, Prober) {
    let stage = Stage::new(name).await;
    stage.protect().await;
    let companion = |service: &Value| {
        service.pointer("/metadata/annotations/oauth2proxy.dev~1routed").is_some()
    };
    let companion =
        stage.space.until("service/web-oauth2-proxy", "it is remembered", companion).await;
    let companion =
        companion.pointer("/spec/clusterIP").and_then(Value::as_str).unwrap_or_default();
    let prober = Prober::start(&[stage.address(), format!("{companion}:80")]);
    // kube-proxy may be a moment behind.
    sleep(Duration::from_secs(2)).await;
    prober.leaks();
    (stage, prober)
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbours_objects_and_annotations_open_nothing() {
    let (stage, prober) = guarded("guard").await;
    let space = &stage.space;

    space.apply(&neighbour("worker", 0, "oauth2proxy.dev/inject: \"false\"", ""));
    prober.nothing_leaks("a neighbour wants no proxy").await;

    space.apply(&neighbour("canary", 1, "oauth2proxy.dev/inject: main", ""));
    space.until("deployment/canary", "the sidecar comes", carries).await;
    space.ok(&["annotate", "deployment/canary", "oauth2proxy.dev/inject-"], None);
    let held = |object: &Value| message(object, "TrafficRouted").contains("RemovalSkipped");
    space.until("o2p/main", "who leaves is told who holds it", held).await;
    prober.nothing_leaks("a canary opts out").await;
    space.ok(&["delete", "deployment/canary", "deployment/worker"], None);

    let nowhere = "nodeSelector: {nobody: has-this}";
    space.apply(&neighbour("pending", 1, "oauth2proxy.dev/inject: main", nowhere));
    space.until("deployment/pending", "the sidecar comes", carries).await;
    apply_again(&stage).await;
    sleep(OPEN).await;
    prober.leaks();
    prober.nothing_leaks("a pod is pending").await;
    space.ok(&["delete", "deployment/pending"], None);

    space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/upstream-port=!"], None);
    let named = |object: &Value| message(object, "TrafficRouted").contains("upstream-port");
    space.until("o2p/main", "the annotation is named", named).await;
    apply_again(&stage).await;
    sleep(OPEN).await;
    prober.leaks();
    prober.nothing_leaks("an annotation is wrong").await;
    space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/upstream-port-"], None);

    space.ok(&["delete", "o2p/main", "--cascade=foreground", "--wait=false"], None);
    let blocked = |object: &Value| condition(object, "Ready") == "False DeletionBlocked";
    space.until("o2p/main", "the deletion waits", blocked).await;
    prober.nothing_leaks("the object is being deleted").await;
    for secret in ["secret/main-config", "secret/main-cookie"] {
        assert!(!space.get(secret).is_null(), "{secret} is gone from under the pods");
    }
    let finalizers = r#"{"metadata": {"finalizers": null}}"#;
    space.ok(&["patch", "o2p/main", "--type=merge", "-p", finalizers], None);
    space.until("o2p/main", "the object is gone", Value::is_null).await;
    apply_again(&stage).await;
    sleep(OPEN).await;
    prober.leaks();
    prober.nothing_leaks("the object is gone").await;

    let rate = prober.stop().await;
    assert!(rate >= 50.0, "only {rate} requests a second");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_applies_are_undone_alike_and_a_renamed_workload_stays_closed() {
    let (stage, prober) = guarded("applies").await;
    let space = &stage.space;
    let mut longest = Duration::ZERO;
    for round in 0..20 {
        apply_again(&stage).await;
        sleep(Duration::from_millis(1500)).await;
        let leaks = prober.leaks();
        if let (Some(first), Some(last)) = (leaks.first(), leaks.last()) {
            let open = last.duration_since(*first);
            longest = longest.max(open);
            assert!(open < OPEN, "open for {open:?} in round {round}");
        }
    }
    prober.nothing_leaks("nobody writes any more").await;

    // A pipeline that replaces everything at once, marks and records and all.
    space.ok(&["replace", "-f", "-"], Some(&app(2).replace(
        "metadata: {name: web, labels: {app: web}}",
        "metadata: {name: web, labels: {app: web}, annotations: {oauth2proxy.dev/inject: main}}",
    )));
    space.until("service/web", "it is turned again", is_turned).await;
    space.until("deployment/web", "the sidecar comes back", carries).await;
    sleep(OPEN).await;
    prober.leaks();
    prober.nothing_leaks("everything was replaced").await;

    // The same application under another name, with a mistake.
    let renamed = "oauth2proxy.dev/inject: main, oauth2proxy.dev/upstream-port: \"!\"";
    space.apply(&neighbour("web2", 2, renamed, ""));
    space.ok(&["delete", "deployment/web"], None);
    eventually("the old pods are gone", Duration::from_mins(2), || async {
        let pods = space.ok(&["get", "pods", "-l", "app=web,of!=web2", "-o", "name"], None);
        if pods.is_empty() { Ok(()) } else { Err(pods) }
    })
    .await;
    prober.nothing_leaks("the workload has another name").await;
    space.ok(&["annotate", "deployment/web2", "oauth2proxy.dev/upstream-port-"], None);
    space.until("deployment/web2", "the sidecar comes", carries).await;
    prober.nothing_leaks("the mistake was mended").await;

    let rate = prober.stop().await;
    assert!(rate >= 50.0, "only {rate} requests a second");
    println!("the longest that a Service was open after it was applied again: {longest:?}");
}
