//! An application that was protected once answers nobody without a login, whatever becomes of its neighbours, its object, its
//! annotations and its Service, and whoever has a session goes on; a stranger and a member ask all the time.

use crate::denial::{Denial, WORDS};
use crate::guarded::{Guarded, OPEN, is_turned};
use crate::stage::{Stage, app, carries};
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tests::cluster::{condition, message};
use tests::eventually::eventually;
use tokio::time::sleep;

/// How long a Service that somebody else writes to is open, three times of four: kube-proxy's second, and what a turn and its look at the rules take. A busy moment of the
/// machine makes one time long, and not the fourth part of twenty.
const USUALLY_OPEN: Duration = Duration::from_millis(1200);

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
          lifecycle: {{preStop: {{sleep: {{seconds: 5}}}}}}
"
    )
}

/// The app as its manifest has it, annotation and all, with nothing of what was brought in.
fn annotated_app() -> String {
    app(2).replace(
        "metadata: {name: web, labels: {app: web}}",
        "metadata: {name: web, labels: {app: web}, annotations: {oauth2proxy.dev/inject: main}}",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbours_objects_and_annotations_open_nothing() {
    let guarded = Guarded::new("guard", true).await;
    let space = &guarded.stage.space;

    space.apply(&neighbour("worker", 0, "oauth2proxy.dev/inject: \"false\"", ""));
    guarded.all_is_well("a neighbour wants no proxy").await;

    space.apply(&neighbour("canary", 1, "oauth2proxy.dev/inject: main", ""));
    space
        .until("deployment/canary", "the sidecar comes", |canary| {
            carries(canary)
                && canary.pointer("/status/updatedReplicas") == Some(&Value::from(1))
                && canary.pointer("/status/replicas") == Some(&Value::from(1))
                && canary.pointer("/status/availableReplicas") == Some(&Value::from(1))
        })
        .await;
    guarded.nothing_opens("a canary joins, at first without the sidecar").await;
    space.ok(&["annotate", "deployment/canary", "oauth2proxy.dev/inject-"], None);
    let held = |object: &Value| message(object, "TrafficRouted").contains("RemovalSkipped");
    space.until("o2p/main", "who leaves is told who holds it", held).await;
    guarded.all_is_well("a canary opts out").await;
    space.ok(&["delete", "deployment/canary", "deployment/worker"], None);

    let nowhere = "nodeSelector: {nobody: has-this}";
    space.apply(&neighbour("pending", 1, "oauth2proxy.dev/inject: main", nowhere));
    space.until("deployment/pending", "the sidecar comes", carries).await;
    guarded.apply_again("a pod is pending").await;
    space.ok(&["delete", "deployment/pending"], None);

    space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/upstream-port=!"], None);
    let named = |object: &Value| message(object, "TrafficRouted").contains("upstream-port");
    space.until("o2p/main", "the annotation is named", named).await;
    guarded.apply_again("an annotation is wrong").await;
    space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/upstream-port-"], None);

    space.ok(&["delete", "o2p/main", "--cascade=foreground", "--wait=false"], None);
    let blocked = |object: &Value| condition(object, "Ready") == "False DeletionBlocked";
    space.until("o2p/main", "the deletion waits", blocked).await;
    guarded.all_is_well("the object is being deleted").await;
    for secret in ["secret/main-config", "secret/main-cookie"] {
        assert!(!space.get(secret).is_null(), "{secret} is gone from under the pods");
    }
    let finalizers = r#"{"metadata": {"finalizers": null}}"#;
    space.ok(&["patch", "o2p/main", "--type=merge", "-p", finalizers], None);
    space.until("o2p/main", "the object is gone", Value::is_null).await;
    guarded.apply_again("the object is gone").await;
    guarded.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_applies_are_undone_alike_and_a_renamed_workload_stays_closed() {
    let guarded = Guarded::new("applies", true).await;
    let space = &guarded.stage.space;
    let mut times = Vec::new();
    for round in 0..20 {
        guarded.write_back().await;
        sleep(Duration::from_millis(1500)).await;
        let leaks = guarded.stranger.take();
        let open = leaks.first().zip(leaks.last());
        let open = open.map(|(first, last)| last.at.duration_since(first.at)).unwrap_or_default();
        assert!(open < OPEN, "open for {open:?} in round {round}");
        times.push(open);
    }
    println!("open after each of twenty applies: {times:?}");
    times.sort_unstable();
    let usual = times.get(times.len() * 3 / 4).copied().unwrap_or_default();
    assert!(
        usual <= USUALLY_OPEN,
        "open for {usual:?} or longer after one apply of four: {times:?}"
    );
    guarded.all_is_well("twenty applies").await;

    // A pipeline that replaces everything at once, marks and records and all.
    space.ok(&["replace", "-f", "-"], Some(&annotated_app()));
    space.until("service/web", "it is turned again", is_turned).await;
    space.until("deployment/web", "the sidecar comes back", carries).await;
    guarded.stage.available().await;
    sleep(OPEN).await;
    let _ = guarded.stranger.take();
    guarded.all_is_well("everything was replaced").await;

    // Deleted and made anew, as a pipeline does that can not change what is immutable.
    let deployment = annotated_app();
    let deployment = deployment.split("---").next().unwrap_or_default();
    space.ok(&["replace", "--force", "-f", "-"], Some(deployment));
    space.until("deployment/web", "the sidecar comes back", carries).await;
    guarded.stage.routed().await;
    guarded.nothing_opens("the workload was deleted and made anew").await;

    // The same application under another name, with a mistake.
    let renamed = "oauth2proxy.dev/inject: main, oauth2proxy.dev/upstream-port: \"!\"";
    space.apply(&neighbour("web2", 2, renamed, ""));
    space.ok(&["delete", "deployment/web"], None);
    eventually("the old pods are gone", Duration::from_mins(2), || async {
        let pods = space.ok(&["get", "pods", "-l", "app=web,of!=web2", "-o", "name"], None);
        if pods.is_empty() { Ok(()) } else { Err(pods) }
    })
    .await;
    guarded.nothing_opens("the workload has another name and a mistake").await;
    space.ok(&["annotate", "deployment/web2", "oauth2proxy.dev/upstream-port-"], None);
    space.until("deployment/web2", "the sidecar comes", carries).await;
    guarded.nothing_opens("the mistake was mended").await;
    guarded.stop().await;
}

/// As a pipeline does it that has to change what is immutable: between the two there is no workload that asks.
#[tokio::test(flavor = "multi_thread")]
async fn a_workload_that_is_deleted_and_made_anew_with_its_annotation_is_closed_all_the_time() {
    let guarded = Guarded::new("anew", false).await;
    let (stage, space) = (&guarded.stage, &guarded.stage.space);
    let deployment = annotated_app();
    let slow = deployment.split("---").next().unwrap_or_default().to_owned();
    // No pod of the old one is left to tell that there was one.
    let farewell = "          lifecycle: {preStop: {sleep: {seconds: 5}}}\n";
    let quick = slow.replace(farewell, "      terminationGracePeriodSeconds: 0\n");
    assert_ne!(slow, quick);
    for (manifest, what) in [
        (&slow, "its pods take their leave"),
        (&quick, "made of pods that end at once"),
        (&quick, "its pods end at once"),
        (&quick, "its pods end at once, a second time"),
    ] {
        let old = space.get("deployment/web");
        space.ok(&["replace", "--force", "-f", "-"], Some(manifest));
        let another =
            |web: &Value| carries(web) && web["metadata"]["uid"] != old["metadata"]["uid"];
        space.until("deployment/web", "the sidecar comes back", another).await;
        stage.available().await;
        stage.routed().await;
        guarded.nothing_opens(what).await;
        assert!(is_turned(&space.get("service/web")), "{what}: the Service leads past the proxy");
    }
    guarded.all_is_well("nothing happens any more").await;

    // And the Service with it, at the address that it had.
    let address = space.get("service/web")["spec"]["clusterIP"].clone();
    let anew = annotated_app().replace(
        "  selector: {app: web}\n",
        &format!("  selector: {{app: web}}\n  clusterIP: {address}\n"),
    );
    let old = space.get("deployment/web");
    space.ok(&["replace", "--force", "-f", "-"], Some(&anew));
    let another = |web: &Value| carries(web) && web["metadata"]["uid"] != old["metadata"]["uid"];
    space.until("deployment/web", "the sidecar comes back", another).await;
    space.until("service/web", "it is turned again", is_turned).await;
    stage.available().await;
    let leaks = guarded.stranger.take();
    let open = leaks.first().zip(leaks.last());
    let open = open.map(|(first, last)| last.at.duration_since(first.at)).unwrap_or_default();
    println!("open after workload and Service were made anew: {open:?}");
    assert!(open < OPEN, "open for {open:?}");
    guarded.nothing_opens("workload and Service were made anew").await;
    guarded.stop().await;
}

/// What the operator may not write it says in the API server's words; what was closed stays closed, and what runs goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_denied_patch_opens_nothing_and_fails_nobody() {
    let guarded = Guarded::new("denied", false).await;
    let (stage, space) = (&guarded.stage, &guarded.stage.space);
    let told = |object: &Value| {
        let text = object.pointer("/status").map(Value::to_string).unwrap_or_default();
        text.contains("ApiRefused") && text.contains(WORDS)
    };

    // Of the Service: who leaves is not taken out while it leads to the sidecar.
    let denial = Denial::of(stage, "services", "request.name != 'web'", "service/web").await;
    space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/inject-"], None);
    space.until("o2p/main", "the refusal is told", told).await;
    guarded.all_is_well("the Service may not be patched").await;
    assert!(carries(&space.get("deployment/web")), "the sidecar has gone before the traffic");
    space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/inject=main"], None);
    stage.routed().await;
    denial.end("service/web").await;
    guarded.all_is_well("the Service may be patched again").await;

    // Of the Deployment: a template that should change.
    let denial = Denial::of(stage, "deployments", "false", "deployment/web").await;
    let more = r#"{"spec": {"sidecar": {"resources": {"requests": {"cpu": "11m"}}}}}"#;
    space.ok(&["patch", "o2p/main", "--type=merge", "-p", more], None);
    space.until("o2p/main", "the refusal is told", told).await;
    guarded.all_is_well("the Deployment may not be patched").await;
    denial.end("deployment/web").await;
    let asks_for = |cpu: &'static str| {
        move |web: &Value| {
            let pointer = "/spec/template/spec/initContainers/0/resources/requests/cpu";
            web.pointer(pointer) == Some(&Value::from(cpu))
        }
    };
    space.until("deployment/web", "the change arrives", asks_for("11m")).await;
    stage.available().await;
    stage.routed().await;
    guarded.all_is_well("the Deployment may be patched again").await;

    // Of the companion, which somebody deletes.
    let (companion, allowed) = ("service/web-oauth2-proxy", "request.name != 'web-oauth2-proxy'");
    let denial = Denial::of(stage, "services", allowed, companion).await;
    space.ok(&["delete", companion], None);
    space.until("o2p/main", "the refusal is told", told).await;
    guarded.all_is_well("the companion may not be made").await;
    assert!(space.get(companion).is_null(), "it was made all the same");
    denial.end("service/web").await;
    space.until(companion, "it is back", |companion| !companion.is_null()).await;
    stage.routed().await;

    // One write in four, of every kind: which one depends on what was written before, by whomever.
    let allowed = "oldObject == null || int(oldObject.metadata.resourceVersion) % 4 != 0";
    let denial = Denial::of(stage, "*/*", allowed, "deployment/web").await;
    let more = r#"{"spec": {"sidecar": {"resources": {"requests": {"cpu": "12m"}}}}}"#;
    space.ok(&["patch", "o2p/main", "--type=merge", "-p", more], None);
    routed_in_the_end(stage, asks_for("12m")).await;
    guarded.all_is_well("one write in four is refused, and all pods are replaced").await;
    let deployment = annotated_app();
    let deployment = deployment.split("---").next().unwrap_or_default();
    space.ok(&["replace", "-f", "-"], Some(deployment));
    routed_in_the_end(stage, carries).await;
    guarded.nothing_opens("one write in four is refused, and the workload was replaced").await;
    denial.end("deployment/web").await;
    stage.routed().await;
    guarded.stop().await;
}

/// Waits until the workload is as it should be and routed, while others write to all that the operator writes to.
async fn routed_in_the_end(stage: &Stage, check: impl Fn(&Value) -> bool) {
    let written = [
        "deployment/web",
        "service/web",
        "service/web-oauth2-proxy",
        "o2p/main",
        "secret/main-config",
    ];
    let namespace = format!("--namespace={}", stage.space.name);
    let round = AtomicU64::new(0);
    eventually("it is routed in the end", Duration::from_mins(4), || {
        let note = format!("round={}", round.fetch_add(1, Ordering::Relaxed));
        for object in written {
            // One of them may not be there now.
            let annotate = ["annotate", "--overwrite", &namespace, object, &note];
            drop(stage.space.cluster.kubectl(&annotate, None));
        }
        let (web, object) = (stage.space.get("deployment/web"), stage.space.get("o2p/main"));
        let routed = condition(&object, "TrafficRouted") == "True Routed"
            && object.pointer("/status/observedGeneration")
                == object.pointer("/metadata/generation");
        let holds = check(&web) && routed;
        async move { if holds { Ok(()) } else { Err(format!("{object:#}")) } }
    })
    .await;
}

/// Who deletes an object or a workload without what hangs on it leaves pods behind, which go on as they are.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_orphaning_deletion_leaves_behind_stays_closed_and_keeps_its_secrets() {
    let guarded = Guarded::new("orphans", false).await;
    let space = &guarded.stage.space;
    let keys = space.get("secret/main-cookie");
    let secrets_are_there = || {
        assert!(!space.get("secret/main-config").is_null(), "the configuration is gone");
        assert_eq!(space.get("secret/main-cookie")["data"], keys["data"], "the keys");
    };

    space.ok(&["delete", "deployment/web", "--cascade=orphan"], None);
    guarded.all_is_well("the Deployment is gone, and its pods are not").await;
    let remove = r#"{"spec": {"deletionPolicy": "Remove"}}"#;
    space.ok(&["patch", "o2p/main", "--type=merge", "-p", remove], None);
    space.ok(&["delete", "o2p/main", "--cascade=orphan", "--wait=false"], None);
    let waits = |object: &Value| {
        object.pointer("/metadata/deletionTimestamp").is_some()
            && condition(object, "Ready").starts_with("False")
    };
    space.until("o2p/main", "the deletion waits for the pods", waits).await;
    guarded.all_is_well("the object is being deleted").await;
    secrets_are_there();

    // A pod that is made now mounts them.
    let pods = guarded.stage.pods();
    let first = pods.first().map(|name| format!("pod/{name}")).unwrap_or_default();
    space.ok(&["delete", &first], None);
    eventually("another pod is ready", Duration::from_mins(2), || async {
        let pods = guarded.stage.listed("pods");
        let ready = |pod: &&Value| condition(pod, "Ready").starts_with("True");
        let fresh = pods
            .iter()
            .filter(ready)
            .filter(|pod| pod.pointer("/metadata/deletionTimestamp").is_none());
        if fresh.count() == 2 { Ok(()) } else { Err(pods) }
    })
    .await;
    guarded.all_is_well("a pod was replaced").await;
    secrets_are_there();

    space.ok(&["delete", "replicaset", "-l", "app=web"], None);
    space.until("o2p/main", "the object goes when the last pod has", Value::is_null).await;
    for secret in ["secret/main-config", "secret/main-cookie"] {
        assert!(space.get(secret).is_null(), "{secret} is left");
    }
    guarded.stranger.is_content("nothing is left");
    guarded.stop().await;
}
