//! Turns of workloads and Services, one after another, each with the whole scene under control.

use super::*;
use crate::clock::Clock;
use crate::controller::{Gate, Pace, queue};
use crate::event::Events;
use crate::inject::{INJECT, INJECTED};
use crate::leader::{Elector, Times};
use crate::metrics::Metrics;
use crate::poke::Poker;
use crate::report::Reports;
use crate::scope::Scope;
use crate::seen::Seen;
use crate::testing::{DEPLOYMENTS, OBJECTS, PODS, SERVICES, Server};
use k8s_openapi::api::core::v1::Service;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::store;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// One namespace with the object `main`, whose configuration is rendered.
struct Scene {
    server: Server,
    context: Arc<Context>,
    desk: Arc<Desk>,
    watched: Writer<PartialObjectMeta<Deployment>>,
}

impl Scene {
    fn new() -> Self {
        let server = Server::default();
        let client = server.client();
        let elector =
            Elector::new(client.clone(), ("shop", "lease"), "me", Times::default(), Clock::System);
        let (leader, _) = elector.run(std::future::pending());
        let context = Arc::new(Context {
            client: client.clone(),
            gate: Gate {
                leader,
                stop: CancellationToken::new(),
                metrics: Metrics::new(),
                scope: Scope::Namespace("shop".to_owned()),
                pace: Pace { concurrency: 1, resync: Duration::from_mins(10) },
            },
            proxy: pod::Defaults { image: "proxy:1".to_owned(), user: None, group: None },
            events: Events::new(client.clone(), "me", Clock::System),
            reports: Reports::new(queue().0),
            seen: Seen::default(),
            poker: Poker::new(client).0,
            metrics: Metrics::new(),
            clock: Clock::System,
        });
        let (deployments, watched) = store();
        let desk = Arc::new(Desk::new("shop".to_owned(), deployments, context.reports.clone()));
        let mut main =
            serde_json::to_value(crate::proxy_controller::tests::object(json!({}))).unwrap();
        main["status"] = json!({"observedGeneration": 3, "configHash": "abc", "conditions": [{
            "type": "ConfigRendered", "status": "True", "reason": "Rendered", "message": "", "observedGeneration": 3,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]});
        server.put(OBJECTS, main);
        server.put(SERVICES, json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "selector": {"app": "web"},
                     "ports": [{"port": 80, "protocol": "TCP", "targetPort": "http"}]},
        }));
        Self { server, context, desk, watched }
    }

    /// The same with `web` protected by two pods behind Service `web`.
    async fn protected() -> Self {
        let mut scene = Self::new();
        scene.deploy("web", &json!({INJECT: "main"}));
        for name in ["web-1", "web-2"] {
            scene.server.put(PODS, pod(name, "web", true));
        }
        scene.turns("web", 1).await;
        assert_eq!(scene.target(), 4180);
        scene
    }

    /// A Deployment behind Service `web`.
    fn deploy(&self, name: &str, annotations: &Value) {
        self.server.put(DEPLOYMENTS, json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}"), "annotations": annotations},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"name": name}}, "template": {
                "metadata": {"labels": {"name": name, "app": "web"}},
                "spec": {"containers": [{"name": "app", "image": "app", "ports": [{"name": "http", "containerPort": 8080}]}]},
            }},
        }));
    }

    async fn turns(&mut self, name: &str, count: usize) {
        for _ in 0..count {
            let object = self.server.get(DEPLOYMENTS, name);
            let watched: PartialObjectMeta<Deployment> = seen(&object);
            self.watched.apply_watcher_event(&Event::Apply(watched.clone()));
            let (context, desk) = (Arc::clone(&self.context), Arc::clone(&self.desk));
            reconcile(Arc::new(watched), context, desk).await.unwrap();
        }
    }

    /// A turn of Service `web`.
    async fn service_turn(&self) {
        let service: PartialObjectMeta<Service> = seen(&self.server.get(SERVICES, "web"));
        keeper::reconcile(Arc::new(service), Arc::clone(&self.context)).await.unwrap();
    }

    /// Where Service `web` leads.
    fn target(&self) -> Value {
        self.server.get(SERVICES, "web")["spec"]["ports"][0]["targetPort"].clone()
    }

    fn annotation(&self, workload: &str, name: &str) -> Value {
        self.server.get(DEPLOYMENTS, workload)["metadata"]["annotations"][name].clone()
    }
}

/// An object as a watch of metadata shows it.
fn seen<K: serde::de::DeserializeOwned>(object: &Value) -> K {
    serde_json::from_value(json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object["metadata"],
    }))
    .unwrap()
}

/// A pod with the sidecar.
fn pod(name: &str, of: &str, ready: bool) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "shop", "labels": {"name": of, "app": "web"}},
        "spec": {"initContainers": [{"name": "oauth2-proxy", "restartPolicy": "Always", "ports": [
            {"name": "oauth2-proxy", "containerPort": 4180}, {"name": "o2p-admin", "containerPort": 44180}]}]},
        "status": {"phase": if ready { "Running" } else { "Pending" },
                   "initContainerStatuses": [{"name": "oauth2-proxy", "ready": ready}]},
    })
}

/// A pod without it.
fn bare(name: &str, of: &str) -> Value {
    let mut pod = pod(name, of, true);
    pod["spec"] = json!({"containers": []});
    pod
}

fn unset(object: &mut Value, annotation: &str) {
    object["metadata"]["annotations"].as_object_mut().unwrap().remove(annotation);
}

#[tokio::test]
async fn a_neighbour_that_wants_no_proxy_opens_nothing() {
    let mut scene = Scene::protected().await;
    scene.deploy("worker", &json!({INJECT: "false"}));
    scene.turns("worker", 2).await;
    scene.turns("web", 1).await;
    assert_eq!(scene.target(), 4180);
}

#[tokio::test]
async fn who_leaves_a_shared_service_opens_it_for_nobody_else() {
    for leaving in ["canary", "web"] {
        let mut scene = Scene::protected().await;
        scene.deploy("canary", &json!({INJECT: "main"}));
        scene.server.put(PODS, pod("canary-1", "canary", true));
        scene.turns("canary", 1).await;
        scene.server.edit(DEPLOYMENTS, leaving, |object| unset(object, INJECT));
        for name in [leaving, "canary", "web"] {
            scene.turns(name, 2).await;
        }
        assert_eq!(scene.target(), 4180, "{leaving}");
    }
}

#[tokio::test]
async fn who_is_on_record_is_told_who_holds_it() {
    let mut scene = Scene::protected().await;
    scene.deploy("canary", &json!({INJECT: "main"}));
    scene.server.edit(DEPLOYMENTS, "web", |object| unset(object, INJECT));
    scene.turns("web", 3).await;
    assert!(scene.annotation("web", INJECTED).is_string(), "the sidecar stays");
    let report =
        scene.context.reports.get(&kube::runtime::reflector::ObjectRef::new("main").within("shop"));
    let message = report.workloads[0].message.clone().unwrap();
    assert!(message.starts_with("RemovalSkipped") && message.contains("\"canary\""), "{message}");
}

#[tokio::test]
async fn workloads_that_leave_together_hold_each_other_not() {
    for object_goes in [false, true] {
        let mut scene = Scene::protected().await;
        scene.deploy("canary", &json!({INJECT: "main"}));
        scene.server.put(PODS, pod("canary-1", "canary", true));
        scene.turns("canary", 1).await;
        if object_goes {
            scene.server.edit(OBJECTS, "main", |object| {
                object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
                object["spec"]["deletionPolicy"] = json!("Remove");
            });
        } else {
            for name in ["web", "canary"] {
                scene.server.edit(DEPLOYMENTS, name, |object| unset(object, INJECT));
            }
        }
        for name in ["canary", "web", "canary", "web"] {
            scene.turns(name, 1).await;
        }
        assert_eq!(scene.target(), "http", "object_goes: {object_goes}");
    }
}

#[tokio::test]
async fn a_pod_that_is_not_ready_keeps_no_service_open() {
    let mut scene = Scene::new();
    scene.deploy("web", &json!({INJECT: "main"}));
    scene.server.put(PODS, pod("web-1", "web", true));
    scene.server.put(PODS, pod("web-2", "web", false));
    scene.turns("web", 1).await;
    assert_eq!(scene.target(), 4180);

    let mut scene = Scene::new();
    scene.server.edit(SERVICES, "web", |web| web["spec"]["publishNotReadyAddresses"] = json!(true));
    scene.deploy("web", &json!({INJECT: "main"}));
    scene.server.put(PODS, pod("web-1", "web", false));
    scene.turns("web", 3).await;
    assert_eq!(scene.target(), "http");
    scene.server.put(PODS, pod("web-1", "web", true));
    scene.turns("web", 1).await;
    assert_eq!(scene.target(), 4180);
}

#[tokio::test]
async fn a_service_whose_workload_is_gone_stays_turned_for_who_asks_and_for_pods_that_end() {
    let scene = Scene::protected().await;
    scene.server.remove(DEPLOYMENTS, "web");
    // kube-proxy leads to pods that end where no other is ready.
    scene.server.remove(PODS, "web-2");
    let ended =
        |pod: &mut Value| pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    scene.server.edit(PODS, "web-1", ended);
    scene.service_turn().await;
    assert_eq!(scene.target(), 4180, "a pod ends");
    scene.server.remove(PODS, "web-1");
    // The workload under its new name has no sidecar yet, and what it asks for has a mistake.
    scene.deploy("web2", &json!({INJECT: "main", "oauth2proxy.dev/upstream-port": "!"}));
    scene.server.put(PODS, bare("web2-1", "web2"));
    scene.service_turn().await;
    assert_eq!(scene.target(), 4180, "another asks");
    scene.server.edit(DEPLOYMENTS, "web2", |object| unset(object, INJECT));
    scene.service_turn().await;
    assert_eq!(scene.target(), "http");
}
