use super::*;
use crate::proxy_controller::tests::valid;
use serde_json::json;

const SIDECAR: PodPorts = PodPorts { proxy: 4180, admin: 44180, application: Some(8080) };
const ALONE: PodPorts = PodPorts { application: None, ..SIDECAR };

pub(crate) fn defaults() -> Defaults {
    Defaults { image: "example/proxy:1".to_owned(), user: Some(65532), group: Some(65532) }
}

fn container(more: Value, ports: PodPorts) -> Value {
    render(&valid(more), &defaults(), ports).container
}

#[test]
fn a_sidecar_is_native_and_knows_its_application_and_node() {
    let container = container(json!({}), SIDECAR);
    assert_eq!(container["restartPolicy"], "Always");
    let arguments: Vec<_> =
        container["args"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(
        arguments,
        [
            "--generated-config=/etc/oauth2-proxy/config.v1.json",
            "--listen-port=4180",
            "--admin-port=44180",
            "--application-port=8080",
            "--watch-direct-port=8080",
            "--node-ip=$(NODE_IP)",
        ]
    );
    assert_eq!(container["env"][0]["valueFrom"]["fieldRef"]["fieldPath"], "status.hostIP");
    let hook = container.pointer("/lifecycle/preStop/exec/command/1").and_then(Value::as_str);
    assert_eq!(hook, Some("drain"), "clients are not sent away when the pod ends");
}

#[test]
fn alone_it_pauses_before_it_ends() {
    let container = container(json!({}), ALONE);
    assert!(container.get("restartPolicy").is_none() && container.get("env").is_none());
    assert_eq!(container["lifecycle"]["preStop"]["sleep"]["seconds"], 5);
}

#[test]
fn it_meets_the_restricted_pod_security_standard_by_itself() {
    let context = &container(json!({}), SIDECAR)["securityContext"];
    assert_eq!(context["allowPrivilegeEscalation"], false);
    assert_eq!(context["capabilities"]["drop"], json!(["ALL"]));
    assert_eq!(context["runAsNonRoot"], true);
    assert!(context["runAsUser"].as_i64().unwrap() > 0);
    assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(context["readOnlyRootFilesystem"], true);
}

#[test]
fn a_user_that_the_cluster_assigns_is_left_out_and_nothing_else_is() {
    let of = |defaults: &Defaults, ports| {
        render(&valid(json!({})), defaults, ports).container["securityContext"].clone()
    };
    let assigned = Defaults { user: None, group: None, ..defaults() };
    for ports in [SIDECAR, ALONE] {
        let mut fixed = of(&defaults(), ports);
        let fields = fixed.as_object_mut().unwrap();
        assert!(fields.remove("runAsUser").is_some() && fields.remove("runAsGroup").is_some());
        assert_eq!(of(&assigned, ports), fixed);
    }
    assert_eq!(of(&Defaults { user: Some(1000), ..defaults() }, SIDECAR)["runAsUser"], 1000);
}

#[test]
fn probes_are_on_the_admin_port_by_number() {
    let container = container(json!({}), PodPorts { admin: 9000, ..SIDECAR });
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        assert_eq!(container[probe]["httpGet"]["port"], 9000, "{probe}");
    }
}

#[test]
fn requests_are_always_set_and_limits_only_if_given() {
    let resources = &container(json!({}), SIDECAR)["resources"];
    assert_eq!(resources, &json!({"requests": {"cpu": "10m", "memory": "32Mi"}}));
    let given =
        json!({"sidecar": {"resources": {"requests": {"cpu": 1}, "limits": {"memory": "128Mi"}}}});
    let resources = &container(given, SIDECAR)["resources"];
    assert_eq!(
        resources,
        &json!({"requests": {"cpu": "1", "memory": "128Mi"}, "limits": {"memory": "128Mi"}})
    );
}

#[test]
fn the_image_of_the_object_wins() {
    assert_eq!(container(json!({}), SIDECAR)["image"], "example/proxy:1");
    assert_eq!(container(json!({"image": "own/proxy:2"}), SIDECAR)["image"], "own/proxy:2");
}

#[test]
fn one_volume_holds_whole_secrets_and_the_configuration_comes_last() {
    let spec = valid(json!({
        "provider": {
            "caSecretRef": {"name": "ca", "key": "ca.crt"},
            "previousClientSecretRef": {"name": "shop-oidc", "key": "old"},
        },
        "session": {"store": "redis", "redis": {"urlSecretRef": {"name": "redis", "key": "url"}}},
        "access": {"emailsFrom": {"configMapKeyRef": {"name": "people", "key": "list"}}},
    }));
    let volumes = render(&spec, &defaults(), SIDECAR).volumes;
    assert_eq!(
        volumes,
        [json!({"name": "oauth2-proxy", "projected": {"defaultMode": 292, "sources": [
            {"secret": {"name": "main-cookie"}},
            {"secret": {"name": "shop-oidc", "items": [{"key": "client-secret", "path": "client-secret"}]}},
            {"secret": {"name": "shop-oidc", "items": [{"key": "old", "path": "previous-client-secret"}]}},
            {"secret": {"name": "ca", "items": [{"key": "ca.crt", "path": "provider-ca.pem"}]}},
            {"configMap": {"name": "people", "items": [{"key": "list", "path": "emails"}]}},
            {"secret": {"name": "redis", "items": [{"key": "url", "path": "redis-url"}]}},
            {"secret": {"name": "main-config"}},
        ]}})]
    );
}

#[test]
fn a_change_that_running_pods_take_up_does_not_change_the_pod() {
    let before = render(&valid(json!({})), &defaults(), SIDECAR);
    let after = render(
        &valid(json!({
            "access": {"allowedGroups": ["staff"]}, "logging": {"format": "text"},
            "session": {"cookie": {"expire": "1h"}}, "provider": {"scope": "openid"},
        })),
        &defaults(),
        SIDECAR,
    );
    assert_eq!(before, after);
}
