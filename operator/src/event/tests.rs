//! What the API server is sent.

use super::*;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use kube::client::Body;
use serde_json::Value;
use std::convert::Infallible;

/// Requests in order: method, path, and what was sent.
type Requests = Arc<Mutex<Vec<(Method, String, Value)>>>;

/// An API server that answers with what it is sent, or to patches with `patched`.
fn server(patched: u16) -> (Events, Requests) {
    let requests = Requests::default();
    let seen = Arc::clone(&requests);
    let service = tower::service_fn(move |request: Request<Body>| {
        let seen = Arc::clone(&seen);
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let sent: Value = serde_json::from_slice(&body).unwrap();
            let patch = parts.method == Method::PATCH;
            seen.lock().unwrap().push((parts.method, parts.uri.path().to_owned(), sent));
            let (code, answer) = match (patch, patched) {
                (true, 404) => (
                    404,
                    r#"{"kind":"Status","code":404,"reason":"NotFound","message":"gone"}"#.into(),
                ),
                (true, _) => (200, r#"{"metadata":{}}"#.into()),
                _ => (201, body),
            };
            let response = Response::builder().status(code);
            Ok::<_, Infallible>(response.body(Full::<Bytes>::new(answer)).unwrap())
        }
    });
    let events = Events::new(Client::new(service, "shop"), &"pod".repeat(50), Clock::System);
    (events, requests)
}

fn web() -> ObjectReference {
    ObjectReference {
        api_version: Some("apps/v1".to_owned()),
        kind: Some("Deployment".to_owned()),
        name: Some("web".to_owned()),
        namespace: Some("shop".to_owned()),
        uid: Some("uid-web".to_owned()),
        ..ObjectReference::default()
    }
}

fn note(text: &str) -> Note {
    Note {
        tone: Tone::Warning,
        reason: Reason::DirectPathOpen,
        action: "Inject",
        text: text.to_owned(),
    }
}

#[tokio::test]
async fn each_fact_is_told_in_its_own_words_of_the_object_that_it_is_about() {
    let (events, requests) = server(200);
    for service in ["a", "b"] {
        events
            .publish(&note(&format!("Service {service} leads past the proxy")), &web(), None)
            .await;
    }
    let requests = requests.lock().unwrap();
    let [(method, path, first), (_, _, second)] = requests.as_slice() else { unreachable!() };
    assert_eq!(
        (method, path.as_str()),
        (&Method::POST, "/apis/events.k8s.io/v1/namespaces/shop/events")
    );
    assert_eq!(first["note"], "Service a leads past the proxy");
    assert_eq!(second["note"], "Service b leads past the proxy");
    assert_ne!(first["metadata"]["name"], second["metadata"]["name"]);
    assert_eq!(first["regarding"]["uid"], "uid-web");
    assert_eq!(first["reportingInstance"].as_str().unwrap().len(), LONGEST_INSTANCE);
    assert_eq!(first["series"], Value::Null);
}

#[tokio::test]
async fn the_same_fact_is_the_same_event_once_more() {
    let (events, requests) = server(200);
    for _ in 0..3 {
        events.publish(&note("Service a leads past the proxy"), &web(), None).await;
    }
    let requests = requests.lock().unwrap();
    let name = requests[0].2["metadata"]["name"].as_str().unwrap();
    for (request, count) in requests[1..].iter().zip([2, 3]) {
        let (method, path, sent) = request;
        assert_eq!(method, Method::PATCH);
        assert!(path.ends_with(&format!("/events/{name}")), "{path}");
        assert_eq!(sent["series"]["count"], count);
        assert!(
            sent["series"]["lastObservedTime"].is_string() && sent.get("note").is_none(),
            "{sent}"
        );
    }
    assert_eq!(requests.len(), 3);
}

#[tokio::test]
async fn an_event_that_is_gone_is_made_again() {
    let (events, requests) = server(404);
    for _ in 0..2 {
        events.publish(&note("Service a leads past the proxy"), &web(), None).await;
    }
    let requests = requests.lock().unwrap();
    let methods: Vec<_> = requests.iter().map(|(method, ..)| method.as_str()).collect();
    assert_eq!(methods, ["POST", "PATCH", "POST"]);
    assert_eq!(requests[2].2["note"], "Service a leads past the proxy");
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_does_not_answer_holds_nobody_up() {
    let service = tower::service_fn(|_: Request<Body>| {
        std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
    });
    let events = Events::new(Client::new(service, "shop"), "me", Clock::System);
    let start = Instant::now();
    events.publish(&note("Service a leads past the proxy"), &web(), None).await;
    assert_eq!(start.elapsed(), PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_repeats_itself_in_new_words_does_not_flood_the_api_server() {
    let (events, requests) = server(200);
    for number in 0..1000 {
        events.publish(&note(&format!("pod web-{number} is over quota")), &web(), None).await;
    }
    assert_eq!(requests.lock().unwrap().len(), 20);
    // What is well again is told all the same.
    let well = Note { tone: Tone::Normal, ..note("every Service leads to the proxy") };
    events.publish(&well, &web(), None).await;
    assert_eq!(requests.lock().unwrap().len(), 21);
}

#[test]
fn facts_differ_by_what_they_say_and_of_whom() {
    let mut keys = vec![
        fact(&note("a"), &web(), None),
        fact(&note("b"), &web(), None),
        fact(&Note { tone: Tone::Normal, ..note("a") }, &web(), None),
        fact(&Note { action: "Route", ..note("a") }, &web(), None),
        fact(&note("a"), &ObjectReference { uid: Some("uid-2".to_owned()), ..web() }, None),
        fact(&note("a"), &web(), Some(&web())),
    ];
    assert_eq!(keys[0], fact(&note("a"), &web(), None));
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 6);
}

#[test]
fn a_long_note_is_cut_at_a_character() {
    let note = shortened(&"ä".repeat(600));
    assert!(note.len() <= LONGEST_NOTE && note.ends_with("ä..."), "{}", note.len());
    assert_eq!(shortened("short"), "short");
}

#[test]
fn a_name_is_one_that_the_api_server_takes() {
    assert_eq!(name("web", 255), "web.00000000000000ff");
    let long = format!("{}.{}", "a".repeat(235), "b".repeat(17));
    let name = name(&long, 1);
    assert_eq!(name, format!("{}.0000000000000001", "a".repeat(235)));
}
