//! Ends of objects, turn after turn, against an API server made of maps.

use super::*;
use crate::controller::Next;
use crate::inject::{INJECT, INJECTED, INJECTED_BY};
use crate::object::{KEPT_FOR, labels};
use crate::proxy_controller::tests::object;
use crate::proxy_controller::watches::Made;
use crate::proxy_controller::{reconcile, watches};
use crate::report::FleetReport;
use crate::testing::{DEPLOYMENTS, EVENTS, OBJECTS, PODS, SECRETS, Server};
use http::Method;
use serde_json::Value;
use std::sync::Arc;
use tokio::time::Instant;

struct Scene {
    server: Server,
    context: Arc<Context>,
}

impl Scene {
    /// A namespace with object `main` and the client Secret that it names.
    fn new(more: Value) -> Self {
        let server = Server::default();
        let context = crate::testing::context(&server);
        server.put(OBJECTS, serde_json::to_value(object(more)).unwrap());
        server.put(SECRETS, secret("shop-oidc", &json!({}), "client-secret"));
        Self { server, context }
    }

    /// The same, rendered.
    async fn rendered(more: Value) -> Self {
        let scene = Self::new(more);
        // The first turn makes the keys, the second finds them.
        for _ in 0..2 {
            scene.turn().await.unwrap();
        }
        scene.server.edit(OBJECTS, "main", |main| {
            assert!(main["status"]["configHash"].is_string(), "{main:#}");
        });
        scene
    }

    /// One that something gives the object which is no report of its pods.
    async fn turn(&self) -> Result<Next, Failure> {
        self.context.past.changed(&ObjectRef::new("main").within("shop"));
        self.turn_for_a_report().await
    }

    async fn turn_for_a_report(&self) -> Result<Next, Failure> {
        let main = self.server.get(OBJECTS, "main");
        let main: Guarded = serde_json::from_value(main).unwrap();
        reconcile(Arc::new(main), Made::by(|_, _| false), Arc::clone(&self.context)).await
    }

    fn delete(&self) {
        self.server.edit(OBJECTS, "main", |main| {
            main["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            main["metadata"]["generation"] = json!(4);
        });
    }

    fn deploy(&self, name: &str, annotations: &Value) {
        self.server.put(DEPLOYMENTS, json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": "shop", "uid": name, "annotations": annotations},
        }));
    }

    fn is_gone(&self) -> bool {
        self.server.get(OBJECTS, "main").is_null()
    }

    fn ready(&self) -> (String, String) {
        let main = self.server.get(OBJECTS, "main");
        let ready = &main["status"]["conditions"][0];
        let text = |field: &str| ready[field].as_str().unwrap_or_default().to_owned();
        (text("reason"), text("message"))
    }

    fn events(&self) -> Vec<String> {
        let reason = |event: Value| event["reason"].as_str().unwrap_or_default().to_owned();
        self.server.all(EVENTS).into_iter().map(reason).collect()
    }
}

fn secret(name: &str, metadata: &Value, key: &str) -> Value {
    let mut secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "shop", "uid": name},
        "data": {key: "MDEyMzQ1Njc4OWFiY2RlZjAxMjM="},
    });
    json_patch::merge(&mut secret["metadata"], metadata);
    secret
}

fn of_owner(uid: &str) -> Value {
    let owner = json!({"apiVersion": "oauth2proxy.dev/v1alpha1", "kind": "OAuth2Proxy", "name": "main", "uid": uid, "controller": true});
    json!({"labels": labels("main"), "ownerReferences": [owner]})
}

#[tokio::test]
async fn the_secrets_go_last_and_only_when_no_pod_mounts_them() {
    let scene = Scene::rendered(json!({})).await;
    for name in ["main-config", "main-cookie"] {
        let secret = scene.server.get(SECRETS, name);
        assert!(secret["metadata"]["ownerReferences"].is_null(), "{secret:#}");
        assert_eq!(secret["metadata"]["annotations"][KEPT_FOR], "uid-1");
    }
    scene.deploy("web", &json!({INJECT: "main"}));
    let pod = json!({"metadata": {"name": "web-1", "namespace": "shop",
        "annotations": {INJECTED_BY: "shop/main"}, "deletionTimestamp": "2026-01-01T00:00:00Z"}});
    scene.server.put(PODS, pod);
    scene.delete();
    scene.turn().await.unwrap();
    let (reason, message) = scene.ready();
    assert_eq!(reason, "DeletionBlocked");
    assert!(message.contains("Deployment web"), "{message}");
    assert_eq!(scene.server.get(OBJECTS, "main")["status"]["observedGeneration"], 4);
    // The sidecar and its record leave the template in one write: the pods that still run are what counts then.
    scene.deploy("web", &json!({}));
    scene.turn().await.unwrap();
    assert!(scene.ready().1.contains("web-1"), "{:?}", scene.ready());
    assert!(!scene.server.get(SECRETS, "main-cookie").is_null());
    scene.server.remove(PODS, "web-1");
    scene.turn().await.unwrap();
    assert!(scene.is_gone());
    assert_eq!(scene.server.names(SECRETS), ["shop-oidc"]);
}

#[tokio::test]
async fn a_blocked_deletion_keeps_the_secrets_and_tells_of_itself_once() {
    let scene = Scene::rendered(json!({})).await;
    scene.deploy("web", &json!({INJECT: "main"}));
    scene.delete();
    for _ in 0..3 {
        // As a collector did that followed owners.
        scene.server.remove(SECRETS, "main-config");
        scene.turn().await.unwrap();
        assert!(!scene.server.get(SECRETS, "main-config").is_null());
    }
    let told = scene.events();
    assert_eq!(told.iter().filter(|reason| *reason == "DeletionBlocked").count(), 1, "{told:?}");
    scene.server.asked();
    scene.turn().await.unwrap();
    let writes = scene.server.asked().into_iter().filter(|(method, _)| *method != Method::GET);
    assert_eq!(writes.collect::<Vec<_>>(), []);
}

#[tokio::test]
async fn an_object_that_can_not_be_read_can_be_deleted() {
    for (policy, holds) in [(json!("Block"), true), (json!("Keep"), true), (json!("Remove"), false)]
    {
        let scene = Scene::rendered(json!({})).await;
        scene.deploy("web", &json!({INJECT: "main"}));
        scene.server.edit(OBJECTS, "main", |main| {
            main["spec"]["session"]["store"] = json!("of-a-later-version");
            main["spec"]["deletionPolicy"] = policy.clone();
        });
        assert!(scene.turn().await.is_err(), "it is not to be read");
        scene.delete();
        scene.turn().await.unwrap();
        assert_eq!(scene.is_gone(), !holds, "{policy}");
        if holds {
            assert_eq!(scene.ready().0, "DeletionBlocked");
            let main = scene.server.get(OBJECTS, "main");
            assert!(
                main["status"]["configHash"].is_string(),
                "the rest of the status stays: {main:#}"
            );
            scene.server.remove(DEPLOYMENTS, "web");
            scene.turn().await.unwrap();
            assert!(scene.is_gone(), "{policy}");
        }
        assert_eq!(scene.server.names(SECRETS), ["shop-oidc"]);
    }
}

#[tokio::test]
async fn a_turn_that_may_inject_yet_holds_the_object() {
    let scene = Scene::rendered(json!({"deletionPolicy": "Remove"})).await;
    scene.deploy("web", &json!({INJECT: "true"}));
    scene.delete();
    let turn = scene.context.gate.running.enter("workload", "shop/web");
    scene.turn().await.unwrap();
    assert!(!scene.is_gone());
    drop(turn);
    // It has injected.
    scene.deploy("web", &json!({INJECT: "true", INJECTED: r#"{"object":"main"}"#}));
    scene.turn().await.unwrap();
    assert!(!scene.is_gone());
    assert_eq!(scene.ready().0, "Deleting");
    scene.deploy("web", &json!({INJECT: "true"}));
    let own = scene.context.gate.running.enter(watches::NAME, "shop/web");
    scene.turn().await.unwrap();
    drop(own);
    assert!(scene.is_gone(), "of its own turns none injects");
}

#[tokio::test]
async fn what_an_earlier_version_or_object_left_is_taken_over_with_its_keys() {
    let kept_for_another = json!({"labels": labels("main"), "annotations": {KEPT_FOR: "uid-0"}});
    for left in [of_owner("uid-1"), of_owner("uid-0"), kept_for_another] {
        let scene = Scene::new(json!({}));
        scene.server.put(SECRETS, secret("main-cookie", &left, "key-7"));
        scene.server.put(SECRETS, secret("main-config", &left, "old"));
        scene.turn().await.unwrap();
        for name in ["main-config", "main-cookie"] {
            let metadata = scene.server.get(SECRETS, name)["metadata"].clone();
            assert_eq!(metadata["ownerReferences"], json!([]), "{name} {left}");
            assert_eq!(metadata["annotations"][KEPT_FOR], "uid-1", "{name} {left}");
        }
        let cookie = scene.server.get(SECRETS, "main-cookie");
        assert_eq!(cookie["data"], json!({"key-7": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM="}));
        assert_eq!(scene.server.get(OBJECTS, "main")["status"]["sealingKey"], "key-7");
        scene.server.asked();
        scene.turn().await.unwrap();
        let writes = scene.server.asked().into_iter().filter(|(method, _)| *method != Method::GET);
        assert_eq!(writes.collect::<Vec<_>>(), [], "{left}");
    }
}

#[tokio::test]
async fn an_entry_of_a_level_that_nobody_keeps_up_to_date_goes() {
    let scene = Scene::new(json!({}));
    scene.turn().await.unwrap();
    let mut config = scene.server.get(SECRETS, "main-config");
    let kept = config["data"]["config.v1.json"].clone();
    config["data"]["config.v1.9.json"] = json!("e30=");
    config["data"]["notes"] = json!("e30=");
    scene.server.put(SECRETS, config);
    scene.turn().await.unwrap();
    let data = scene.server.get(SECRETS, "main-config")["data"].clone();
    assert_eq!(data, json!({"config.v1.json": kept, "notes": "e30="}));
    scene.server.asked();
    scene.turn().await.unwrap();
    let writes = scene.server.asked().into_iter().filter(|(method, _)| *method != Method::GET);
    assert_eq!(writes.collect::<Vec<_>>(), []);
}

#[tokio::test]
async fn a_secret_of_somebody_else_is_neither_written_nor_deleted() {
    let scene = Scene::new(json!({}));
    scene.server.put(SECRETS, secret("main-config", &json!({}), "mine"));
    scene.server.put(SECRETS, secret("main-cookie", &json!({}), "key-1"));
    scene.turn().await.unwrap();
    assert_eq!(scene.ready().0, "NameCollision");
    scene.server.remove(SECRETS, "main-config");
    scene.turn().await.unwrap();
    let cookie = scene.server.get(SECRETS, "main-cookie");
    assert!(
        cookie["metadata"]["annotations"].is_null(),
        "keys that a user made are used as they are"
    );
    assert_eq!(scene.server.get(OBJECTS, "main")["status"]["sealingKey"], "key-1");
    scene.delete();
    scene.turn().await.unwrap();
    assert!(scene.is_gone());
    assert_eq!(scene.server.names(SECRETS), ["main-cookie", "shop-oidc"]);
}

#[tokio::test]
async fn a_stand_alone_proxy_that_is_left_behind_keeps_its_secrets_and_is_taken_over() {
    let scene = Scene::rendered(json!({"deployment": {}})).await;
    scene.server.put(PODS, json!({"metadata": {"name": "main-proxy-1", "namespace": "shop", "labels": labels("main")}}));
    scene.delete();
    // The collector has not got to it yet.
    scene.server.edit(OBJECTS, "main", |main| {
        main["metadata"]["finalizers"].as_array_mut().unwrap().push(json!("orphan"));
    });
    scene.turn().await.unwrap();
    assert!(!scene.is_gone() && !scene.server.get(DEPLOYMENTS, "main-proxy").is_null());
    scene.server.edit(OBJECTS, "main", |main| {
        main["metadata"]["finalizers"].as_array_mut().unwrap().retain(|name| *name != "orphan");
    });
    scene
        .server
        .edit(DEPLOYMENTS, "main-proxy", |live| live["metadata"]["ownerReferences"] = json!([]));
    scene.turn().await.unwrap();
    assert!(scene.is_gone());
    assert_eq!(scene.server.names(SECRETS), ["main-config", "main-cookie", "shop-oidc"]);

    let mut next = serde_json::to_value(object(json!({"deployment": {}}))).unwrap();
    next["metadata"]["uid"] = json!("uid-2");
    scene.server.put(OBJECTS, next);
    scene.turn().await.unwrap();
    let live = scene.server.get(DEPLOYMENTS, "main-proxy");
    assert_eq!(live["metadata"]["ownerReferences"][0]["uid"], "uid-2");
    assert_eq!(
        scene.server.get(SECRETS, "main-cookie")["metadata"]["annotations"][KEPT_FOR],
        "uid-2"
    );
}

#[tokio::test]
async fn the_stand_alone_proxy_goes_before_its_secrets() {
    let scene = Scene::rendered(json!({"deployment": {}})).await;
    scene.server.edit(DEPLOYMENTS, "main-proxy", |live| live["metadata"]["uid"] = json!("d"));
    scene.server.put(PODS, json!({"metadata": {"name": "main-proxy-1", "namespace": "shop", "labels": labels("main")}}));
    scene.delete();
    scene.turn().await.unwrap();
    assert!(scene.server.get(DEPLOYMENTS, "main-proxy").is_null());
    assert!(!scene.is_gone() && !scene.server.get(SECRETS, "main-cookie").is_null());
    scene.server.remove(PODS, "main-proxy-1");
    scene.turn().await.unwrap();
    assert!(scene.is_gone());
    assert_eq!(scene.server.names(SECRETS), ["shop-oidc"]);
}

#[tokio::test]
async fn a_list_that_fails_ends_nothing() {
    for collection in [DEPLOYMENTS, PODS] {
        let scene = Scene::rendered(json!({})).await;
        scene.delete();
        scene.server.refuse(Method::GET, collection, 500, "the store is away");
        assert!(scene.turn().await.is_err());
        assert!(!scene.is_gone() && !scene.server.get(SECRETS, "main-cookie").is_null());
    }
}

#[tokio::test]
async fn a_settled_turn_reads_three_secrets_and_nothing_else() {
    let scene = Scene::rendered(json!({})).await;
    scene.turn().await.unwrap();
    scene.server.asked();
    scene.turn().await.unwrap();
    let paths: Vec<_> =
        scene.server.asked().into_iter().map(|(method, path)| format!("{method} {path}")).collect();
    let read = |name: &str| format!("GET {SECRETS}/{name}");
    assert_eq!(paths, ["main-config", "main-cookie", "shop-oidc"].map(read));
    scene.turn_for_a_report().await.unwrap();
    assert_eq!(scene.server.asked(), [], "what pods say changes nothing of it");
}

#[tokio::test]
async fn what_pods_say_of_keys_under_way_is_acted_on_at_once() {
    let scene = Scene::rendered(json!({})).await;
    scene.turn().await.unwrap();
    scene.server.edit(SECRETS, "main-cookie", |secret| {
        secret["data"]["key-2"] = secret["data"]["key-1"].clone();
    });
    scene.turn().await.unwrap();
    let sealing = || scene.server.get(OBJECTS, "main")["status"]["sealingKey"].clone();
    assert_eq!(sealing(), "key-1", "no pod is known to have the new one");
    let main = ObjectRef::new("main").within("shop");
    let report =
        FleetReport { complete: true, looked: Some(Instant::now()), ..FleetReport::default() };
    scene.context.reports.put(&main, report);
    scene.turn_for_a_report().await.unwrap();
    assert_eq!(sealing(), "key-2");
}

#[tokio::test]
async fn keys_that_are_deleted_hold_the_object_until_somebody_decides() {
    let scene = Scene::rendered(json!({})).await;
    let before = scene.server.get(SECRETS, "main-cookie");
    scene.server.remove(SECRETS, "main-cookie");
    for _ in 0..2 {
        scene.turn().await.unwrap();
        assert_eq!(scene.ready().0, "KeyRingLost");
        assert!(scene.server.get(SECRETS, "main-cookie").is_null());
    }
    assert!(scene.events().contains(&"KeyRingLost".to_owned()));
    scene.server.put(SECRETS, before);
    scene.turn().await.unwrap();
    assert_eq!(scene.server.get(OBJECTS, "main")["status"]["conditions"][1]["status"], "True");
}

#[tokio::test]
async fn what_is_refused_for_the_stand_alone_proxy_holds_back_ready_alone() {
    let scene = Scene::rendered(json!({"deployment": {}})).await;
    scene.server.remove(DEPLOYMENTS, "main-proxy");
    let path = format!("{DEPLOYMENTS}/main-proxy");
    scene.server.refuse(Method::PATCH, &path, 403, "exceeded quota: small");
    assert!(scene.turn().await.is_err());
    let (reason, message) = scene.ready();
    assert_eq!(reason, "ApiRefused");
    assert!(message.contains("applying Deployment main-proxy: exceeded quota: small"), "{message}");
    let rendered = scene.server.get(OBJECTS, "main")["status"]["conditions"][1].clone();
    assert_eq!(rendered["status"], "True", "sidecars are injected as ever: {rendered}");
    assert!(scene.events().contains(&"ApiRefused".to_owned()));
}

#[tokio::test]
async fn a_stand_alone_proxy_that_may_be_there_is_looked_for_and_taken_away() {
    let scene = Scene::rendered(json!({"deployment": {}})).await;
    scene.server.edit(OBJECTS, "main", |main| {
        main["spec"].as_object_mut().unwrap().remove("deployment");
    });
    scene.turn().await.unwrap();
    assert!(!scene.server.get(DEPLOYMENTS, "main-proxy").is_null(), "nobody knows of it");
    let main: Guarded = serde_json::from_value(scene.server.get(OBJECTS, "main")).unwrap();
    let made = Made::by(|namespace, name| (namespace, name) == ("shop", "main-proxy"));
    scene.context.past.changed(&ObjectRef::new("main").within("shop"));
    reconcile(Arc::new(main), made, Arc::clone(&scene.context)).await.unwrap();
    assert!(scene.server.get(DEPLOYMENTS, "main-proxy").is_null());
}
