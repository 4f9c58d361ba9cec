//! For tests: an API server made of a map, which can be told to refuse and which remembers what it was asked.
//!
//! It knows no defaults, no field managers and no watches; what depends on those is tested with a real one.

use crate::clock::Clock;
use crate::context::Context;
use crate::controller::{Gate, Pace, Running, queue};
use crate::event::Events;
use crate::leader::{Elector, Times};
use crate::metrics::Metrics;
use crate::past::Past;
use crate::pod;
use crate::poke::Poker;
use crate::report::Reports;
use crate::scope::Scope;
use crate::seen::Seen;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Collections of the namespace of the tests.
pub(crate) const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/shop/deployments";
pub(crate) const SERVICES: &str = "/api/v1/namespaces/shop/services";
pub(crate) const PODS: &str = "/api/v1/namespaces/shop/pods";
pub(crate) const SECRETS: &str = "/api/v1/namespaces/shop/secrets";
pub(crate) const REPLICA_SETS: &str = "/apis/apps/v1/namespaces/shop/replicasets";
pub(crate) const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/shop/events";
pub(crate) const OBJECTS: &str = "/apis/oauth2proxy.dev/v1alpha1/namespaces/shop/oauth2proxies";

/// The server. Clones are one.
#[derive(Clone, Default)]
pub(crate) struct Server(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    refusals: Vec<Refusal>,
    asked: Vec<(Method, String)>,
    /// What admission makes of what is applied.
    rewrite: Option<fn(&mut Value)>,
    version: u64,
}

struct Refusal {
    method: Method,
    path: String,
    code: u16,
    message: String,
}

impl Server {
    /// Stores an object as somebody's write would.
    pub(crate) fn put(&self, collection: &str, mut object: Value) {
        let mut state = self.lock();
        state.version += 1;
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        state.objects.insert(format!("{collection}/{name}"), object);
    }

    /// Changes an object that is there.
    pub(crate) fn edit(&self, collection: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let mut object = self.get(collection, name);
        change(&mut object);
        self.put(collection, object);
    }

    /// Removes an object.
    pub(crate) fn remove(&self, collection: &str, name: &str) {
        self.lock().objects.remove(&format!("{collection}/{name}"));
    }

    /// An object as it is now; null: there is none.
    pub(crate) fn get(&self, collection: &str, name: &str) -> Value {
        self.lock().objects.get(&format!("{collection}/{name}")).cloned().unwrap_or_default()
    }

    /// The objects of a collection.
    pub(crate) fn all(&self, collection: &str) -> Vec<Value> {
        let inside = format!("{collection}/");
        let state = self.lock();
        let here = state.objects.iter().filter(|(path, _)| path.starts_with(&inside));
        here.map(|(_, object)| object.clone()).collect()
    }

    /// Their names.
    pub(crate) fn names(&self, collection: &str) -> Vec<String> {
        let name = |object: Value| object["metadata"]["name"].as_str().unwrap().to_owned();
        self.all(collection).into_iter().map(name).collect()
    }

    /// Refuses such requests from now on.
    pub(crate) fn refuse(&self, method: Method, path: &str, code: u16, message: &str) {
        let (path, message) = (path.to_owned(), message.to_owned());
        self.lock().refusals.push(Refusal { method, path, code, message });
    }

    /// Refuses nothing any more.
    pub(crate) fn allow(&self) {
        self.lock().refusals.clear();
    }

    /// Changes whatever is applied from now on, as a mutating policy does.
    pub(crate) fn rewrite(&self, rewrite: fn(&mut Value)) {
        self.lock().rewrite = Some(rewrite);
    }

    /// What was asked since the last call, reads and all.
    pub(crate) fn asked(&self) -> Vec<(Method, String)> {
        std::mem::take(&mut self.lock().asked)
    }

    /// A client of it.
    pub(crate) fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let (code, value) = server.answer(&parts, &body);
                let response = Response::builder().status(code);
                Ok::<_, Infallible>(
                    response.body(Full::new(Bytes::from(value.to_string()))).unwrap(),
                )
            }
        });
        Client::new(service, "shop")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn answer(&self, parts: &http::request::Parts, body: &[u8]) -> (u16, Value) {
        let mut state = self.lock();
        let path = parts.uri.path().to_owned();
        state.asked.push((parts.method.clone(), path.clone()));
        let refusal =
            state.refusals.iter().find(|told| told.method == parts.method && told.path == path);
        if let Some(Refusal { code, message, .. }) = refusal {
            return failure(*code, message);
        }
        match parts.method {
            Method::POST => state.create(&path, serde_json::from_slice(body).unwrap()),
            Method::DELETE => state.delete(&path, body),
            Method::PATCH => {
                let kind = parts.headers["content-type"].to_str().unwrap().to_owned();
                state.patch(path, &kind, body)
            }
            _ => state.read(&path, parts.uri.query().unwrap_or_default()),
        }
    }
}

impl State {
    fn create(&mut self, collection: &str, mut object: Value) -> (u16, Value) {
        let path = format!("{collection}/{}", object["metadata"]["name"].as_str().unwrap_or("?"));
        if self.objects.contains_key(&path) {
            return failure(409, "it exists");
        }
        // What a Secret is sent as text it holds as data.
        for (key, text) in object["stringData"].as_object().cloned().unwrap_or_default() {
            let data = base64_simd::STANDARD.encode_to_string(text.as_str().unwrap());
            object["data"][key] = json!(data);
        }
        self.version += 1;
        object["metadata"]["uid"] = json!(format!("made-{}", self.version));
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(path, object.clone());
        (201, object)
    }

    fn delete(&mut self, path: &str, body: &[u8]) -> (u16, Value) {
        let Some(object) = self.objects.get(path) else { return failure(404, "not found") };
        let sent: Value = serde_json::from_slice(body).unwrap_or_default();
        let wanted = sent["preconditions"].as_object().cloned().unwrap_or_default();
        if wanted.iter().any(|(key, value)| object["metadata"][key] != *value) {
            return failure(409, "it is another one by now");
        }
        (200, self.objects.remove(path).unwrap())
    }

    fn read(&self, path: &str, query: &str) -> (u16, Value) {
        if let Some(object) = self.objects.get(path) {
            return (200, object.clone());
        }
        let namespaced = path.split("/namespaces/").nth(1).unwrap_or_default();
        if namespaced.split('/').count() != 2 {
            return failure(404, "not found");
        }
        let selector = url::form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| key == "labelSelector")
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default();
        let fits = |object: &Value| {
            selector.split(',').filter(|pair| !pair.is_empty()).all(|pair| {
                let (key, value) = pair.split_once('=').unwrap();
                object["metadata"]["labels"][key] == value
            })
        };
        let inside = format!("{path}/");
        let items =
            self.objects.iter().filter(|(path, object)| path.starts_with(&inside) && fits(object));
        let items: Vec<_> = items.map(|(_, object)| object.clone()).collect();
        (200, json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items}))
    }

    fn patch(&mut self, path: String, kind: &str, body: &[u8]) -> (u16, Value) {
        let sent: Value = serde_json::from_slice(body).unwrap();
        let status = path.strip_suffix("/status").map(str::to_owned);
        let path = status.clone().unwrap_or(path);
        let mut object = self.objects.get(&path).cloned().unwrap_or_else(|| json!({}));
        let seen = &sent["metadata"]["resourceVersion"];
        if !seen.is_null() && *seen != object["metadata"]["resourceVersion"] {
            return failure(409, "it has changed");
        }
        if status.is_some() {
            object["status"] = sent["status"].clone();
        } else if kind.contains("json-patch") {
            let operations: json_patch::Patch = serde_json::from_value(sent).unwrap();
            if json_patch::patch(&mut object, &operations).is_err() {
                return failure(422, "a test of the patch failed");
            }
        } else if kind.contains("merge-patch") {
            json_patch::merge(&mut object, &sent);
        } else {
            merge(&mut object, &sent);
            if let Some(rewrite) = self.rewrite {
                rewrite(&mut object);
            }
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if !self.objects.contains_key(&path) {
            object["metadata"]["uid"] = json!(format!("made-{}", self.version));
        }
        let held = object["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty());
        if held || object["metadata"]["deletionTimestamp"].is_null() {
            self.objects.insert(path, object.clone());
        } else {
            // Nothing holds it any more.
            self.objects.remove(&path);
        }
        (200, object)
    }
}

/// All that a reconcile needs, with this server behind it.
pub(crate) fn context(server: &Server) -> Arc<Context> {
    let client = server.client();
    let elector =
        Elector::new(client.clone(), ("shop", "lease"), "me", Times::default(), Clock::System);
    let (leader, _) = elector.run(std::future::pending());
    Arc::new(Context {
        client: client.clone(),
        gate: Gate {
            leader,
            stop: CancellationToken::new(),
            metrics: Metrics::new(),
            scope: Scope::Namespace("shop".to_owned()),
            pace: Pace { concurrency: 1, resync: Duration::from_mins(10) },
            running: Running::default(),
            budget: crate::budget::Budget::default(),
        },
        proxy: pod::Defaults { image: "proxy:1".to_owned(), user: None, group: None },
        events: Events::new(client.clone(), "me", Clock::System),
        reports: Reports::new(queue().0),
        seen: Seen::default(),
        poker: Poker::new(client).0,
        metrics: Metrics::new(),
        writer: "operators/lease".to_owned(),
        clock: Clock::System,
        past: Past::default(),
    })
}

fn failure(code: u16, message: &str) -> (u16, Value) {
    let reason = if code == 404 { "NotFound" } else { "Refused" };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message,
    });
    (code, status)
}

/// A merge in which entries of lists are known by their names.
fn merge(live: &mut Value, sent: &Value) {
    match (live, sent) {
        (Value::Object(live), Value::Object(sent)) => {
            for (key, value) in sent {
                merge(live.entry(key).or_insert(Value::Null), value);
            }
        }
        (Value::Array(live), Value::Array(sent))
            if sent.iter().all(|entry| entry.get("name").is_some()) =>
        {
            for entry in sent {
                match live.iter_mut().find(|old| old["name"] == entry["name"]) {
                    Some(old) => merge(old, entry),
                    None => live.push(entry.clone()),
                }
            }
        }
        (live, sent) => *live = sent.clone(),
    }
}
