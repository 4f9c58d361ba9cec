//! What every test of a cluster begins with: the images, a namespace with the sample app, an object, an operator.

use serde_json::Value;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tests::cluster::{Cluster, Namespace, Operator, condition, harness_with};
use tests::process::program;

/// The proxy's image as the local cluster has it.
const IMAGE: &str = concat!("ghcr.io/oauth2proxy/oauth2-proxy:", env!("CARGO_PKG_VERSION"));

/// A namespace with the sample app behind a Service, and an `OAuth2Proxy`.
pub(crate) struct Stage {
    /// The namespace.
    pub(crate) space: Namespace,
    /// The operator, unless a test wants its own.
    pub(crate) operator: Option<Operator>,
}

impl Stage {
    /// Sets it up and waits until the app is there and the object's configuration is written.
    pub(crate) async fn new(name: &str) -> Self {
        let mut stage = Self::without_operator(name).await;
        stage.operator = Some(stage.start_operator().await);
        let rendered = |object: &Value| condition(object, "ConfigRendered").starts_with("True");
        stage.space.until("o2p/main", "the configuration is written", rendered).await;
        stage
    }

    /// Without an operator, so that nothing happens yet.
    pub(crate) async fn without_operator(name: &str) -> Self {
        let cluster = Cluster::shared();
        load_images(&cluster);
        let space = cluster.namespace(name);
        space.apply(&app(2));
        space.apply(&object("main", "^/healthz"));
        let stage = Self { space, operator: None };
        stage.available().await;
        stage
    }

    /// Starts an operator for this namespace alone.
    pub(crate) async fn start_operator(&self) -> Operator {
        self.start_operator_with(&[]).await
    }

    /// As [`Stage::start_operator`], with more flags.
    pub(crate) async fn start_operator_with(&self, more: &[&str]) -> Operator {
        let namespaces = format!("--namespaces={}", self.space.name);
        let lease = format!("--lease-name={}", self.space.name);
        let flags = [&["--scope=namespaces", &namespaces, &lease], more].concat();
        self.space.cluster.operator(&self.space.name, &flags).await
    }

    /// Waits until the app's rollout is complete.
    pub(crate) async fn available(&self) {
        let complete = |workload: &Value| {
            let number =
                |pointer: &str| workload.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
            let wanted = number("/spec/replicas");
            number("/status/observedGeneration") == number("/metadata/generation")
                && number("/status/updatedReplicas") == wanted
                && number("/status/availableReplicas") == wanted
                && number("/status/replicas") == wanted
        };
        self.space.until("deployment/web", "the rollout is complete", complete).await;
    }

    /// Opts the app in and waits until all requests go through the proxy.
    pub(crate) async fn protect(&self) {
        self.space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/inject=main"], None);
        self.routed().await;
    }

    /// Waits until all requests go through the proxy.
    pub(crate) async fn routed(&self) {
        let routed = |object: &Value| {
            object.pointer("/status/workloads/0/traffic") == Some(&Value::from("Routed"))
                && condition(object, "TrafficRouted") == "True Routed"
        };
        self.space.until("o2p/main", "traffic is routed", routed).await;
        let said = r"--for=jsonpath={.metadata.annotations.oauth2proxy\.dev/status}=Routed";
        self.space.ok(&["wait", "deployment/web", "--timeout=1m", said], None);
    }

    /// Opts the app out and waits until the sidecar is gone from the template and the pods are the app's alone.
    pub(crate) async fn give_back(&self) {
        self.space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/inject-"], None);
        self.bare().await;
    }

    /// Waits until the template has no sidecar, no companion is left and the rollout is complete.
    pub(crate) async fn bare(&self) {
        let bare = |workload: &Value| !carries(workload);
        self.space.until("deployment/web", "the sidecar is gone", bare).await;
        self.space.until("service/web-oauth2-proxy", "the companion is gone", Value::is_null).await;
        self.available().await;
    }

    /// Address of the app's Service.
    pub(crate) fn address(&self) -> String {
        let service = self.space.get("service/web");
        let address =
            service.pointer("/spec/clusterIP").and_then(Value::as_str).unwrap_or_default();
        format!("{address}:80")
    }

    /// Deployment and Service without what the API server keeps a record of itself in.
    pub(crate) fn snapshot(&self) -> [Value; 2] {
        ["deployment/web", "service/web"].map(|object| {
            let mut object = self.space.get(object);
            if let Some(object) = object.as_object_mut() {
                object.remove("status");
            }
            if let Some(metadata) = object.pointer_mut("/metadata").and_then(Value::as_object_mut) {
                for field in ["resourceVersion", "generation", "managedFields"] {
                    metadata.remove(field);
                }
            }
            if let Some(annotations) =
                object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut)
            {
                annotations.remove("deployment.kubernetes.io/revision");
            }
            object
        })
    }

    /// Names of the app's pods that are not ending.
    pub(crate) fn pods(&self) -> Vec<String> {
        let pods = self.listed("pods").into_iter();
        let staying = pods.filter(|pod| pod.pointer("/metadata/deletionTimestamp").is_none());
        let name = |pod: Value| pod.pointer("/metadata/name")?.as_str().map(str::to_owned);
        staying.filter_map(name).collect()
    }

    /// How many times the app was rolled out: each leaves a `ReplicaSet`.
    pub(crate) fn rollouts(&self) -> usize {
        self.listed("replicasets").len()
    }

    /// The app's objects of a kind.
    pub(crate) fn listed(&self, kind: &str) -> Vec<Value> {
        let text = self.space.ok(&["get", kind, "-l", "app=web", "-o", "json"], None);
        let list: Value = serde_json::from_str(&text).unwrap_or_default();
        list.get("items").and_then(Value::as_array).cloned().unwrap_or_default()
    }
}

/// Whether a workload's template has the sidecar.
pub(crate) fn carries(workload: &Value) -> bool {
    let containers =
        workload.pointer("/spec/template/spec/initContainers").and_then(Value::as_array);
    containers
        .into_iter()
        .flatten()
        .any(|container| container.get("name") == Some(&Value::from("oauth2-proxy")))
}

/// The status code that an address answers with.
pub(crate) async fn status(address: &str, path: &str) -> u16 {
    match tests::client::builder().redirect(reqwest::redirect::Policy::none()).build() {
        Ok(client) => match client.get(format!("http://{address}{path}")).send().await {
            Ok(answer) => answer.status().as_u16(),
            Err(_) => 0,
        },
        Err(_) => 0,
    }
}

/// The sample app behind a Service. It says farewell before it ends, as an app has to that wants to lose no request.
pub(crate) fn app(replicas: u32) -> String {
    format!(
        "
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, labels: {{app: web}}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  strategy: {{rollingUpdate: {{maxUnavailable: 0}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      automountServiceAccountToken: false
      containers:
        - name: app
          image: ghcr.io/oauth2proxy/sample-app:0.1.0
          ports: [{{name: http, containerPort: 8080}}]
          readinessProbe: {{httpGet: {{path: /healthz, port: http}}, periodSeconds: 1}}
          lifecycle: {{preStop: {{sleep: {{seconds: 5}}}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  selector: {{app: web}}
  ports: [{{name: http, port: 80, targetPort: http}}]
"
    )
}

/// An object whose provider does not exist, which no test here needs, with one path that is open to everybody.
pub(crate) fn object(name: &str, open: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Secret
metadata: {{name: oidc}}
stringData: {{client-secret: s3cret}}
---
apiVersion: oauth2proxy.dev/v1alpha1
kind: OAuth2Proxy
metadata: {{name: {name}}}
spec:
  image: {IMAGE}
  provider:
    issuerURL: http://127.0.0.1:9/realms/none
    clientID: web
    clientSecretRef: {{name: oidc, key: client-secret}}
  access:
    emailDomains: [example.com]
    skipAuthRoutes: [{{pathRegex: {open}}}]
"
    )
}

/// Loads the images of this build into the cluster, once.
fn load_images(cluster: &Arc<Cluster>) {
    static LOADED: Mutex<bool> = Mutex::new(false);
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if *loaded {
        return;
    }
    let built = program("proxy", "oauth2-proxy");
    program("operator", "oauth2-proxy-operator");
    program("harness", "sample-app");
    let from = built.parent().unwrap_or_else(|| Path::new(".")).display().to_string();
    let to = tests::proxy::temp_dir();
    let to = to.path().display().to_string();
    harness_with(&[], &["images", "--from", &from, "--to", &to]);
    for image in ["oauth2-proxy", "sample-app"] {
        harness_with(&[], &["cluster", "load", cluster.name(), &format!("{to}/{image}.tar")]);
    }
    *loaded = true;
}
