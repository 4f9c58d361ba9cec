//! Services of every shape, turned and restored.

use super::*;
use crate::workload::Kind;
use json_patch::Patch;
use proptest::prelude::*;
use serde_json::json;

const PORTS: Ports = Ports { proxy: 4180, admin: 44180, upstream: 8080 };

fn workload() -> Value {
    json!({
        "metadata": {"name": "web", "namespace": "shop", "uid": "u-1"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web", "tier": "front"}},
                "spec": {
                    "containers": [{"name": "app", "ports": [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 9090}]}],
                    "initContainers": [{"name": "oauth2-proxy", "restartPolicy": "Always", "ports": [{"name": "oauth2-proxy", "containerPort": 4180}]}],
                },
            },
        },
    })
}

fn service(ports: &Value) -> Value {
    json!({
        "metadata": {"name": "web", "namespace": "shop", "resourceVersion": "3"},
        "spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "selector": {"app": "web"}, "ports": ports},
    })
}

fn patched(service: &Value, patch: &Value) -> Value {
    let patch: Patch = serde_json::from_value(patch.clone()).unwrap();
    let mut after = service.clone();
    json_patch::patch(&mut after, &patch).unwrap();
    after
}

/// As the workload alone turns it.
fn turn(service: &Value, workload: &Value, ports: Ports) -> Option<Value> {
    let one = Protected { kind: Kind::Deployment, workload, ports };
    super::turn(service, &[one], &one, false)
}

fn turned(service: &Value, ports: Ports) -> Value {
    patched(service, &turn(service, &workload(), ports).expect("there is something to turn"))
}

fn targets(service: &Value) -> Vec<Value> {
    service["spec"]["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|port| port["targetPort"].clone())
        .collect()
}

#[test]
fn a_service_is_related_by_selector_and_target() {
    let route = |service: &Value| route(service, &workload(), PORTS);
    assert_eq!(route(&service(&json!([{"port": 80, "targetPort": 8080}]))), Route::Direct);
    assert_eq!(route(&service(&json!([{"port": 80, "targetPort": "http"}]))), Route::Direct);
    assert_eq!(route(&service(&json!([{"port": 8080}]))), Route::Direct);
    assert_eq!(
        route(&service(&json!([{"port": 80, "targetPort": "oauth2-proxy"}]))),
        Route::Proxied
    );
    assert_eq!(route(&service(&json!([{"port": 80, "targetPort": 4180}]))), Route::Proxied);
    assert_eq!(route(&service(&json!([{"port": 80, "targetPort": "metrics"}]))), Route::Elsewhere);
    assert_eq!(
        route(&service(&json!([{"port": 80, "targetPort": 8080, "protocol": "UDP"}]))),
        Route::Elsewhere
    );
    let mut other = service(&json!([{"port": 80, "targetPort": 8080}]));
    other["spec"]["selector"] = json!({"app": "web", "tier": "back"});
    assert_eq!(route(&other), Route::Elsewhere);
    other["spec"]["selector"] = json!({});
    assert_eq!(route(&other), Route::Elsewhere);
    let mut headless = service(&json!([{"port": 80, "targetPort": 8080}]));
    headless["spec"]["clusterIP"] = json!("None");
    assert_eq!(route(&headless), Route::Headless);
}

#[test]
fn only_ports_that_lead_to_the_protected_one_are_turned() {
    let before = service(&json!([
        {"name": "http", "port": 80, "targetPort": "http"},
        {"name": "alt", "port": 8080, "targetPort": 8080},
        {"name": "metrics", "port": 9090, "targetPort": "metrics"},
    ]));
    let after = turned(&before, PORTS);
    assert_eq!(targets(&after), [json!(4180), json!(4180), json!("metrics")]);
    assert_eq!(turned_for(&after), Some(("Deployment".to_owned(), "web".to_owned())));
    assert_eq!(turn(&after, &workload(), PORTS), None, "a second turn writes");
    let mut back = patched(&after, &restore(&after).unwrap());
    assert_eq!(back, before);
    back["metadata"]["resourceVersion"] = json!("9");
    assert_eq!(restore(&back), None, "a second restore writes");
}

#[test]
fn annotations_and_labels_of_the_user_survive() {
    let mut before = service(&json!([{"port": 80, "targetPort": 8080}]));
    before["metadata"]["annotations"] = json!({"a/b": "c"});
    before["metadata"]["labels"] = json!({"app": "web"});
    let after = turned(&before, PORTS);
    assert_eq!(after["metadata"]["annotations"]["a/b"], json!("c"));
    assert_eq!(patched(&after, &restore(&after).unwrap()), before);
}

#[test]
fn a_service_that_was_applied_again_is_turned_again_with_its_new_original() {
    let mut service = turned(&service(&json!([{"port": 80, "targetPort": 8080}])), PORTS);
    service["spec"]["ports"][0]["targetPort"] = json!("http");
    let again = turned(&service, PORTS);
    assert_eq!(targets(&again), [json!(4180)]);
    assert_eq!(targets(&patched(&again, &restore(&again).unwrap())), [json!("http")]);
}

#[test]
fn a_target_that_somebody_changed_meanwhile_is_not_overwritten() {
    let mut service = turned(&service(&json!([{"port": 80, "targetPort": 8080}])), PORTS);
    service["spec"]["ports"][0]["targetPort"] = json!(9090);
    assert_eq!(targets(&patched(&service, &restore(&service).unwrap())), [json!(9090)]);
}

#[test]
fn another_proxy_port_keeps_the_original() {
    let before = service(&json!([{"port": 80, "targetPort": "http"}]));
    let moved = turned(&turned(&before, PORTS), Ports { proxy: 4280, ..PORTS });
    assert_eq!(targets(&moved), [json!(4280)]);
    assert_eq!(patched(&moved, &restore(&moved).unwrap()), before);
}

#[test]
fn another_protected_port_gives_the_old_one_back() {
    let before = service(
        &json!([{"port": 80, "targetPort": "http"}, {"port": 9090, "targetPort": "metrics"}]),
    );
    let moved = turned(&turned(&before, PORTS), Ports { upstream: 9090, ..PORTS });
    assert_eq!(targets(&moved), [json!("http"), json!(4180)]);
    assert_eq!(patched(&moved, &restore(&moved).unwrap()), before);
}

#[test]
fn of_workloads_that_share_a_service_one_is_on_record() {
    let service = turned(&service(&json!([{"port": 80, "targetPort": "http"}])), PORTS);
    let (web, mut canary) = (workload(), workload());
    canary["metadata"]["name"] = json!("canary");
    let (web, other) = (
        Protected { kind: Kind::Deployment, workload: &web, ports: PORTS },
        Protected { kind: Kind::Deployment, workload: &canary, ports: PORTS },
    );
    assert_eq!(super::turn(&service, &[web, other], &web, false), None);
    // Nor does one that protects another port open the one that is turned.
    let elsewhere = Protected { ports: Ports { upstream: 9090, ..PORTS }, ..other };
    assert_eq!(super::turn(&service, &[web, elsewhere], &web, false), None);
    // When the first is gone the other goes on in its place, with the original that the first recorded.
    let after = patched(&service, &super::turn(&service, &[other], &other, false).unwrap());
    assert_eq!(turned_for(&after).unwrap().1, "canary");
    assert_eq!(targets(&after), [json!(4180)]);
    assert_eq!(targets(&patched(&after, &restore(&after).unwrap())), [json!("http")]);
    // Somebody relies on it of whom no port is known: what is on record stays.
    assert_eq!(
        targets(&patched(
            &service,
            &super::turn(&service, &[elsewhere], &elsewhere, true).unwrap()
        )),
        [json!(4180)]
    );
}

#[test]
fn what_is_on_record_is_held_whatever_ports_there_are() {
    let before =
        service(&json!([{"port": 80, "targetPort": "http"}, {"port": 81, "targetPort": 9090}]));
    let mut reverted = turned(&before, PORTS);
    assert_eq!(hold(&reverted), None);
    reverted["spec"]["ports"][0]["targetPort"] = json!("http");
    let held = patched(&reverted, &hold(&reverted).unwrap());
    assert_eq!(targets(&held), [json!(4180), json!(9090)]);
    assert_eq!(patched(&held, &restore(&held).unwrap()), before);
    assert_eq!(hold(&before), None, "nothing is on record");
}

#[test]
fn a_record_of_before_kinds_is_about_a_deployment() {
    let text = r#"{"workload":"web","proxyPort":4180,"ports":[{"port":80,"protocol":"TCP","targetPort":"http"}]}"#;
    assert_eq!(workload_of(text), Some(("Deployment".to_owned(), "web".to_owned())));
    let mut service = turned(&service(&json!([{"port": 80, "targetPort": "http"}])), PORTS);
    service["metadata"]["annotations"][ORIGINALS] = json!(text);
    assert_eq!(turn(&service, &workload(), PORTS), None, "it is not written anew");
}

#[test]
fn a_mark_that_somebody_took_away_comes_back_and_is_no_way_to_be_forgotten() {
    let before = service(&json!([{"port": 80, "targetPort": 8080}]));
    let mut service = turned(&before, PORTS);
    service["metadata"]["labels"] = json!({"a": "b"});
    assert!(is_turned(&service) && !is_turned(&before));
    let marked = turned(&service, PORTS);
    assert_eq!(marked["metadata"]["labels"][TRAFFIC], json!("retargeted"));
    assert_eq!(turn(&marked, &workload(), PORTS), None);
    let back = patched(&service, &restore(&service).unwrap());
    assert_eq!(back["spec"], before["spec"]);
}

#[test]
fn ports_that_lead_to_the_proxy_by_themselves_are_told_from_those_that_do_not() {
    let service = service(&json!([
        {"name": "http", "port": 80, "targetPort": 8080},
        {"name": "login", "port": 4180, "targetPort": 4180},
        {"name": "named", "port": 81, "targetPort": "oauth2-proxy"},
        {"port": 9090, "targetPort": "gone"},
    ]));
    assert_eq!(names_of_ports_elsewhere(&service, &workload(), PORTS), ["http", ""]);
}

#[test]
fn a_port_of_the_node_that_leads_to_the_protected_one_is_named() {
    let mut workload = workload();
    assert_eq!(published(&workload, PORTS), None);
    let ports = "/spec/template/spec/containers/0/ports";
    *workload.pointer_mut(ports).unwrap() =
        json!([{"containerPort": 9090, "hostPort": 90}, {"containerPort": 8080, "hostPort": 80}]);
    let text = published(&workload, PORTS).unwrap();
    for part in ["\"app\"", "8080", "port 80 ", "hostPort"] {
        assert!(text.contains(part), "{text}");
    }
    *workload.pointer_mut(ports).unwrap() =
        json!([{"containerPort": 8080, "hostPort": 80, "protocol": "UDP"}]);
    assert_eq!(published(&workload, PORTS), None);
}

#[test]
fn services_of_other_managers_are_known() {
    let plain = service(&json!([{"port": 80, "targetPort": 8080}]));
    assert_eq!(manager(&plain), None);
    for (map, key, value, text) in [
        ("annotations", "meta.helm.sh/release-name", "shop", "Helm release \"shop\""),
        ("labels", "app.kubernetes.io/managed-by", "Helm", "Helm"),
        (
            "annotations",
            "argocd.argoproj.io/tracking-id",
            "shop:/Service:shop/web",
            "Argo CD application \"shop\"",
        ),
        ("labels", "argocd.argoproj.io/instance", "shop", "Argo CD application \"shop\""),
        ("labels", "kustomize.toolkit.fluxcd.io/name", "shop", "Flux Kustomization \"shop\""),
        ("labels", "helm.toolkit.fluxcd.io/name", "shop", "Flux HelmRelease \"shop\""),
    ] {
        let mut owned = plain.clone();
        owned["metadata"][map] = json!({key: value});
        assert_eq!(manager(&owned).as_deref(), Some(text));
    }
    let mut owned = plain.clone();
    owned["metadata"]["ownerReferences"] =
        json!([{"kind": "Shop", "name": "a", "controller": true}]);
    assert_eq!(manager(&owned).as_deref(), Some("Shop \"a\""));
    let mut by_kubectl = plain.clone();
    by_kubectl["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "kubectl"});
    assert_eq!(manager(&by_kubectl), None);
}

#[test]
fn declared_ports_belong_to_who_applies_them() {
    let managed = |name: &str, operation: &str| {
        let mut service = service(&json!([{"port": 80, "targetPort": 8080}]));
        service["metadata"]["managedFields"] = json!([{"manager": name, "operation": operation, "fieldsV1": {"f:spec": {"f:ports": {}}}}]);
        manager(&service)
    };
    assert_eq!(managed("kubectl-client-side-apply", "Update"), None);
    assert_eq!(managed("kubectl-edit", "Update"), None);
    assert_eq!(managed("oauth2-proxy-operator", "Update"), None);
    assert_eq!(managed("helm", "Update").as_deref(), Some("field manager \"helm\""));
    assert_eq!(managed("deployer", "Apply").as_deref(), Some("field manager \"deployer\""));
}

#[test]
fn the_companion_leads_to_the_proxy_by_number() {
    let companion = Companion::of(&workload(), PORTS);
    let body = companion.body();
    assert_eq!(body["metadata"]["name"], json!("web-oauth2-proxy"));
    assert_eq!(body["spec"]["selector"], json!({"app": "web"}));
    assert_eq!(targets(body), [json!(4180)]);
    assert!(companion.is_in(body));
    assert!(!Companion::of(&workload(), Ports { proxy: 4280, ..PORTS }).is_in(body));
    assert!(Companion::is_for(body, "web"));
}

#[test]
fn the_companion_remembers_the_opt_in_of_one_workload_only() {
    let plain = Companion::of(&workload(), PORTS);
    let companion = plain.clone().remember("main");
    assert!(!companion.is_in(plain.body()) && !plain.is_in(companion.body()));
    assert_eq!(Companion::remembered(companion.body(), &workload()), Some("main"));
    assert_eq!(Companion::remembered(plain.body(), &workload()), None);
    let mut anew = workload();
    anew["metadata"]["uid"] = json!("u-2");
    assert_eq!(Companion::remembered(companion.body(), &anew), None);
}

#[test]
fn a_service_of_the_companions_name_that_is_not_ours_is_refused() {
    let mut foreign = service(&json!([]));
    foreign["metadata"]["name"] = json!("web-oauth2-proxy");
    let refusal = Companion::check_free(&workload(), Some(&foreign)).unwrap_err();
    assert_eq!(refusal.reason, crds::Reason::NameCollision);
    assert!(Companion::check_free(&workload(), None).is_ok());
}

#[test]
fn names_of_companions_are_valid_and_differ() {
    let long = "a".repeat(70);
    let names = ["web", "1web", "web.v2", &long, &format!("{long}b")].map(Companion::name);
    for name in &names {
        assert!(
            name.len() <= 63
                && name.starts_with(|c: char| c.is_ascii_lowercase())
                && !name.contains('.'),
            "{name}"
        );
    }
    assert!(names.iter().collect::<std::collections::BTreeSet<_>>().len() == names.len());
}

#[test]
fn expressions_of_a_selector_take_their_values_from_the_template() {
    let mut workload = workload();
    workload["spec"]["selector"] = json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["front", "edge"]}]});
    assert_eq!(
        Companion::of(&workload, PORTS).body()["spec"]["selector"],
        json!({"tier": "front"})
    );
}

prop_compose! {
    fn services()(
        ports in proptest::collection::btree_map(1..999_u16, prop_oneof![
            Just(json!(8080)), Just(json!("http")), Just(json!(9090)), Just(json!("metrics")), Just(json!(4180)), Just(json!("gone")),
        ], 1..6),
        annotated in any::<bool>(),
        labelled in any::<bool>(),
    ) -> Value {
        let ports: Vec<Value> = ports.into_iter().map(|(port, target)| json!({"port": port, "targetPort": target})).collect();
        let mut service = service(&json!(ports));
        if annotated {
            service["metadata"]["annotations"] = json!({"a": "b"});
        }
        if labelled {
            service["metadata"]["labels"] = json!({"a": "b"});
        }
        service
    }
}

proptest! {
    #[test]
    fn whatever_is_turned_is_restored_exactly(before in services()) {
        match turn(&before, &workload(), PORTS) {
            None => prop_assert!(route(&before, &workload(), PORTS) != Route::Direct),
            Some(patch) => {
                let after = patched(&before, &patch);
                prop_assert!(route(&after, &workload(), PORTS) != Route::Direct);
                prop_assert_eq!(patched(&after, &restore(&after).unwrap()), before);
            }
        }
    }
}
