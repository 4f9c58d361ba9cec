//! Turns of workloads and Services, one after another, each with the whole scene under control.

mod costs;

use super::*;
use crate::controller::Next;
use crate::failure::Failure;
use crate::inject::{INJECTED, PAUSED, UPSTREAM_PORT};
use crate::testing;
use crate::testing::{DEPLOYMENTS, OBJECTS, PODS, REPLICA_SETS, SERVICES, Server};
use http::Method;
use kube::runtime::reflector::store;
use kube::runtime::reflector::store::Writer;
use serde_json::{Value, json};
use std::time::Duration;

/// One namespace with the object `main`, whose configuration is rendered.
struct Scene {
    server: Server,
    context: Arc<Context>,
    desk: Arc<Desk>,
    workloads: Writer<workload::Watched>,
    services: Writer<service_controller::Watched>,
    objects: Writer<Guarded>,
    board: Arc<Board>,
}

impl Scene {
    fn new() -> Self {
        let (wake, woken) = wake();
        Self::woken_by(&wake, &woken)
    }

    /// One in which `woken` gets what is told to `wake`.
    fn woken_by(wake: &Wake, woken: &Woken) -> Self {
        let server = Server::default();
        let context = testing::context(&server);
        let ((all, workloads), (behind, services), (known, objects)) = (store(), store(), store());
        let all = Objects::listed_already(all);
        let (behind, known) = (Objects::listed_already(behind), Objects::listed_already(known));
        let desk = Arc::new(Desk::new(
            "shop".to_owned(),
            all.clone(),
            context.reports.clone(),
            (woken.turns.clone(), woken.observe.clone(), woken.stages.clone()),
        ));
        let board = Arc::new(Board::new(all, behind, known, woken.observe.clone()));
        wake.place(Arc::clone(&board), Arc::clone(&desk));
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
        Self { server, context, desk, workloads, services, objects, board }
    }

    /// The same with `web` protected by two pods behind Service `web`.
    async fn protected() -> Self {
        let mut scene = Self::new();
        scene.deploy("web", &json!({INJECT: "main"}));
        for name in ["web-1", "web-2"] {
            scene.server.put(PODS, pod(name, "web", true));
        }
        scene.settle().await;
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

    /// What the deployment controller keeps of a workload as it is now, for rollbacks.
    fn keep_revision(&self, name: &str) {
        let annotations = self.server.get(DEPLOYMENTS, name)["metadata"]["annotations"].clone();
        self.server.put(REPLICA_SETS, json!({"metadata": {
            "name": format!("{name}-{}", self.server.names(REPLICA_SETS).len()), "namespace": "shop",
            "labels": {"name": name}, "annotations": annotations,
            "ownerReferences": [{"controller": true, "uid": format!("uid-{name}")}],
        }}));
    }

    /// What `kubectl rollout undo` makes of a workload: the template and all annotations are those of an older revision.
    fn roll_back(&self, name: &str, annotations: &Value) {
        self.deploy(name, annotations);
        let fields: serde_json::Map<_, _> = annotations
            .as_object()
            .unwrap()
            .keys()
            .map(|key| (format!("f:{key}"), json!({})))
            .collect();
        self.server.edit(DEPLOYMENTS, name, |workload| {
            workload["metadata"]["managedFields"] = json!([{
                "manager": "kubectl", "operation": "Update",
                "fieldsV1": {"f:metadata": {"f:annotations": fields}},
            }]);
        });
    }

    /// Shows the watches what is there.
    fn watch(&mut self) {
        fn read<K: DeserializeOwned>(objects: Vec<Value>) -> Vec<K> {
            objects.into_iter().map(|object| serde_json::from_value(object).unwrap()).collect()
        }
        let board = &self.board;
        board.workloads.relist(&mut self.workloads, read(self.server.all(DEPLOYMENTS)));
        board.services.relist(&mut self.services, read(self.server.all(SERVICES)));
        board.objects.relist(&mut self.objects, read(self.server.all(OBJECTS)));
    }

    /// One turn of a workload.
    async fn turn(&mut self, name: &str) -> Result<Next, Failure> {
        self.watch();
        let Ok(watched) = serde_json::from_value(self.server.get(DEPLOYMENTS, name)) else {
            return Ok(Next::Resync);
        };
        let (context, desk) = (Arc::clone(&self.context), Arc::clone(&self.desk));
        workload_controller::reconcile(Arc::new(watched), context, desk).await
    }

    /// One look at the pods of a workload.
    async fn look(&mut self, name: &str) -> Result<Next, Failure> {
        self.watch();
        let watched = serde_json::from_value(self.server.get(DEPLOYMENTS, name)).unwrap();
        let places = (Arc::clone(&self.desk), Arc::clone(&self.board));
        observe::reconcile(Arc::new(watched), Arc::clone(&self.context), places).await
    }

    /// One turn of a Service.
    async fn service_turn(&mut self, name: &str) -> Result<Next, Failure> {
        self.watch();
        let watched = serde_json::from_value(self.server.get(SERVICES, name)).unwrap();
        let (context, board) = (Arc::clone(&self.context), Arc::clone(&self.board));
        service_controller::reconcile(Arc::new(watched), context, board).await
    }

    /// Turns of all that is there, until it is at rest.
    async fn settle(&mut self) {
        for _ in 0..6 {
            for name in self.server.names(DEPLOYMENTS) {
                self.turn(&name).await.unwrap();
                self.look(&name).await.unwrap();
            }
            for name in self.server.names(SERVICES) {
                self.service_turn(&name).await.unwrap();
            }
        }
    }

    /// Where Service `web` leads.
    fn target(&self) -> Value {
        self.server.get(SERVICES, "web")["spec"]["ports"][0]["targetPort"].clone()
    }

    /// What the status would say of a workload.
    fn message(&self, workload: &str) -> String {
        let main = ObjectRef::new("main").within("shop");
        let report = self.context.reports.get(&main);
        let found = report.workloads.into_iter().find(|found| found.name == workload).unwrap();
        found.message.unwrap_or_default()
    }

    /// Somebody applies Service `web` again, with the target that it had.
    fn revert(&self) {
        self.server
            .edit(SERVICES, "web", |web| web["spec"]["ports"][0]["targetPort"] = json!("http"));
    }

    fn annotation(&self, workload: &str, name: &str) -> Value {
        self.server.get(DEPLOYMENTS, workload)["metadata"]["annotations"][name].clone()
    }
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
    scene.settle().await;
    assert_eq!(scene.target(), 4180);
}

#[tokio::test]
async fn who_leaves_a_shared_service_opens_it_for_nobody_else_and_is_told_who_holds_it() {
    for leaving in ["canary", "web"] {
        let mut scene = Scene::protected().await;
        scene.deploy("canary", &json!({INJECT: "main"}));
        scene.server.put(PODS, pod("canary-1", "canary", true));
        scene.settle().await;
        scene.server.edit(DEPLOYMENTS, leaving, |object| unset(object, INJECT));
        scene.settle().await;
        assert_eq!(scene.target(), 4180, "{leaving}");
        assert!(scene.annotation(leaving, INJECTED).is_string(), "the sidecar stays");
        let message = scene.message(leaving);
        assert!(message.starts_with("RemovalSkipped"), "{message}");
        assert!(
            message.contains(if leaving == "web" { "\"canary\"" } else { "\"web\"" }),
            "{message}"
        );
    }
}

#[tokio::test]
async fn workloads_that_leave_together_do_not_hold_each_other() {
    for object_goes in [false, true] {
        let mut scene = Scene::protected().await;
        scene.deploy("canary", &json!({INJECT: "main"}));
        scene.server.put(PODS, pod("canary-1", "canary", true));
        scene.settle().await;
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
        scene.settle().await;
        assert_eq!(scene.target(), "http", "object_goes: {object_goes}");
    }
}

#[tokio::test]
async fn a_pod_that_is_not_ready_keeps_no_service_open() {
    let mut scene = Scene::new();
    scene.deploy("web", &json!({INJECT: "main"}));
    scene.server.put(PODS, pod("web-1", "web", true));
    scene.server.put(PODS, pod("web-2", "web", false));
    scene.settle().await;
    assert_eq!(scene.target(), 4180);

    let mut scene = Scene::new();
    scene.server.edit(SERVICES, "web", |web| web["spec"]["publishNotReadyAddresses"] = json!(true));
    scene.deploy("web", &json!({INJECT: "main"}));
    scene.server.put(PODS, pod("web-1", "web", false));
    scene.settle().await;
    assert_eq!(scene.target(), "http");
    scene.server.put(PODS, pod("web-1", "web", true));
    scene.settle().await;
    assert_eq!(scene.target(), 4180);
}

#[tokio::test(start_paused = true)]
async fn a_service_whose_workload_is_gone_stays_turned_for_who_asks_and_for_pods_that_end() {
    let mut scene = Scene::protected().await;
    scene.server.remove(DEPLOYMENTS, "web");
    // kube-proxy leads to pods that end where no other is ready.
    scene.server.remove(PODS, "web-2");
    let ended =
        |pod: &mut Value| pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    scene.server.edit(PODS, "web-1", ended);
    scene.settle().await;
    assert_eq!(scene.target(), 4180, "a pod ends");
    scene.server.remove(PODS, "web-1");
    // The workload under its new name has no sidecar yet, and what it asks for has a mistake.
    scene.deploy("web2", &json!({INJECT: "main", UPSTREAM_PORT: "!"}));
    scene.server.put(PODS, bare("web2-1", "web2"));
    scene.settle().await;
    assert_eq!(scene.target(), 4180, "another asks");
    // Nor does an apply of the Service open it for long.
    scene.revert();
    scene.settle().await;
    assert_eq!(scene.target(), 4180, "it was applied again");
    scene.server.edit(DEPLOYMENTS, "web2", |object| unset(object, INJECT));
    scene.settle().await;
    assert_eq!(scene.target(), 4180, "whom it was turned for may come again");
    tokio::time::advance(Duration::from_mins(1)).await;
    scene.settle().await;
    assert_eq!(scene.target(), "http");
}

#[tokio::test(start_paused = true)]
async fn a_service_whose_workload_is_deleted_and_made_anew_leads_to_no_pod_without_sidecar() {
    let mut scene = Scene::protected().await;
    for round in 0..3 {
        scene.server.remove(DEPLOYMENTS, "web");
        for pod in scene.server.names(PODS) {
            scene.server.remove(PODS, &pod);
        }
        for _ in 0..50 {
            scene.settle().await;
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(scene.target(), 4180, "round {round}: it is gone");
        }
        scene.deploy("web", &json!({INJECT: "main"}));
        scene.server.put(PODS, bare("web-3", "web"));
        scene.settle().await;
        assert_eq!(scene.target(), 4180, "round {round}: it has no sidecar yet");
    }
    // It is there, and the Service selects others by now.
    scene.server.edit(SERVICES, "web", |web| web["spec"]["selector"] = json!({"app": "green"}));
    for pod in scene.server.names(PODS) {
        scene.server.remove(PODS, &pod);
    }
    scene.settle().await;
    assert_eq!(scene.target(), "http");
}

#[tokio::test]
async fn a_service_whose_workload_is_made_anew_without_the_annotation_is_restored_at_once() {
    let mut scene = Scene::protected().await;
    // Who makes it anew without the annotation says that it is to be open. The companion has gone with the old one.
    scene.server.remove(DEPLOYMENTS, "web");
    scene.server.remove(SERVICES, "web-oauth2-proxy");
    scene.settle().await;
    scene.deploy("web", &json!({}));
    scene.settle().await;
    assert_eq!(scene.target(), "http");
}

#[tokio::test]
async fn nothing_that_is_wrong_elsewhere_ends_the_defence_of_a_service() {
    type Wrong = fn(&Server);
    let wrongs: [(&str, Wrong); 6] = [
        ("an annotation", |server| {
            server.edit(DEPLOYMENTS, "web", |web| {
                web["metadata"]["annotations"][UPSTREAM_PORT] = json!("!");
            });
        }),
        ("annotation and label", |server| {
            server.edit(DEPLOYMENTS, "web", |web| {
                web["metadata"]["labels"] = json!({INJECT: "other"});
            });
        }),
        ("the traffic annotation", |server| {
            server.edit(DEPLOYMENTS, "web", |web| {
                web["metadata"]["annotations"]["oauth2proxy.dev/traffic"] = json!("Companon");
            });
        }),
        ("the object is gone", |server| server.remove(OBJECTS, "main")),
        ("the object can not be read", |server| {
            server.edit(OBJECTS, "main", |main| {
                main["spec"]["session"] = json!({"store": "memcached"});
            });
        }),
        ("the object is in a blocked deletion", |server| {
            server.edit(OBJECTS, "main", |main| {
                main["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
                main["metadata"]["generation"] = json!(4);
            });
        }),
    ];
    for (what, wrong) in wrongs {
        let mut scene = Scene::protected().await;
        wrong(&scene.server);
        scene.settle().await;
        scene.revert();
        scene.service_turn("web").await.unwrap();
        assert_eq!(scene.target(), 4180, "{what}");
        assert!(scene.annotation("web", INJECTED).is_string(), "{what}");
    }
}

#[tokio::test]
async fn the_hundredth_apply_is_undone_like_the_first() {
    let mut scene = Scene::protected().await;
    for round in 0..100 {
        scene.revert();
        scene.service_turn("web").await.unwrap();
        assert_eq!(scene.target(), 4180, "round {round}");
    }
}

#[tokio::test]
async fn what_was_protected_once_is_closed_before_its_pods_are_ready_for_it() {
    let mut scene = Scene::protected().await;
    // A pipeline replaces Deployment and Service at once: no mark is left on either, and the new pods are bare.
    scene.deploy("web", &json!({INJECT: "main"}));
    scene.server.put(PODS, bare("web-3", "web"));
    scene.server.edit(SERVICES, "web", |web| {
        web["metadata"] = json!({"name": "web", "namespace": "shop"});
        web["spec"]["ports"][0]["targetPort"] = json!("http");
    });
    scene.service_turn("web").await.unwrap();
    scene.settle().await;
    assert_eq!(scene.target(), 4180);
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_and_made_anew_with_its_service_is_closed_before_its_pods_are_ready() {
    for (seconds, target) in [(30, json!(4180)), (90, json!("http"))] {
        let mut scene = Scene::protected().await;
        scene.server.remove(DEPLOYMENTS, "web");
        scene.server.remove(SERVICES, "web-oauth2-proxy");
        for pod in scene.server.names(PODS) {
            scene.server.remove(PODS, &pod);
        }
        scene.desk.forget(&workload::WorkloadRef::deployment("shop", "web"));
        tokio::time::advance(Duration::from_secs(seconds)).await;
        scene.deploy("web", &json!({INJECT: "main"}));
        scene.server.put(PODS, bare("web-3", "web"));
        scene.server.edit(SERVICES, "web", |web| {
            web["metadata"] = json!({"name": "web", "namespace": "shop"});
            web["spec"]["ports"][0]["targetPort"] = json!("http");
        });
        scene.settle().await;
        assert_eq!(scene.target(), target, "{seconds} s later");
    }
}

#[tokio::test]
async fn one_service_that_may_not_be_changed_keeps_no_other_open() {
    let mut scene = Scene::new();
    let mut first = scene.server.get(SERVICES, "web");
    first["metadata"]["name"] = json!("a-first");
    scene.server.put(SERVICES, first);
    scene.server.refuse(Method::PATCH, &format!("{SERVICES}/a-first"), 403, "denied by policy");
    scene.deploy("web", &json!({INJECT: "main"}));
    scene.server.put(PODS, pod("web-1", "web", true));
    for _ in 0..3 {
        scene.turn("web").await.unwrap();
        let refused = scene.service_turn("a-first").await;
        assert!(refused.is_err_and(|failure| failure.message.contains("denied by policy")));
        scene.service_turn("web").await.unwrap();
    }
    assert_eq!(scene.target(), 4180);
}

#[tokio::test]
async fn an_explicit_no_is_obeyed_at_once() {
    let mut scene = Scene::protected().await;
    // A replace with a manifest that now says no: sidecar and record went with it.
    scene.deploy("web", &json!({INJECT: "false"}));
    scene.settle().await;
    assert_eq!(scene.annotation("web", INJECT), "false");
    assert_eq!(scene.target(), "http");
    assert_eq!(scene.server.get(SERVICES, "web-oauth2-proxy"), Value::Null);
}

#[tokio::test]
async fn a_rollback_that_wipes_the_opt_in_is_undone_unless_the_workload_is_paused() {
    for paused in [false, true] {
        let mut scene = Scene::protected().await;
        scene.keep_revision("web");
        scene.roll_back("web", &if paused { json!({PAUSED: "true"}) } else { json!({}) });
        scene.settle().await;
        let expected = if paused { Value::Null } else { json!("main") };
        assert_eq!(scene.annotation("web", INJECT), expected);
        assert_eq!(scene.target(), 4180, "paused: {paused}");
    }
}

#[tokio::test]
async fn a_no_that_a_rollback_brought_back_is_nobodys_wish() {
    let mut scene = Scene::protected().await;
    // While somebody took the sidecar out, once, the revision had a record and a no.
    let record = scene.annotation("web", INJECTED).as_str().unwrap().replace("made-", "former-");
    scene.keep_revision("web");
    for annotations in [json!({INJECT: "false"}), json!({INJECT: "false", INJECTED: record})] {
        scene.roll_back("web", &annotations);
        scene.service_turn("web").await.unwrap();
        assert_eq!(scene.target(), 4180, "before the workload's turn");
        scene.settle().await;
        assert_eq!(scene.annotation("web", INJECT), "main");
        assert_eq!(scene.target(), 4180);
    }
}

#[tokio::test]
async fn a_mode_that_a_rollback_brought_back_opens_nothing_and_is_told() {
    let mut scene = Scene::protected().await;
    let record = scene.annotation("web", INJECTED);
    let mode = "oauth2proxy.dev/traffic";
    scene.roll_back("web", &json!({INJECT: "main", mode: "Companion", INJECTED: record}));
    scene.settle().await;
    assert_eq!(scene.target(), 4180);
    let message = scene.message("web");
    assert!(message.starts_with("RolledBack") && message.contains(mode), "{message}");
    // Said by a person it counts.
    scene.server.edit(DEPLOYMENTS, "web", |web| {
        web["metadata"]["managedFields"][0]["manager"] = json!("kubectl-annotate");
    });
    scene.settle().await;
    assert_eq!(scene.target(), "http");
}

/// What somebody may write who may not change Deployments.
fn forged_companion(opt_in: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": "web-oauth2-proxy", "namespace": "shop", "uid": "forged",
            "labels": {"app.kubernetes.io/managed-by": "oauth2-proxy-operator", "oauth2proxy.dev/traffic": "companion"},
            "annotations": {"oauth2proxy.dev/workload": "web", "oauth2proxy.dev/opted-in": opt_in,
                            "oauth2proxy.dev/routed": "uid-web", "oauth2proxy.dev/protected-port": "8080"},
            "ownerReferences": [{"uid": "uid-web", "name": "web"}],
        },
        "spec": {"selector": {"name": "web"}, "ports": [{"port": 80, "protocol": "TCP", "targetPort": 4180}]},
    })
}

#[tokio::test(start_paused = true)]
async fn a_companion_that_somebody_forged_opts_nobody_in_and_turns_nothing() {
    for protected_once in [false, true] {
        let mut scene = Scene::new();
        scene.deploy("web", &json!({}));
        scene.server.put(PODS, bare("web-1", "web"));
        if protected_once {
            scene = Scene::protected().await;
            scene.keep_revision("web");
            scene.server.edit(DEPLOYMENTS, "web", |object| unset(object, INJECT));
            scene.settle().await;
            tokio::time::advance(Duration::from_secs(11)).await;
            scene.settle().await;
            assert_eq!(scene.server.get(SERVICES, "web-oauth2-proxy"), Value::Null);
        }
        scene.server.put(SERVICES, forged_companion("main"));
        let before = scene.server.get(DEPLOYMENTS, "web");
        scene.settle().await;
        assert_eq!(scene.server.get(DEPLOYMENTS, "web"), before);
        assert_eq!(scene.target(), "http");
        let message = scene.message("web");
        let step = "kubectl delete service web-oauth2-proxy";
        assert!(message.starts_with("RolledBack") && message.contains(step), "{message}");
    }
}

#[tokio::test]
async fn a_companion_that_nothing_proves_keeps_what_is_closed() {
    let mut scene = Scene::protected().await;
    // The revision that was protected was cleaned up, or is of before its record named the companion.
    scene.roll_back("web", &json!({}));
    scene.settle().await;
    scene.revert();
    scene.settle().await;
    assert_eq!(scene.target(), 4180);
    assert!(scene.annotation("web", INJECT).is_null());
    scene.server.remove(SERVICES, "web-oauth2-proxy");
    scene.settle().await;
    assert_eq!(scene.target(), "http", "that is how it is ended");
}

#[tokio::test]
async fn the_companion_on_record_goes_with_the_sidecar_whatever_somebody_made_of_its_marks() {
    tokio::time::pause();
    let mut scene = Scene::protected().await;
    scene.server.edit(DEPLOYMENTS, "web", |object| unset(object, INJECT));
    scene.settle().await;
    scene.server.edit(SERVICES, "web-oauth2-proxy", |companion| {
        companion["metadata"]["annotations"]["oauth2proxy.dev/workload"] = json!("other");
        companion["spec"]["selector"] = json!({"app": "other"});
    });
    tokio::time::advance(Duration::from_secs(11)).await;
    scene.settle().await;
    assert!(scene.annotation("web", INJECTED).is_null());
    assert_eq!(scene.server.get(SERVICES, "web-oauth2-proxy"), Value::Null);
}

#[tokio::test]
async fn who_leads_to_the_sidecar_by_its_own_definition_holds_the_sidecar() {
    let mut scene = Scene::protected().await;
    // The definition was changed as a message asked for, so nothing is on record.
    scene.server.edit(SERVICES, "web", |web| {
        web["metadata"] = json!({"name": "web", "namespace": "shop"});
        web["spec"]["ports"][0]["targetPort"] = json!(4180);
    });
    scene.server.edit(DEPLOYMENTS, "web", |object| unset(object, INJECT));
    scene.settle().await;
    assert!(scene.annotation("web", INJECTED).is_string());
    let message = scene.message("web");
    for part in ["RemovalSkipped", "\"web\"", "port 80 back to 8080"] {
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn services_of_which_none_leads_to_the_protected_port_are_named() {
    let mut scene = Scene::new();
    scene.server.edit(SERVICES, "web", |web| web["spec"]["ports"][0]["targetPort"] = json!(9090));
    scene.deploy("web", &json!({INJECT: "main"}));
    scene.server.put(PODS, pod("web-1", "web", true));
    scene.settle().await;
    let message = scene.message("web");
    let one = "no Service leads to the protected port 8080, and web leads to others";
    assert!(message.contains(one), "{message}");
}

#[tokio::test]
async fn a_settled_turn_reads_little_and_writes_nothing() {
    let mut scene = Scene::protected().await;
    scene.server.asked();
    scene.turn("web").await.unwrap();
    let of = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let asked: Vec<_> = scene.server.asked().into_iter().map(|(_, path)| of(&path)).collect();
    assert_eq!(asked, ["web", "main", "web-oauth2-proxy"]);
    scene.look("web").await.unwrap();
    assert_eq!(scene.server.asked(), [(Method::GET, PODS.to_owned())]);
    scene.service_turn("web").await.unwrap();
    let asked: Vec<_> = scene.server.asked().into_iter().map(|(_, path)| of(&path)).collect();
    assert_eq!(asked, ["web", "web", "web-oauth2-proxy", "pods"]);
}

#[tokio::test]
async fn a_service_that_is_nobodys_costs_no_request() {
    let mut scene = Scene::new();
    scene.deploy("web", &json!({}));
    scene.server.asked();
    scene.service_turn("web").await.unwrap();
    assert_eq!(scene.server.asked(), []);
}

#[tokio::test]
async fn what_the_api_server_refuses_is_told_in_its_words_and_hides_nobody_else() {
    let mut scene = Scene::protected().await;
    let main = ObjectRef::new("main").within("shop");
    scene.desk.put_standalone(&main, Vec::new(), None);
    scene.deploy("denied", &json!({INJECT: "main"}));
    let path = format!("{DEPLOYMENTS}/denied");
    scene.server.refuse(
        Method::PATCH,
        &path,
        400,
        "admission webhook denied it: limits are required",
    );
    scene.server.asked();
    let refused = scene.turn("denied").await;
    assert!(refused.is_err(), "it is tried again");
    let told = scene.server.asked().into_iter().filter(|(_, path)| path.contains("/events"));
    assert_eq!(told.count(), 1, "one event on the workload; the object has its conditions");
    scene.turn("web").await.unwrap();
    let report = scene.context.reports.get(&main);
    assert!(report.complete);
    assert_eq!(report.workloads.len(), 2);
    let message = scene.message("denied");
    assert!(
        message.starts_with("ApiRefused: ") && message.contains("limits are required"),
        "{message}"
    );
}

#[tokio::test]
async fn who_leaves_keeps_its_sidecar_and_is_told_that_its_service_may_not_be_changed_back() {
    let mut scene = Scene::protected().await;
    scene.server.refuse(Method::PATCH, &format!("{SERVICES}/web"), 403, "denied by policy");
    scene.server.edit(DEPLOYMENTS, "web", |object| unset(object, INJECT));
    scene.turn("web").await.unwrap();
    scene.service_turn("web").await.unwrap_err();
    scene.turn("web").await.unwrap();
    scene.look("web").await.unwrap();
    let message = scene.message("web");
    assert!(message.starts_with("ApiRefused") && message.contains("denied by policy"), "{message}");
    assert_eq!(scene.target(), 4180);
    assert!(scene.annotation("web", INJECTED).is_string());
}

#[tokio::test]
async fn a_service_that_may_not_be_changed_is_named_with_the_reason() {
    let mut scene = Scene::new();
    scene.server.refuse(Method::PATCH, &format!("{SERVICES}/web"), 403, "denied by policy");
    scene.deploy("web", &json!({INJECT: "main"}));
    scene.server.put(PODS, pod("web-1", "web", true));
    scene.turn("web").await.unwrap();
    scene.service_turn("web").await.unwrap_err();
    scene.look("web").await.unwrap();
    let message = scene.message("web");
    assert!(
        message.starts_with("DirectPathOpen") && message.contains("denied by policy"),
        "{message}"
    );
}

#[tokio::test]
async fn a_workload_that_asks_counts_before_its_first_turn() {
    let mut scene = Scene::protected().await;
    let main = ObjectRef::new("main").within("shop");
    scene.desk.put_standalone(&main, Vec::new(), None);
    assert!(scene.context.reports.get(&main).complete);
    scene.deploy("late", &json!({INJECT: "main"}));
    scene.watch();
    scene.desk.notice(&serde_json::from_value(scene.server.get(DEPLOYMENTS, "late")).unwrap());
    assert_eq!(scene.context.reports.get(&main).workloads.len(), 1, "it was there at the start");
    scene.desk.set_listed();
    scene.desk.notice(&serde_json::from_value(scene.server.get(DEPLOYMENTS, "late")).unwrap());
    let report = scene.context.reports.get(&main);
    let late = report.workloads.iter().find(|workload| workload.name == "late").unwrap();
    assert!(report.complete && !late.injected);
}

#[tokio::test]
async fn an_opt_in_on_the_pod_template_is_told_and_listed() {
    let mut scene = Scene::new();
    scene.deploy("web", &json!({}));
    scene.server.edit(DEPLOYMENTS, "web", |web| {
        web["spec"]["template"]["metadata"]["annotations"] = json!({INJECT: "main"});
    });
    scene.settle().await;
    let message = scene.message("web");
    assert!(message.contains("on the pod template"), "{message}");
    let events = scene.server.asked().into_iter().filter(|(_, path)| path.contains("/events"));
    assert_eq!(events.count(), 1, "it is told once");
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_that_replaces_a_workload_again_and_again_is_no_fight() {
    let mut scene = Scene::protected().await;
    for round in 0..30 {
        scene.deploy("web", &json!({INJECT: "main"}));
        scene.turn("web").await.unwrap();
        assert!(scene.annotation("web", INJECTED).is_string(), "round {round}");
        assert_eq!(scene.target(), 4180);
        tokio::time::advance(Duration::from_secs(90)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_fight_over_a_sidecar_is_slowed_down_told_and_never_given_up() {
    let mut scene = Scene::protected().await;
    let mut waits = Vec::new();
    for _ in 0..8 {
        scene.deploy("web", &json!({INJECT: "main"}));
        for _ in 0..2 {
            if let Next::After(wait) = scene.turn("web").await.unwrap() {
                waits.push(wait.as_secs());
                tokio::time::advance(wait).await;
            }
        }
        assert!(scene.annotation("web", INJECTED).is_string());
        assert_eq!(scene.target(), 4180, "it answers nobody rather than everybody");
    }
    assert_eq!(waits, [2, 4, 8, 16, 32, 64]);
}

#[tokio::test]
async fn a_sidecar_that_admission_rewrites_is_applied_once() {
    let mut scene = Scene::new();
    scene.server.rewrite(|object| {
        if let Some(image) = object.pointer_mut("/spec/template/spec/initContainers/0/image") {
            *image = json!("mirror/proxy:1");
        }
    });
    scene.deploy("web", &json!({INJECT: "main"}));
    scene.server.put(PODS, pod("web-1", "web", true));
    scene.settle().await;
    assert_eq!(scene.target(), 4180);
    let writes =
        scene.server.asked().into_iter().filter(|(method, path)| {
            *method == Method::PATCH && *path == format!("{DEPLOYMENTS}/web")
        });
    assert_eq!(writes.count(), 1);
}

#[tokio::test]
async fn a_file_is_had_once_the_template_and_the_last_pod_have_it() {
    let mut scene = Scene::protected().await;
    let main = ObjectRef::new("main").within("shop");
    scene.desk.put_standalone(&main, Vec::new(), None);
    let has = |scene: &Scene, file: &str| {
        scene.context.reports.get(&main).all_have(&[file.to_owned()].into())
    };
    let roll = |scene: &Scene, pod: &str| {
        let template = &scene.server.get(DEPLOYMENTS, "web")["spec"]["template"];
        let volumes = template["spec"]["volumes"].clone();
        scene.server.edit(PODS, pod, |pod| pod["spec"]["volumes"] = volumes.clone());
    };
    assert!(!has(&scene, "client-secret"), "these pods have nothing");
    roll(&scene, "web-1");
    roll(&scene, "web-2");
    scene.settle().await;
    assert!(has(&scene, "client-secret") && !has(&scene, "emails"));
    scene
        .server
        .edit(DEPLOYMENTS, "web", |web| web["metadata"]["annotations"][PAUSED] = json!("true"));
    let people = json!({"secretKeyRef": {"name": "people", "key": "list"}});
    scene
        .server
        .edit(OBJECTS, "main", |main| main["spec"]["access"]["emailsFrom"] = people.clone());
    scene.settle().await;
    roll(&scene, "web-1");
    roll(&scene, "web-2");
    scene.settle().await;
    assert!(!has(&scene, "emails"), "the template is as it was");
    scene.server.edit(DEPLOYMENTS, "web", |web| unset(web, PAUSED));
    scene.settle().await;
    roll(&scene, "web-1");
    scene.settle().await;
    assert!(!has(&scene, "emails"), "a pod of before runs");
    roll(&scene, "web-2");
    scene.settle().await;
    assert!(has(&scene, "emails"));
}

#[tokio::test]
async fn a_renamed_port_gives_nothing_back() {
    for (name, number) in [("web", 8080), ("http", 9090)] {
        let mut scene = Scene::protected().await;
        scene.server.edit(DEPLOYMENTS, "web", |web| {
            let ports = json!([{"name": name, "containerPort": number}]);
            web["spec"]["template"]["spec"]["containers"][0]["ports"] = ports;
        });
        // The Service's turn may come before the workload's.
        scene.service_turn("web").await.unwrap();
        assert_eq!(scene.target(), 4180, "{name} {number}");
        scene.settle().await;
        assert_eq!(scene.target(), 4180, "{name} {number}");
    }
}

#[tokio::test]
async fn what_was_protected_once_is_closed_although_no_sidecar_may_come() {
    let mut scene = Scene::protected().await;
    scene.server.remove(OBJECTS, "main");
    scene.deploy("web", &json!({INJECT: "main"}));
    scene.server.edit(SERVICES, "web", |web| {
        web["metadata"] = json!({"name": "web", "namespace": "shop"});
        web["spec"]["ports"][0]["targetPort"] = json!("http");
    });
    scene.settle().await;
    assert!(scene.annotation("web", INJECTED).is_null());
    assert_eq!(scene.target(), 4180);
}

#[tokio::test]
async fn what_only_says_that_it_is_a_companion_is_a_service_like_any_other() {
    let mut scene = Scene::protected().await;
    let mut forged = scene.server.get(SERVICES, "web-oauth2-proxy");
    forged["metadata"]["name"] = json!("forged");
    forged["spec"]["selector"] = json!({"app": "web"});
    forged["spec"]["ports"] = json!([{"port": 80, "targetPort": 8080}]);
    scene.server.put(SERVICES, forged);
    scene.server.edit(SERVICES, "web-oauth2-proxy", |companion| {
        let more = json!({"name": "past", "port": 81, "targetPort": 8080});
        companion["spec"]["ports"].as_array_mut().unwrap().push(more);
    });
    scene.settle().await;
    let forged = scene.server.get(SERVICES, "forged");
    assert_eq!(forged["spec"]["ports"][0]["targetPort"], 4180);
    let companion = scene.server.get(SERVICES, "web-oauth2-proxy");
    assert_eq!(companion["spec"]["ports"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_mode_that_is_only_on_record_opens_nothing() {
    let mut scene = Scene::protected().await;
    scene.server.edit(DEPLOYMENTS, "web", |web| {
        let record = web["metadata"]["annotations"][INJECTED].as_str().unwrap();
        let record = record.replace("\"traffic\":\"Auto\"", "\"traffic\":\"Companion\"");
        web["metadata"]["annotations"][INJECTED] = json!(record);
    });
    scene.server.remove(OBJECTS, "main");
    scene.settle().await;
    assert_eq!(scene.target(), 4180);
}

#[tokio::test]
async fn a_paused_workload_keeps_its_service_while_its_object_goes() {
    let mut scene = Scene::protected().await;
    let paused = |web: &mut Value| web["metadata"]["annotations"][PAUSED] = json!("true");
    scene.server.edit(DEPLOYMENTS, "web", paused);
    scene.server.edit(OBJECTS, "main", |main| {
        main["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        main["spec"]["deletionPolicy"] = json!("Remove");
    });
    scene.settle().await;
    assert_eq!(scene.target(), 4180);
}

#[tokio::test]
async fn a_workload_on_its_way_out_counts_before_its_first_turn() {
    let mut scene = Scene::protected().await;
    let main = ObjectRef::new("main").within("shop");
    scene.server.edit(DEPLOYMENTS, "web", |object| unset(object, INJECT));
    scene.watch();
    // As after a restart.
    scene.desk.forget(&workload::WorkloadRef::deployment("shop", "web"));
    scene.desk.put_standalone(&main, Vec::new(), None);
    assert!(!scene.context.reports.get(&main).complete, "it carries the sidecar of the object");
}

#[tokio::test]
async fn a_new_record_alone_is_no_rollout_and_no_event() {
    let mut scene = Scene::protected().await;
    // As the first release wrote it.
    scene.server.edit(DEPLOYMENTS, "web", |web| {
        let record = web["metadata"]["annotations"][INJECTED].as_str().unwrap();
        let mut record: Value = serde_json::from_str(record).unwrap();
        for field in ["image", "renderer", "traffic", "writer"] {
            record.as_object_mut().unwrap().remove(field);
        }
        web["metadata"]["annotations"][INJECTED] = json!(record.to_string());
    });
    let before = scene.server.get(DEPLOYMENTS, "web")["spec"].clone();
    scene.server.asked();
    scene.settle().await;
    assert_eq!(scene.server.get(DEPLOYMENTS, "web")["spec"], before);
    assert!(scene.annotation("web", INJECTED).as_str().unwrap().contains("\"renderer\":1"));
    let told = scene.server.asked().into_iter().filter(|(_, path)| path.contains("/events"));
    assert_eq!(told.count(), 0);
}

#[tokio::test]
async fn an_open_service_is_looked_at_again_and_no_later_because_there_are_many() {
    for (name, of, most) in [("alone", "alone", 600), ("web-2", "web", 5)] {
        let mut scene = Scene::new();
        scene.deploy("web", &json!({INJECT: "main"}));
        scene.server.put(PODS, pod("web-1", "web", true));
        scene.server.put(PODS, bare(name, of));
        scene.turn("web").await.unwrap();
        for _ in 0..20 {
            let next = scene.service_turn("web").await.unwrap();
            // Neither `Resync` nor `Settled`, which are longer where there are many.
            let soon = matches!(next, Next::After(delay) if delay <= Duration::from_secs(most));
            assert!(soon, "{name}: {next:?}");
        }
        assert_eq!(scene.target(), "http", "pod {name} has no sidecar");
        scene.server.remove(PODS, name);
        scene.service_turn("web").await.unwrap();
        assert_eq!(scene.target(), 4180);
    }
}

#[tokio::test]
async fn what_the_api_server_does_not_get_done_is_told_when_it_lasts_and_tried_again() {
    for (path, code, words) in [
        (format!("{SERVICES}/web-oauth2-proxy"), 500, "failed to allocate a serviceIP"),
        (format!("{DEPLOYMENTS}/web"), 503, "etcd is not available"),
        (format!("{DEPLOYMENTS}/web"), 429, "too many requests"),
    ] {
        let mut scene = Scene::new();
        scene.deploy("web", &json!({INJECT: "main"}));
        scene.server.refuse(Method::PATCH, &path, code, words);
        scene.server.asked();
        for _ in 0..3 {
            assert!(scene.turn("web").await.is_err());
        }
        let told = scene.server.asked().into_iter().filter(|(_, path)| path.contains("/events"));
        assert_eq!(told.count(), 0, "it may pass by itself");
        assert!(scene.turn("web").await.is_err());
        let message = scene.message("web");
        assert!(message.starts_with("ApiFailure: ") && message.contains(words), "{message}");
        let told = scene.server.asked().into_iter().filter(|(_, path)| path.contains("/events"));
        assert_eq!(told.count(), 1);
        scene.server.allow();
        scene.settle().await;
        assert!(scene.annotation("web", INJECTED).is_string());
    }
}

#[tokio::test]
async fn a_service_or_pods_that_can_not_be_got_at_are_told_on_the_workload_when_it_lasts() {
    for (method, path) in [
        (Method::GET, format!("{SERVICES}/web")),
        (Method::GET, PODS.to_owned()),
        (Method::PATCH, format!("{SERVICES}/web")),
    ] {
        let mut scene = Scene::protected().await;
        scene.server.refuse(method, &path, 500, "etcd is not available");
        scene.revert();
        for turns in 1..=8 {
            assert!(scene.service_turn("web").await.is_err());
            let _ = scene.look("web").await;
            let told = scene.message("web").contains("etcd is not available");
            assert!(turns > 3 || !told, "{path}: it may pass by itself");
        }
        let message = scene.message("web");
        assert!(message.contains("etcd is not available"), "{path}: {message}");
        scene.server.allow();
        scene.settle().await;
        let message = scene.message("web");
        assert!(!message.contains("etcd"), "{path}: {message}");
        assert_eq!(scene.target(), 4180);
    }
}

#[tokio::test]
async fn a_workload_made_anew_that_asks_for_nothing_is_told_that_a_protection_ended() {
    for said in [None, Some("false")] {
        let mut scene = Scene::protected().await;
        scene.server.remove(DEPLOYMENTS, "web");
        scene.deploy("web", &said.map_or_else(|| json!({}), |text| json!({INJECT: text})));
        scene.server.edit(DEPLOYMENTS, "web", |web| web["metadata"]["uid"] = json!("uid-anew"));
        scene.service_turn("web").await.unwrap();
        assert_eq!(scene.target(), "http");
        let told: Vec<_> = scene
            .server
            .all(testing::EVENTS)
            .into_iter()
            .filter(|event| event["reason"] == "Removed")
            .collect();
        if said.is_some() {
            assert_eq!(told.len(), 0, "who says no knows it");
            continue;
        }
        assert_eq!(told.len(), 2, "on the workload and on the object that it had");
        let note = told[0]["note"].as_str().unwrap();
        let step = "kubectl annotate deployment web oauth2proxy.dev/inject=main";
        assert!(note.contains(step) && told[0]["type"] == "Warning", "{note}");
    }
}
