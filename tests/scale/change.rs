//! Changes that somebody makes while everything is at rest, each until the operator has done what follows.

use crate::Outcome;
use crate::objects::{self, send, until_turned};
use crate::play::World;
use kube::Client;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const OBJECT: &str = "/apis/oauth2proxy.dev/v1alpha1/namespaces/scale-0/oauth2proxies/o0";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/scale-0/deployments/w0";
const SERVICE: &str = "/api/v1/namespaces/scale-0/services/w0";
/// Patience with what one change brings about.
const PATIENCE: Duration = Duration::from_mins(2);

/// Another email domain in an object, until its workloads run what it asks for.
pub(crate) async fn object(client: &Client, world: &World) -> Outcome<Duration> {
    let before = send(client, "GET", OBJECT, &Value::Null).await?;
    let hash = before.pointer("/status/configHash").cloned();
    let began = Instant::now();
    let change = json!({"spec": {"access": {"emailDomains": ["example.com", "example.org"]}}});
    send(client, "PATCH", OBJECT, &change).await?;
    until(client, OBJECT, began, |now| {
        now.pointer("/status/configHash") != hash.as_ref() && world.is_settled()
    })
    .await
}

/// A label that means nothing to the operator on a Deployment.
pub(crate) async fn label(client: &Client) -> Outcome<Duration> {
    let began = Instant::now();
    send(client, "PATCH", DEPLOYMENT, &json!({"metadata": {"labels": {"tier": "web"}}})).await?;
    Ok(began.elapsed())
}

/// A Deployment replaced by what its owner has in a file, which knows of no sidecar, until it is behind its proxy again.
pub(crate) async fn template(client: &Client, world: &World) -> Outcome<Duration> {
    let began = Instant::now();
    send(client, "PUT", DEPLOYMENT, &objects::deployment("w0", "o0")).await?;
    until(client, DEPLOYMENT, began, |now| {
        now.pointer("/spec/template/spec/initContainers/0").is_some() && world.is_settled()
    })
    .await
}

/// A Service pointed at the application again, until that is undone.
pub(crate) async fn service(client: &Client) -> Outcome<Duration> {
    let ports = json!({"spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8080}]}});
    send(client, "PATCH", SERVICE, &ports).await?;
    until_turned(client, SERVICE, Instant::now()).await
}

async fn until(
    client: &Client,
    path: &str,
    began: Instant,
    holds: impl Fn(&Value) -> bool,
) -> Outcome<Duration> {
    loop {
        let now = send(client, "GET", path, &Value::Null).await?;
        if holds(&now) {
            return Ok(began.elapsed());
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("what changed does not arrive: {now:#}").into());
        }
        sleep(Duration::from_millis(50)).await;
    }
}
