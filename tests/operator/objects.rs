//! What the operator makes, keeps, repairs and takes away.

use crate::{CLIENT_SECRET, object};
use serde_json::Value;
use std::time::Duration;
use tests::cluster::{Cluster, Namespace, Operator, condition, message};
use tests::eventually::eventually;

/// A namespace with an operator of its own.
pub(crate) async fn alone(name: &str) -> (Namespace, Operator) {
    let cluster = Cluster::shared();
    let namespace = cluster.namespace(name);
    let lease = format!("--lease-name={name}");
    let namespaces = format!("--namespaces={name}");
    let operator =
        cluster.operator(&format!("{name}-0"), &[&lease, "--scope=namespaces", &namespaces]).await;
    namespace.apply(CLIENT_SECRET);
    (namespace, operator)
}

pub(crate) fn ready(object: &Value) -> bool {
    condition(object, "Ready") == "True Ready"
        && object.pointer("/status/observedGeneration") == object.pointer("/metadata/generation")
}

/// The writes of the operator in a namespace.
pub(crate) fn writes(namespace: &Namespace) -> Vec<String> {
    let text = |value: &Value, pointer: &str| {
        value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let audit = namespace.cluster.audit();
    let ours = audit
        .iter()
        .filter(|event| text(event, "/userAgent").starts_with("oauth2-proxy-operator/"));
    ours.filter(|event| text(event, "/objectRef/namespace") == namespace.name)
        .map(|event| {
            format!(
                "{} {} {}",
                text(event, "/verb"),
                text(event, "/objectRef/resource"),
                text(event, "/objectRef/name")
            )
        })
        .filter(|write| !["get ", "list ", "watch "].iter().any(|verb| write.starts_with(verb)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_made_once_and_nothing_is_written_when_nothing_changed() {
    let (namespace, operator) = alone("once").await;
    namespace.apply(&object("main", ""));
    namespace.until("o2p/main", "the object is ready", ready).await;
    let cookie = namespace.get("secret/main-cookie");
    assert!(cookie["data"]["key-1"].as_str().is_some_and(|key| key.len() >= 40));
    let before = writes(&namespace);
    assert!(before.iter().any(|write| write == "create secrets main-cookie"), "{before:?}");

    // A turn that has nothing to do: the annotation makes it, and the metric shows that it was taken.
    let turns = reconciles(&operator).await;
    namespace.ok(&["annotate", "o2p/main", "example.com/touched=yes"], None);
    eventually("the object got a turn", Duration::from_secs(20), || async {
        let now = reconciles(&operator).await;
        if now > turns { Ok(()) } else { Err(now) }
    })
    .await;
    assert_eq!(writes(&namespace), before);
    assert_eq!(namespace.get("secret/main-cookie")["data"], cookie["data"]);
}

/// How many reconciles of objects have ended.
async fn reconciles(operator: &Operator) -> u64 {
    let text = operator.metrics().await;
    let name =
        "oauth2_proxy_operator_reconcile_duration_seconds_count{controller=\"oauth2proxy\"} ";
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|count| count.parse().ok())
        .unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_never_made_anew_and_a_new_one_joins_the_ring() {
    let (namespace, _operator) = alone("ring").await;
    namespace.apply(&object("main", ""));
    let live = namespace.until("o2p/main", "the object is ready", ready).await;
    assert_eq!(live["status"]["sealingKey"], "key-1");

    let add = r#"{"stringData": {"key-2": "another key of more than sixteen bytes"}}"#;
    namespace.ok(&["patch", "secret", "main-cookie", "-p", add], None);
    let sealed = namespace
        .until("o2p/main", "the new key seals", |o| {
            o["status"]["sealingKey"] == "key-2" && ready(o)
        })
        .await;
    assert_ne!(sealed["status"]["configHash"], live["status"]["configHash"]);

    let empty = r#"{"data": {"key-1": "", "key-2": null}}"#;
    namespace.ok(&["patch", "secret", "main-cookie", "-p", empty], None);
    let bad = namespace
        .until("o2p/main", "the ring is named", |o| condition(o, "Ready") == "False KeyRingInvalid")
        .await;
    assert!(message(&bad, "Ready").contains("entry \"key-1\" is empty"), "{bad:#}");
    assert_eq!(
        bad["status"]["configHash"], sealed["status"]["configHash"],
        "what runs is still in force"
    );
    assert_eq!(namespace.get("secret/main-cookie")["data"]["key-1"], "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_configuration_is_written_again() {
    let (namespace, _operator) = alone("repair").await;
    namespace.apply(&object("main", ""));
    namespace.until("o2p/main", "the object is ready", ready).await;
    let before = namespace.get("secret/main-config");
    namespace.ok(&["delete", "secret", "main-config"], None);
    let after = namespace
        .until("secret/main-config", "it is there again", |secret| !secret.is_null())
        .await;
    assert_eq!(after["data"], before["data"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stand_alone_proxy_comes_and_goes_with_its_section() {
    let (namespace, _operator) = alone("standalone").await;
    namespace.apply(&object(
        "main",
        "  deployment: {replicas: 1}\n  upstreams: [{id: app, path: /, uri: \"http://app:8080\"}]",
    ));
    let made = namespace
        .until("deployment/main-proxy", "it is made", |deployment| !deployment.is_null())
        .await;
    let pod = &made["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], "main-proxy");
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["containers"][0]["image"], "example.com/oauth2-proxy:test");
    assert_eq!(
        namespace.get("service/main-proxy")["spec"]["ports"][0]["targetPort"],
        "oauth2-proxy"
    );
    let waiting = namespace
        .until("o2p/main", "the Deployment is waited for", |o| {
            condition(o, "Ready") == "False DeploymentNotReady"
        })
        .await;
    assert_eq!(waiting["status"]["mode"], "Standalone");

    namespace.ok(&["scale", "deployment/main-proxy", "--replicas=3"], None);
    namespace
        .until("deployment/main-proxy", "drift is repaired", |deployment| {
            deployment["spec"]["replicas"] == 1
        })
        .await;

    // What is wanted no longer goes too, or a Secret that is deleted one day would keep new pods from starting.
    let limits = |memory: &str| format!("  deployment: {{replicas: 1{memory}}}");
    let limit = "/spec/template/spec/containers/0/resources/limits/memory";
    namespace.apply(&object("main", &limits(", resources: {limits: {memory: 64Mi}}")));
    namespace
        .until("deployment/main-proxy", "the limit comes", |d| d.pointer(limit).is_some())
        .await;
    namespace.apply(&object("main", &limits("")));
    namespace
        .until("deployment/main-proxy", "the limit goes", |d| d.pointer(limit).is_none())
        .await;

    namespace.apply(&object("main", ""));
    for gone in ["deployment/main-proxy", "service/main-proxy", "serviceaccount/main-proxy"] {
        namespace.until(gone, "it is gone", Value::is_null).await;
    }
    namespace.until("o2p/main", "the object is ready", ready).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_someone_else_is_left_alone_and_named() {
    let (namespace, _operator) = alone("taken").await;
    namespace.ok(&["create", "secret", "generic", "main-config", "--from-literal=mine=1"], None);
    namespace.apply(&object("main", ""));
    let live = namespace
        .until("o2p/main", "the name is taken", |o| condition(o, "Ready") == "False NameCollision")
        .await;
    assert!(
        message(&live, "Ready").contains("Secret \"main-config\" exists and does not belong"),
        "{live:#}"
    );
    let secret = namespace.get("secret/main-config");
    assert_eq!(secret["data"].as_object().map(serde_json::Map::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_waits_for_the_last_workload_and_takes_everything_with_it() {
    let (namespace, _operator) = alone("deleted").await;
    namespace.apply(&object("main", ""));
    namespace.until("o2p/main", "the object is ready", ready).await;
    // Two containers with ports and none named: the workload asks and is refused, and asking is enough.
    namespace.apply(
        "
apiVersion: apps/v1
kind: Deployment
metadata: {name: app, annotations: {oauth2proxy.dev/inject: main}}
spec:
  replicas: 0
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      containers:
        - {name: a, image: example.com/a, ports: [{containerPort: 8080}]}
        - {name: b, image: example.com/b, ports: [{containerPort: 9090}]}
",
    );
    namespace.ok(&["delete", "o2p/main", "--wait=false"], None);
    let live = namespace
        .until("o2p/main", "the deletion waits", |o| {
            condition(o, "Ready") == "False DeletionBlocked"
        })
        .await;
    assert!(message(&live, "Ready").contains("Deployment app"), "{live:#}");
    assert!(live["status"]["configHash"].is_string(), "the rest of the status stays: {live:#}");
    // As long as it waits it is looked after.
    namespace.ok(&["delete", "secret", "main-config"], None);
    namespace.until("secret/main-config", "it is kept", |secret| !secret.is_null()).await;
    for (on, reason) in [("OAuth2Proxy/main", "DeletionBlocked"), ("Deployment/app", "Deleting")] {
        eventually(&format!("{on} is told {reason}"), Duration::from_mins(1), || async {
            let filter = format!("--for={on}");
            let events = namespace.ok(&["events", &filter], None);
            if events.contains(reason) { Ok(()) } else { Err(events) }
        })
        .await;
    }
    namespace.ok(&["annotate", "deployment/app", "oauth2proxy.dev/inject-"], None);
    namespace.until("o2p/main", "the object is gone", Value::is_null).await;
    assert!(namespace.get("secret/main-cookie").is_null(), "its Secrets go first");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_that_gets_no_sidecar_is_told_so() {
    let (namespace, _operator) = alone("unsupported").await;
    let pod = "{restartPolicy: Never, containers: [{name: a, image: x}]}";
    let template = format!("template: {{metadata: {{labels: {{app: a}}}}, spec: {pod}}}");
    let set = template.replace("restartPolicy: Never, ", "");
    let asks = "annotations: {oauth2proxy.dev/inject: main}";
    namespace.apply(&format!(
        "
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: a-statefulset, {asks}}}
spec: {{serviceName: a, selector: {{matchLabels: {{app: a}}}}, {set}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: a-daemonset, {asks}}}
spec: {{selector: {{matchLabels: {{app: a}}}}, {set}}}
---
apiVersion: batch/v1
kind: Job
metadata: {{name: a-job, {asks}}}
spec: {{{template}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {{name: a-cronjob, {asks}}}
spec: {{schedule: '0 0 1 1 *', jobTemplate: {{spec: {{{template}}}}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: a-pod, labels: {{oauth2proxy.dev/inject: main}}}}
spec: {pod}
"
    ));
    for kind in ["StatefulSet", "DaemonSet", "Job", "CronJob", "Pod"] {
        eventually(&format!("a {kind} is told"), Duration::from_secs(30), || async {
            let selector =
                format!("--field-selector=reason=Unsupported,involvedObject.kind={kind}");
            let events = namespace.ok(&["get", "events", &selector, "-o", "json"], None);
            if events.contains(&format!("a {kind} gets no sidecar")) { Ok(()) } else { Err(events) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_with_a_gap_is_announced() {
    let (namespace, _operator) = alone("gap").await;
    namespace.apply(&object("main", ""));
    namespace.apply(
        "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, annotations: {oauth2proxy.dev/inject: main}}
spec:
  replicas: 0
  strategy: {type: Recreate}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: app, image: app, ports: [{containerPort: 8080}]}]}
",
    );
    eventually("the gap is announced", Duration::from_secs(30), || async {
        let selector = "--field-selector=reason=Injected,involvedObject.kind=Deployment";
        let events = namespace.ok(&["get", "events", selector, "-o", "json"], None);
        if events.contains("Its strategy is Recreate") { Ok(()) } else { Err(events) }
    })
    .await;
}
