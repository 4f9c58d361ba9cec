//! Plays Deployment controller, kubelet and proxies: one pod for each Deployment, made anew when the template changes, ready at
//! once, with an address of the loopback network where one listener answers for all of them.

use crate::objects::{CONCURRENCY, Shape, send};
use crate::pods::{self, address, rolled_out, running};
use crate::{Outcome, report, silent};
use futures_util::{AsyncBufReadExt as _, TryStreamExt as _};
use http::Request;
use kube::Client;
use serde_json::{Value, json};
use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash as _, Hasher as _};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tests::eventually::eventually;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep};

/// Where sidecars have their admin listener.
const ADMIN_PORT: u16 = 44180;

/// Where nothing moves for so long, something is wrong.
const STILL: Duration = Duration::from_mins(2);

/// Namespace and name.
type Key = (String, String);

/// What is there, as the watches tell it.
pub(crate) struct World {
    client: Client,
    shape: Shape,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What each object's pods should have in force, and whether it is Ready for as many routed workloads.
    objects: HashMap<Key, Standing>,
    /// The number of each Deployment's latest pod, and a hash of the template that it is made of.
    played: HashMap<Key, (usize, u64)>,
    /// Deployments whose pod carries the sidecar.
    injected: HashSet<Key>,
    /// The object that the pod of an address belongs to; none: it is silent.
    pods: HashMap<IpAddr, Option<Key>>,
}

#[derive(Default)]
struct Standing {
    hash: Option<String>,
    ready: bool,
    routed: usize,
}

impl World {
    pub(crate) fn new(client: Client, shape: Shape) -> Self {
        Self { client, shape, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until as many Deployments have a pod.
    pub(crate) async fn until_pods(&self, count: usize) {
        let played = || self.state().played.len();
        until(count, "every Deployment has a pod", played).await;
    }

    /// Waits until as many Deployments of a namespace have a pod with the sidecar.
    pub(crate) async fn until_injected(&self, namespace: &str, count: usize) {
        let injected = || self.state().injected.iter().filter(|(of, _)| of == namespace).count();
        until(count, "every Deployment has a pod with the sidecar", injected).await;
    }

    /// Whether every object is Ready and every workload behind its proxy.
    pub(crate) fn is_settled(&self) -> bool {
        let (ready, routed) = self.standing();
        ready >= self.shape.objects && routed >= self.shape.workloads
    }

    fn standing(&self) -> (usize, usize) {
        let state = self.state();
        let ready = state.objects.values().filter(|object| object.ready).count();
        (ready, state.objects.values().map(|object| object.routed).sum())
    }

    /// Waits for that, with progress.
    pub(crate) async fn until_settled(&self, end: Instant) -> Outcome<()> {
        let mut said = Instant::now();
        let mut moved = (Instant::now(), (0, 0));
        while !self.is_settled() {
            let (ready, routed) = self.standing();
            if moved.1 != (ready, routed) {
                moved = (Instant::now(), (ready, routed));
            }
            let line = format!(
                "{ready} objects of {} are Ready, {routed} workloads of {} routed, {} injected",
                self.shape.objects,
                self.shape.workloads,
                self.state().injected.len()
            );
            if Instant::now() > end || moved.0.elapsed() > STILL {
                return Err(format!("it does not settle: {line}").into());
            }
            if said.elapsed() > Duration::from_secs(10) {
                report::say(&line);
                said = Instant::now();
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}

/// Waits until there are as many.
async fn until(count: usize, what: &str, there: impl Fn() -> usize) {
    eventually(what, Duration::from_mins(10), || {
        let there = there();
        async move { if there < count { Err(there) } else { Ok(()) } }
    })
    .await;
}

/// Starts to play.
pub(crate) async fn start(world: &Arc<World>) -> Outcome<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, ADMIN_PORT)).await?;
    tokio::spawn(answer_all(Arc::clone(world), listener));
    let (found, mut deployments) = mpsc::unbounded_channel();
    let own = Arc::clone(world);
    tokio::spawn(follow(
        world.client.clone(),
        "/apis/oauth2proxy.dev/v1alpha1/oauth2proxies",
        move |object| {
            own.object(&object);
        },
    ));
    tokio::spawn(follow(world.client.clone(), "/apis/apps/v1/deployments", move |deployment| {
        let _ = found.send(deployment);
    }));
    let world = Arc::clone(world);
    tokio::spawn(async move {
        let places = Arc::new(Semaphore::new(CONCURRENCY));
        while let Some(deployment) = deployments.recv().await {
            let Some(number) = world.is_new(&deployment) else { continue };
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                if let Err(error) = world.deploy(&deployment, number).await {
                    report::say(&format!("scale: {error}"));
                }
                drop(place);
            });
        }
    });
    Ok(())
}

/// Lists and watches for ever.
async fn follow(client: Client, path: &'static str, each: impl Fn(Value)) {
    loop {
        if let Err(error) = follow_once(&client, path, &each).await {
            report::say(&format!("scale: watching {path}: {error}"));
            sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn follow_once(client: &Client, path: &str, each: &impl Fn(Value)) -> Outcome<()> {
    let listed: Value = client.request(Request::get(path).body(Vec::new())?).await?;
    let version = text(&listed, "/metadata/resourceVersion").to_owned();
    let items = listed.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    drop(listed);
    items.into_iter().for_each(each);
    let watch = format!("{path}?watch=true&resourceVersion={version}&timeoutSeconds=3600");
    let lines = client.request_stream(Request::get(watch).body(Vec::new())?).await?;
    let mut lines = lines.lines();
    while let Some(line) = lines.try_next().await? {
        let mut event: Value = serde_json::from_str(&line)?;
        match text(&event, "/type") {
            "ADDED" | "MODIFIED" => {
                each(event.get_mut("object").map(Value::take).unwrap_or_default());
            }
            "ERROR" => return Err(event.to_string().into()),
            _ => {}
        }
    }
    Ok(())
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn key(value: &Value) -> Key {
    (text(value, "/metadata/namespace").to_owned(), text(value, "/metadata/name").to_owned())
}

impl World {
    fn object(&self, object: &Value) {
        let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
        let ready = conditions.into_iter().flatten().any(|condition| {
            text(condition, "/type") == "Ready"
                && text(condition, "/status") == "True"
                && condition.get("observedGeneration") == object.pointer("/metadata/generation")
        });
        let workloads = object.pointer("/status/workloads").and_then(Value::as_array);
        let routed =
            workloads.into_iter().flatten().filter(|one| text(one, "/traffic") == "Routed").count();
        let hash = object.pointer("/status/configHash").and_then(Value::as_str).map(str::to_owned);
        self.state().objects.insert(key(object), Standing { hash, ready, routed });
    }

    /// Whether the template of a Deployment has changed; then a number for its pod.
    fn is_new(&self, deployment: &Value) -> Option<usize> {
        let mut hasher = DefaultHasher::new();
        deployment.pointer("/spec/template")?.to_string().hash(&mut hasher);
        let template = hasher.finish();
        let mut state = self.state();
        let key = key(deployment);
        if state.played.get(&key).is_some_and(|(_, before)| *before == template) {
            return None;
        }
        // Each gets an address of its own; that of the pod before is not used again.
        let number = state.pods.len();
        state.pods.insert(address(number), None);
        state.played.insert(key, (number, template));
        Some(number)
    }

    fn is_latest(&self, key: &Key, number: usize) -> bool {
        self.state().played.get(key).is_some_and(|(latest, _)| *latest == number)
    }

    /// Replaces the pod of a Deployment. Several of one Deployment may be under way at a time, in any order: each takes away the
    /// pods with lower numbers, and its own if it is no longer the latest once that is there.
    async fn deploy(&self, deployment: &Value, number: usize) -> Outcome<()> {
        let key = key(deployment);
        let (namespace, name) = &key;
        let template = deployment.pointer("/spec/template").cloned().unwrap_or_default();
        let sidecar = template.pointer("/spec/initContainers/0").is_some();
        let of = text(deployment, "/metadata/annotations/oauth2proxy.dev~1inject");
        if namespace != silent::NAMESPACE {
            let object = (namespace.clone(), of.to_owned());
            self.state().pods.insert(address(number), Some(object));
        }
        let path = format!("/api/v1/namespaces/{namespace}/pods");
        let pod = format!("{name}-{number}");
        send(&self.client, "POST", &path, &pods::pod(&template, &pod)).await?;
        let status = running(&template, address(number));
        send(&self.client, "PATCH", &format!("{path}/{pod}/status"), &status).await?;
        let others = format!("{path}?labelSelector=app%3D{name}");
        let listed: Value = self.client.request(Request::get(&others).body(Vec::new())?).await?;
        let latest = self.is_latest(&key, number);
        for other in listed.get("items").and_then(Value::as_array).into_iter().flatten() {
            let (_, other) = self::key(other);
            let before = other.rsplit_once('-').and_then(|(_, number)| number.parse().ok());
            if before.is_some_and(|before: usize| before < number || (before == number && !latest))
            {
                self.end(&format!("{path}/{other}")).await?;
            }
        }
        if !latest {
            return Ok(());
        }
        let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}/status");
        let generation = deployment.pointer("/metadata/generation");
        send(&self.client, "PATCH", &path, &rolled_out(generation)).await?;
        if sidecar {
            self.state().injected.insert(key);
        } else {
            self.state().injected.remove(&key);
        }
        Ok(())
    }

    /// Takes a pod away at once, if nobody else has.
    async fn end(&self, path: &str) -> Outcome<()> {
        let body = serde_json::to_vec(&json!({"gracePeriodSeconds": 0}))?;
        let request =
            Request::delete(path).header("content-type", "application/json").body(body)?;
        match self.client.request::<Value>(request).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(format!("DELETE {path}: {error}").into()),
            Ok(_) => Ok(()),
        }
    }
}

async fn answer_all(world: Arc<World>, listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let _ = answer(&world, stream).await;
        });
    }
}

/// What the proxy's `/status` says of a healthy one.
async fn answer(world: &World, mut stream: TcpStream) -> std::io::Result<()> {
    let to = stream.local_addr()?.ip();
    let object = world.state().pods.get(&to).cloned().flatten();
    let mut request = [0; 1024];
    let _ = stream.read(&mut request).await?;
    let Some(object) = object else {
        // Silent: it takes the connection and says nothing.
        sleep(Duration::from_secs(30)).await;
        return Ok(());
    };
    let hash = world.state().objects.get(&object).and_then(|object| object.hash.clone());
    let body = json!({
        "version": "0.1.0", "configHash": hash, "reload": {"lastError": null},
        "provider": {"id": "oidc", "ready": true, "error": null, "lastCall": null, "lastTokenCall": null},
        "directConnections": {"port": 8080, "total": 0, "sources": []},
    })
    .to_string();
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await
}
