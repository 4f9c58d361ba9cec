//! Watches of an API server that misbehaves as it is told.

use super::*;
use crate::tasks::Tasks;
use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::time::{Instant, sleep};

/// What the API server does with one request.
enum Answer {
    /// A list of these, and its version.
    List(Vec<Value>, u32),
    /// These bytes of a watch, and no more: it is cut.
    Cut(String),
    /// These, and then silence.
    Open(String),
    /// A failure.
    Status(u16),
    /// Nothing at all.
    Silence,
}

#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    /// The queries of the requests.
    asked: Arc<Mutex<Vec<String>>>,
}

type AnyBody = UnsyncBoxBody<Bytes, Infallible>;

fn whole(text: impl Into<Bytes>) -> AnyBody {
    Full::new(text.into()).boxed_unsync()
}

fn failure(code: u16) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": "Expired", "message": "no"})
}

async fn answer(answer: Option<Answer>) -> Response<AnyBody> {
    let (code, body) = match answer {
        Some(Answer::List(items, version)) => {
            let metadata = json!({"resourceVersion": version.to_string()});
            (200, whole(json!({"metadata": metadata, "items": items}).to_string()))
        }
        Some(Answer::Cut(text)) => (200, whole(text)),
        Some(Answer::Open(text)) => {
            let frame = stream::iter([Ok(Frame::data(Bytes::from(text)))]);
            (200, StreamBody::new(frame.chain(stream::pending())).boxed_unsync())
        }
        Some(Answer::Status(code)) => (code, whole(failure(code).to_string())),
        Some(Answer::Silence) | None => std::future::pending().await,
    };
    Response::builder().status(code).body(body).unwrap()
}

/// What a watch told, and the store that it fills.
struct Watched {
    store: Objects<ConfigMap>,
    told: Arc<Mutex<Vec<String>>>,
    script: Script,
}

/// Watches an API server that answers so, in this order.
fn watched(answers: impl IntoIterator<Item = Answer>) -> Watched {
    keeping(Kept::whole(), answers)
}

fn keeping(kept: Kept<ConfigMap>, answers: impl IntoIterator<Item = Answer>) -> Watched {
    let script = Script::default();
    script.answers.lock().unwrap().extend(answers);
    let server = script.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        server.asked.lock().unwrap().push(request.uri().query().unwrap_or_default().to_owned());
        let next = server.answers.lock().unwrap().pop_front();
        async move { Ok::<_, Infallible>(answer(next).await) }
    });
    let api = Api::namespaced(Client::new(service, "shop"), "shop");
    let told = Arc::new(Mutex::new(Vec::new()));
    let own = Arc::clone(&told);
    let (store, task) = follow(api, watcher::Config::default(), kept, move |map, change| {
        let metadata = &map.metadata;
        own.lock().unwrap().push(format!(
            "{change:?} {} {}",
            metadata.name.as_deref().unwrap_or_default(),
            metadata.uid.as_deref().unwrap_or_default()
        ));
    });
    let mut tasks = Tasks::default();
    tasks.spawn(task);
    // As long as the test.
    tokio::spawn(async move { tasks.ended().await });
    Watched { store, told, script }
}

impl Watched {
    /// Waits until this was told last; gives the time that it took.
    async fn until(&self, last: &str) -> Duration {
        let start = Instant::now();
        while self.told.lock().unwrap().last().map(String::as_str) != Some(last) {
            assert!(start.elapsed() < Duration::from_hours(1), "{:?}", self.told.lock().unwrap());
            sleep(Duration::from_millis(200)).await;
        }
        start.elapsed()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.store.state().iter().filter_map(|map| map.metadata.name.clone()).collect();
        names.sort();
        names
    }

    fn lists(&self) -> usize {
        self.script.asked.lock().unwrap().iter().filter(|query| !query.contains("watch=")).count()
    }
}

fn map(name: &str, uid: &str, version: u32) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "shop", "uid": uid, "resourceVersion": version.to_string()},
    })
}

fn line(type_: &str, object: &Value) -> String {
    format!("{}\n", json!({"type": type_, "object": object}))
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_was_not_told_is_noticed_at_the_next_list() {
    for expired in [Answer::Cut(line("ERROR", &failure(410))), Answer::Status(410)] {
        let watched = watched([
            Answer::List(vec![map("a", "1", 1), map("b", "2", 2)], 2),
            expired,
            Answer::List(vec![map("b", "2", 2)], 9),
        ]);
        let took = watched.until("Deleted a 1").await;
        assert!(took < Duration::from_secs(30), "{took:?}");
        assert_eq!(watched.names(), ["b"]);
        let told = watched.told.lock().unwrap().clone();
        assert_eq!(told, ["Applied a 1", "Applied b 2", "Applied b 2", "Deleted a 1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_made_anew_meanwhile_is_another() {
    let watched = watched([
        Answer::List(vec![map("a", "1", 1)], 1),
        Answer::Cut(line("ERROR", &failure(410))),
        Answer::List(vec![map("a", "2", 8)], 9),
    ]);
    watched.until("Deleted a 1").await;
    assert_eq!(*watched.told.lock().unwrap(), ["Applied a 1", "Applied a 2", "Deleted a 1"]);
    assert_eq!(watched.names(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_cut_in_the_middle_goes_on_where_it_was() {
    let added = line("ADDED", &map("b", "2", 5));
    let half: String = added.repeat(2).chars().take(added.len() + 20).collect();
    let watched = watched([
        Answer::List(vec![map("a", "1", 1)], 1),
        Answer::Cut(half),
        Answer::Open(line("DELETED", &map("a", "1", 6))),
    ]);
    watched.until("Deleted a 1").await;
    assert_eq!(watched.names(), ["b"]);
    assert_eq!(watched.lists(), 1);
    let asked = watched.script.asked.lock().unwrap();
    assert!(asked.last().unwrap().contains("resourceVersion=5"), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_fails_or_is_silent_is_asked_again_and_never_in_a_hurry() {
    let mut answers: Vec<_> = (0..20).map(|_| Answer::Status(500)).collect();
    answers.extend([Answer::Silence, Answer::List(vec![map("a", "1", 1)], 1)]);
    answers.extend((0..20).map(|_| Answer::Status(500)));
    answers.push(Answer::Open(line("ADDED", &map("b", "2", 5))));
    let watched = watched(answers);
    let took = watched.until("Applied a 1").await;
    assert!(took > Duration::from_mins(2), "{took:?}");
    let took = watched.until("Applied b 2").await;
    assert!(took > Duration::from_mins(2), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_knows_no_version_any_more_is_not_flooded() {
    let expired = || [Answer::List(vec![map("a", "1", 1)], 1), Answer::Status(410)];
    let watched = watched((0..200).flat_map(|_| expired()));
    sleep(Duration::from_mins(1)).await;
    let lists = watched.lists();
    assert!((3..=20).contains(&lists), "{lists} lists in a minute");
}

/// A map with labels and annotations of ours and of others.
fn laden() -> Value {
    let mut object = map("a", "1", 1);
    object["metadata"]["annotations"] = json!({
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "deployment.kubernetes.io/revision": "3",
        "oauth2proxy.dev/inject": "main",
        "meta.helm.sh/release-name": "web",
    });
    object["metadata"]["labels"] = json!({
        "app.kubernetes.io/managed-by": "oauth2-proxy-operator", "app": "web", "oauth2proxy.dev/traffic": "turned",
    });
    object["metadata"]["managedFields"] = json!([{"manager": "kubectl"}]);
    object
}

/// The names of the labels and annotations that are kept of it.
async fn kept(kept: Kept<ConfigMap>) -> Vec<String> {
    let watched = keeping(kept, [Answer::List(vec![laden()], 1)]);
    watched.until("Applied a 1").await;
    watched.store.listed().await;
    let state = watched.store.state();
    let metadata = &state[0].metadata;
    assert_eq!(metadata.managed_fields, None);
    let maps = [&metadata.annotations, &metadata.labels];
    maps.into_iter().flatten().flat_map(|all| all.keys().cloned()).collect()
}

#[tokio::test(start_paused = true)]
async fn copies_of_an_object_in_its_own_annotations_are_not_kept() {
    assert_eq!(
        kept(Kept::whole()).await,
        [
            "meta.helm.sh/release-name",
            "oauth2proxy.dev/inject",
            "app",
            "app.kubernetes.io/managed-by",
            "oauth2proxy.dev/traffic"
        ]
    );
    assert_eq!(
        kept(Kept::ours()).await,
        ["oauth2proxy.dev/inject", "app.kubernetes.io/managed-by", "oauth2proxy.dev/traffic"]
    );
}

#[test]
fn the_label_of_our_objects_is_the_one_that_is_kept() {
    assert_eq!(MANAGED_BY, crate::object::MANAGED_BY.0);
    assert!(crate::object::OBJECT.starts_with(PREFIX));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_kept_is_told_of_all_the_same_and_goes_when_it_is_no_longer_wanted() {
    let of = |name: &str, version: u32, wanted: bool| {
        let mut map = map(name, name, version);
        map["data"] = json!({"wanted": wanted.to_string()});
        map
    };
    let wanted = |map: &ConfigMap| map.data.as_ref().is_some_and(|data| data["wanted"] == "true");
    let changes = [of("a", 3, false), of("b", 4, true)].map(|map| line("MODIFIED", &map));
    let watched = keeping(
        Kept::only(wanted),
        [
            Answer::List(vec![of("a", 1, true), of("b", 2, false), of("c", 2, true)], 2),
            Answer::Open(changes.concat()),
        ],
    );
    watched.until("Applied b b").await;
    let told = watched.told.lock().unwrap().clone();
    assert_eq!(told, ["Applied a a", "Applied b b", "Applied c c", "Applied a a", "Applied b b"]);
    assert_eq!(watched.names(), ["b", "c"]);
}
