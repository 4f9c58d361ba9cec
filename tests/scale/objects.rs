//! What users would have applied: objects with their client Secrets, Deployments that ask for them, and Services.

use crate::{Outcome, report};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::Request;
use kube::Client;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Requests at a time.
pub(crate) const CONCURRENCY: usize = 32;

/// How many there are of what.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// `OAuth2Proxy` objects, each with a Secret.
    pub(crate) objects: usize,
    /// Deployments, each with a Service and one pod, spread over the objects.
    pub(crate) workloads: usize,
    /// Namespaces, over which the objects are spread.
    pub(crate) namespaces: usize,
}

impl Shape {
    fn namespace(self, object: usize) -> String {
        format!("scale-{}", object % self.namespaces)
    }
}

/// Sends one request with a JSON body.
pub(crate) async fn send(
    client: &Client,
    method: &str,
    path: &str,
    body: &Value,
) -> Outcome<Value> {
    let kind = match method {
        "PATCH" => "application/merge-patch+json",
        _ => "application/json",
    };
    let request = Request::builder().method(method).uri(path).header("content-type", kind);
    let request = request.body(serde_json::to_vec(body)?)?;
    let said = client.request(request).await;
    said.map_err(|error| format!("{method} {path}: {error}").into())
}

/// Creates everything, with progress.
pub(crate) async fn create(client: &Client, shape: Shape) -> Outcome<()> {
    for number in 0..shape.namespaces {
        namespace(client, &format!("scale-{number}")).await?;
    }
    each("objects", shape.objects, |number| async move {
        object(client, &shape.namespace(number), &format!("o{number}")).await
    })
    .await?;
    each("workloads", shape.workloads, |number| async move {
        let of = number % shape.objects;
        workload(client, &shape.namespace(of), &format!("w{number}"), &format!("o{of}")).await
    })
    .await
}

async fn each<F: Future<Output = Outcome<()>>>(
    what: &str,
    count: usize,
    make: impl Fn(usize) -> F,
) -> Outcome<()> {
    let all = stream::iter(0..count).map(make).buffer_unordered(CONCURRENCY);
    let done = all.try_fold(0, |done, ()| async move {
        if (done + 1) % 1000 == 0 {
            report::say(&format!("{} {what} of {count}", done + 1));
        }
        Ok(done + 1)
    });
    done.await.map(drop)
}

/// A namespace with the account that pods need.
pub(crate) async fn namespace(client: &Client, name: &str) -> Outcome<()> {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    send(client, "POST", "/api/v1/namespaces", &namespace).await?;
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
    send(client, "POST", &format!("/api/v1/namespaces/{name}/serviceaccounts"), &account).await?;
    Ok(())
}

/// An object with its client Secret.
pub(crate) async fn object(client: &Client, namespace: &str, name: &str) -> Outcome<()> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": format!("{name}-oidc")},
        "stringData": {"client-secret": "s3cret"},
    });
    send(client, "POST", &format!("/api/v1/namespaces/{namespace}/secrets"), &secret).await?;
    let object = json!({
        "apiVersion": "oauth2proxy.dev/v1alpha1", "kind": "OAuth2Proxy", "metadata": {"name": name},
        "spec": {
            "provider": {
                "issuerURL": "https://id.example.com", "clientID": "shop",
                "clientSecretRef": {"name": format!("{name}-oidc"), "key": "client-secret"},
            },
            "access": {"emailDomains": ["example.com"]},
        },
    });
    let path = format!("/apis/oauth2proxy.dev/v1alpha1/namespaces/{namespace}/oauth2proxies");
    send(client, "POST", &path, &object).await?;
    Ok(())
}

/// A Deployment that asks for an object, as `kubectl apply` leaves it.
pub(crate) fn deployment(name: &str, of: &str) -> Value {
    let spec = json!({
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {
                "automountServiceAccountToken": false,
                "containers": [{
                    "name": "app", "image": "example.com/app:1",
                    "env": (0..10).map(|n| json!({"name": format!("SETTING_{n}"), "value": "some text of a usual length"})).collect::<Vec<_>>(),
                    "ports": [{"name": "http", "containerPort": 8080}],
                }],
            },
        },
    });
    let applied = spec.to_string();
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name}, "annotations": {
            "oauth2proxy.dev/inject": of,
            "kubectl.kubernetes.io/last-applied-configuration": applied,
        }},
        "spec": spec,
    })
}

/// A Deployment that asks for an object, and its Service.
pub(crate) async fn workload(
    client: &Client,
    namespace: &str,
    name: &str,
    of: &str,
) -> Outcome<()> {
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
    send(client, "POST", &path, &deployment(name, of)).await?;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    });
    send(client, "POST", &format!("/api/v1/namespaces/{namespace}/services"), &service).await?;
    Ok(())
}

/// Waits until a Service leads to a proxy; how long that took.
pub(crate) async fn until_turned(client: &Client, path: &str, began: Instant) -> Outcome<Duration> {
    loop {
        let service = send(client, "GET", path, &Value::Null).await?;
        if service.pointer("/spec/ports/0/targetPort") != Some(&json!(8080)) {
            return Ok(began.elapsed());
        }
        if began.elapsed() > Duration::from_mins(2) {
            return Err(format!("{path} is not turned: {service:#}").into());
        }
        sleep(Duration::from_millis(20)).await;
    }
}
