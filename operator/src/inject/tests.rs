//! The decision as a whole, and the property that what is put in can be taken out again without a trace.

use super::annotation::{PAUSED, POD_SPEC_HASH, PORT, UPSTREAM_PORT};
use super::*;
use json_patch::Patch;
use proptest::prelude::*;
use serde_json::json;

const DEFAULTS: PortDefaults = PortDefaults { proxy: 4180, admin: 44180, upstream: None };

fn sidecar(ports: Ports) -> Sidecar {
    Sidecar {
        container: json!({
            "name": "oauth2-proxy",
            "image": "proxy:1",
            "restartPolicy": "Always",
            "args": [format!("--upstream-port={}", ports.upstream)],
            "ports": [{"name": "oauth2-proxy", "containerPort": ports.proxy}],
            "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
            "volumeMounts": [{"name": "oauth2-proxy", "mountPath": "/etc/oauth2-proxy", "readOnly": true}],
        }),
        volumes: vec![
            json!({"name": "oauth2-proxy", "projected": {"sources": [{"secret": {"name": "main-config"}}]}}),
        ],
        image_pull_secrets: vec!["pull".to_owned()],
    }
}

fn without_pull_secret(ports: Ports) -> Sidecar {
    Sidecar { image_pull_secrets: Vec::new(), ..sidecar(ports) }
}

fn newer(ports: Ports) -> Sidecar {
    let mut sidecar = sidecar(ports);
    sidecar.container["image"] = json!("proxy:2");
    sidecar
}

fn target<'a>(object: &'a str, render: &'a dyn Fn(Ports) -> Sidecar) -> Wanted<'a> {
    Wanted::Protected(Target {
        object,
        opt_in: object,
        traffic: Traffic::Auto,
        writer: "operators/lease",
        companion: None,
        defaults: DEFAULTS,
        render,
    })
}

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "u-1", "resourceVersion": "7",
            "annotations": {"oauth2proxy.dev/inject": "main"},
        },
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "app", "image": "app:1", "ports": [{"name": "http", "containerPort": 8080}]}]},
            },
        },
    })
}

fn annotated(name: &str, value: &str) -> Value {
    let mut workload = deployment();
    workload["metadata"]["annotations"][name] = json!(value);
    workload
}

/// What a server-side apply does: maps are merged, lists with names are merged by name with new entries last, other
/// lists are replaced.
fn merge(live: &mut Value, applied: &Value) {
    match (live, applied) {
        (Value::Object(live), Value::Object(applied)) => {
            for (key, value) in applied {
                merge(live.entry(key).or_insert(Value::Null), value);
            }
        }
        (Value::Array(live), Value::Array(applied))
            if applied.iter().all(|entry| entry.get("name").is_some()) =>
        {
            for entry in applied {
                match live.iter_mut().find(|old| old["name"] == entry["name"]) {
                    Some(old) => merge(old, entry),
                    None => live.push(entry.clone()),
                }
            }
        }
        (live, applied) => *live = applied.clone(),
    }
}

fn inject(workload: &Value, wanted: &Wanted<'_>) -> Value {
    let Plan::Inject(injection) = plan(workload, wanted) else {
        panic!("not injected: {:?}", plan(workload, wanted))
    };
    let mut after = workload.clone();
    merge(&mut after, &injection.body());
    after
}

fn strip(workload: &Value) -> Value {
    let Plan::Remove(removal) = plan(workload, &Wanted::Open) else {
        panic!("not removed: {:?}", plan(workload, &Wanted::Open))
    };
    let patch: Patch = serde_json::from_value(removal.patch).unwrap();
    let mut after = workload.clone();
    json_patch::patch(&mut after, &patch).unwrap();
    after
}

fn refusal(workload: &Value) -> Refusal {
    match plan(workload, &target("main", &sidecar)) {
        Plan::Refuse(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn the_applied_body_is_the_golden_one() {
    let Plan::Inject(injection) = plan(&deployment(), &target("main", &sidecar)) else {
        panic!("not injected")
    };
    let golden: Value = serde_json::from_str(include_str!("golden/apply.2.json")).unwrap();
    let body = injection.body();
    assert_eq!(body, golden, "{}", serde_json::to_string_pretty(&body).unwrap());
}

#[test]
fn what_the_first_release_applied_gets_a_new_record_and_no_other_pods() {
    let first: Value = serde_json::from_str(include_str!("golden/apply.json")).unwrap();
    let mut workload = deployment();
    merge(&mut workload, &first);
    let Plan::Inject(injection) = plan(&workload, &target("main", &sidecar)) else {
        panic!("the record stays without its new fields")
    };
    assert!(!injection.is_repair() && !injection.is_move() && injection.may_repair());
    let mut after = workload.clone();
    merge(&mut after, &injection.body());
    assert_eq!(after["spec"], workload["spec"]);
    let Plan::Remove(removal) = plan(&workload, &Wanted::Open) else { panic!("not removed") };
    assert_eq!(removal.record.kind, crate::workload::Kind::Deployment);
}

#[test]
fn the_removal_is_the_golden_one() {
    let injected = inject(&deployment(), &target("main", &sidecar));
    let Plan::Remove(removal) = plan(&injected, &Wanted::Open) else { panic!("not removed") };
    let golden: Value = serde_json::from_str(include_str!("golden/remove.json")).unwrap();
    assert_eq!(removal.patch, golden, "{}", serde_json::to_string_pretty(&removal.patch).unwrap());
}

#[test]
fn an_injected_workload_is_kept_without_a_write() {
    let injected = inject(&deployment(), &target("main", &sidecar));
    let ports = Ports { proxy: 4180, admin: 44180, upstream: 8080 };
    assert_eq!(plan(&injected, &target("main", &sidecar)), Plan::Keep { ports, refusal: None });
}

#[test]
fn a_new_image_is_applied_and_is_no_repair() {
    let injected = inject(&deployment(), &target("main", &sidecar));
    let Plan::Inject(injection) = plan(&injected, &target("main", &newer)) else {
        panic!("not injected")
    };
    assert!(injection.may_repair() && !injection.is_repair() && !injection.is_move());
}

#[test]
fn a_removed_sidecar_is_put_back_and_counts_as_a_repair() {
    let mut undone = inject(&deployment(), &target("main", &sidecar));
    undone["spec"]["template"] = deployment()["spec"]["template"].clone();
    let Plan::Inject(injection) = plan(&undone, &target("main", &sidecar)) else {
        panic!("not injected")
    };
    assert!(injection.is_repair());
}

#[test]
fn a_changed_field_of_the_sidecar_is_put_back() {
    let mut edited = inject(&deployment(), &target("main", &sidecar));
    edited["spec"]["template"]["spec"]["initContainers"][0]["image"] = json!("else:1");
    let Plan::Inject(injection) = plan(&edited, &target("main", &sidecar)) else {
        panic!("not injected")
    };
    assert!(injection.is_repair());
}

#[test]
fn a_move_to_another_object_is_one_apply() {
    let mut moved = inject(&deployment(), &target("main", &sidecar));
    moved["metadata"]["annotations"]["oauth2proxy.dev/inject"] = json!("other");
    let Plan::Inject(injection) = plan(&moved, &target("other", &sidecar)) else {
        panic!("not injected")
    };
    assert!(injection.is_move() && !injection.is_repair());
    merge(&mut moved, &injection.body());
    assert_eq!(Recorded::read(&moved).as_ref().map(|record| record.object.as_str()), Some("other"));
}

#[test]
fn an_unusable_object_keeps_what_is_there_and_brings_nothing_new() {
    let unusable = || Wanted::Unusable(Refusal::new(Reason::ObjectNotReady, "create it"));
    assert!(matches!(plan(&deployment(), &unusable()), Plan::Refuse(_)));
    let injected = inject(&deployment(), &target("main", &sidecar));
    assert!(matches!(plan(&injected, &unusable()), Plan::Keep { refusal: Some(_), .. }));
}

#[test]
fn a_container_or_volume_of_our_name_is_refused() {
    let mut workload = deployment();
    workload["spec"]["template"]["spec"]["initContainers"] = json!([{"name": "oauth2-proxy"}]);
    assert_eq!(refusal(&workload).reason, Reason::NameCollision);
    let mut workload = deployment();
    workload["spec"]["template"]["spec"]["containers"][0]["name"] = json!("oauth2-proxy");
    assert_eq!(refusal(&workload).reason, Reason::NameCollision);
    let mut workload = deployment();
    workload["spec"]["template"]["spec"]["volumes"] =
        json!([{"name": "oauth2-proxy", "emptyDir": {}}]);
    assert_eq!(refusal(&workload).reason, Reason::NameCollision);
}

#[test]
fn pods_that_cannot_be_protected_are_refused() {
    let mut workload = deployment();
    workload["spec"]["template"]["spec"]["hostNetwork"] = json!(true);
    assert_eq!(refusal(&workload).reason, Reason::Unsupported);
    let mut workload = deployment();
    workload["spec"]["template"]["spec"]["os"] = json!({"name": "windows"});
    assert_eq!(refusal(&workload).reason, Reason::Unsupported);
}

#[test]
fn settings_of_the_workload_reach_the_sidecar() {
    let mut workload = annotated(UPSTREAM_PORT, "9000");
    let ports = json!([{"name": "http", "containerPort": 8080}, {"containerPort": 9000}]);
    workload["spec"]["template"]["spec"]["containers"][0]["ports"] = ports;
    workload["metadata"]["annotations"][PORT] = json!("4280");
    let injected = inject(&workload, &target("main", &sidecar));
    let container = &injected["spec"]["template"]["spec"]["initContainers"][0];
    assert_eq!(container["args"], json!(["--upstream-port=9000"]));
    assert_eq!(container["ports"][0]["containerPort"], json!(4280));
    assert_eq!(refusal(&annotated(PAUSED, "maybe")).reason, Reason::InvalidAnnotation);
}

#[test]
fn a_pull_secret_of_the_user_is_not_recorded_as_ours() {
    let mut workload = deployment();
    workload["spec"]["template"]["spec"]["imagePullSecrets"] = json!([{"name": "pull"}]);
    let injected = inject(&workload, &target("main", &sidecar));
    assert_eq!(
        Recorded::read(&injected).as_ref().map(|record| record.image_pull_secrets.len()),
        Some(0)
    );
    assert_eq!(strip(&injected), workload);
}

#[test]
fn a_pull_secret_that_the_user_came_to_need_stays() {
    let mut injected = inject(&deployment(), &target("main", &sidecar));
    let theirs = |manager: &str| {
        json!([{"manager": manager, "operation": "Apply", "fieldsV1": {"f:spec": {"f:template": {"f:spec": {
            "f:imagePullSecrets": {"k:{\"name\":\"pull\"}": {}}}}}}}])
    };
    for (manager, stays) in [("helm", true), (crate::object::FIELD_MANAGER, false)] {
        injected["metadata"]["managedFields"] = theirs(manager);
        let stripped = strip(&injected);
        let secrets = stripped.pointer("/spec/template/spec/imagePullSecrets");
        assert_eq!(secrets.is_some(), stays, "{manager}");
    }
}

#[test]
fn a_sidecar_that_is_no_longer_ours_is_left_in_place() {
    let mut injected = inject(&deployment(), &target("main", &sidecar));
    injected["spec"]["template"]["spec"]["initContainers"][0]["volumeMounts"] = json!([]);
    let Plan::Keep { refusal: Some(refusal), .. } = plan(&injected, &Wanted::Open) else {
        panic!("not kept")
    };
    assert_eq!(refusal.reason, Reason::RemovalSkipped);
    let mut shared = inject(&deployment(), &target("main", &sidecar));
    shared["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] =
        json!([{"name": "oauth2-proxy"}]);
    assert!(matches!(plan(&shared, &Wanted::Open), Plan::Keep { refusal: Some(_), .. }));
}

#[test]
fn a_record_that_cannot_be_read_stops_everything() {
    let workload = annotated(INJECTED, "not json");
    assert_eq!(refusal(&workload).reason, Reason::RemovalSkipped);
    assert!(matches!(plan(&workload, &Wanted::Open), Plan::Refuse(_)));
}

#[test]
fn a_lost_record_is_written_again_where_the_template_is_marked() {
    let mut injected = inject(&deployment(), &target("main", &without_pull_secret));
    injected["metadata"]["annotations"].as_object_mut().unwrap().remove(INJECTED);
    let healed = inject(&injected, &target("main", &without_pull_secret));
    assert_eq!(strip(&healed), deployment());
}

#[test]
fn what_was_added_in_the_meantime_survives_the_removal() {
    let mut injected = inject(&deployment(), &target("main", &sidecar));
    let pod = &mut injected["spec"]["template"]["spec"];
    pod["initContainers"].as_array_mut().unwrap().push(json!({"name": "late"}));
    pod["volumes"].as_array_mut().unwrap().insert(0, json!({"name": "data"}));
    injected["spec"]["template"]["metadata"]["annotations"]["restartedAt"] = json!("now");
    let stripped = strip(&injected);
    assert_eq!(stripped["spec"]["template"]["spec"]["initContainers"], json!([{"name": "late"}]));
    assert_eq!(stripped["spec"]["template"]["spec"]["volumes"], json!([{"name": "data"}]));
    assert_eq!(
        stripped["spec"]["template"]["metadata"]["annotations"],
        json!({"restartedAt": "now"})
    );
    assert!(stripped.to_string().find(POD_SPEC_HASH).is_none());
}

fn names(prefix: &'static str) -> impl Strategy<Value = Vec<String>> {
    proptest::collection::btree_set(0..9_u8, 0..4).prop_map(move |numbers| {
        numbers.into_iter().map(|number| format!("{prefix}{number}")).collect()
    })
}

prop_compose! {
    fn workloads()(
        init in names("init"),
        containers in names("c"),
        volumes in names("v"),
        secrets in names("s"),
        annotations in names("example.com/"),
        template in names("template.example.com/"),
        own_secret in any::<bool>(),
    ) -> Value {
        let mut workload = deployment();
        for name in annotations {
            workload["metadata"]["annotations"][name] = json!("x");
        }
        let spec = &mut workload["spec"]["template"];
        for name in template {
            spec["metadata"]["annotations"][name] = json!("x");
        }
        let entries = |names: Vec<String>| names.into_iter().map(|name| json!({"name": name})).collect::<Vec<_>>();
        let pod = &mut spec["spec"];
        pod["containers"].as_array_mut().unwrap().extend(entries(containers));
        let secrets = secrets.into_iter().chain(own_secret.then(|| "pull".to_owned())).collect();
        for (field, names) in [("initContainers", init), ("volumes", volumes), ("imagePullSecrets", secrets)] {
            if !names.is_empty() {
                pod[field] = Value::Array(entries(names));
            }
        }
        workload
    }
}

proptest! {
    #[test]
    fn what_is_injected_can_be_removed_without_a_trace(workload in workloads(), move_on in any::<bool>()) {
        let mut injected = inject(&workload, &target("main", &sidecar));
        let kept = matches!(plan(&injected, &target("main", &sidecar)), Plan::Keep { refusal: None, .. });
        prop_assert!(kept, "an injected workload is injected again");
        if move_on {
            injected = inject(&injected, &target("other", &newer));
        }
        prop_assert_eq!(strip(&injected), workload);
    }

    #[test]
    fn the_sidecar_is_the_last_init_container(workload in workloads()) {
        let injected = inject(&workload, &target("main", &sidecar));
        let init = injected["spec"]["template"]["spec"]["initContainers"].as_array().unwrap();
        prop_assert_eq!(&init.last().unwrap()["name"], &json!("oauth2-proxy"));
    }
}
