//! The container: command line, ports, resources, security.

use super::{Defaults, MOUNT, NAME, PodPorts, probes};
use crate::spec::ValidSpec;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use proxy_config::Version;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The program in the image. A hook knows no entry point.
const PROGRAM: &str = "/usr/local/bin/oauth2-proxy";

pub(super) fn render(spec: &ValidSpec, defaults: &Defaults, ports: PodPorts) -> Value {
    let mut container = json!({
        "name": NAME,
        "image": spec.spec.image.as_deref().unwrap_or(&defaults.image),
        "imagePullPolicy": "IfNotPresent",
        "args": arguments(ports),
        "ports": [
            {"name": NAME, "containerPort": ports.proxy, "protocol": "TCP"},
            {"name": super::ADMIN_PORT_NAME, "containerPort": ports.admin, "protocol": "TCP"},
        ],
        "startupProbe": probes::startup(ports.admin),
        "readinessProbe": probes::readiness(ports.admin),
        "livenessProbe": probes::liveness(ports.admin),
        "resources": resources(spec, ports.application.is_some()),
        "securityContext": security(defaults),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": NAME, "mountPath": MOUNT, "readOnly": true}],
    });
    if let Some(fields) = container.as_object_mut() {
        if ports.application.is_some() {
            fields.insert("restartPolicy".to_owned(), json!("Always"));
            fields.insert("env".to_owned(), node_address());
            fields.insert("lifecycle".to_owned(), farewell(ports.admin));
        } else {
            // The endpoints of a Service take a moment to forget a pod that ends. A sidecar needs no such pause: it
            // outlives the application by itself, whose own pause counts.
            fields.insert("lifecycle".to_owned(), json!({"preStop": {"sleep": {"seconds": 5}}}));
        }
    }
    container
}

/// All that the restricted profile asks for, here and not in the pod, which is the application's. User and group are set
/// too, for a pod whose own security context says root would have us start as root, and so not at all. A cluster that
/// assigns them, as some do, refuses any other: there they are left out, and root is refused all the same.
fn security(defaults: &Defaults) -> Value {
    let mut context = json!({
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "privileged": false,
        "readOnlyRootFilesystem": true,
        "runAsGroup": defaults.group,
        "runAsNonRoot": true,
        "runAsUser": defaults.user,
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    if let Some(fields) = context.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    context
}

/// Ports are given here as well as in the file: a pod keeps those that its specification, probes and Services name, even
/// when the object has moved on.
fn arguments(ports: PodPorts) -> Vec<String> {
    let mut arguments = vec![
        format!("--generated-config={MOUNT}/{}", Version::V1.file_name()),
        format!("--listen-port={}", ports.proxy),
        format!("--admin-port={}", ports.admin),
    ];
    if let Some(port) = ports.application {
        arguments.push(format!("--application-port={port}"));
        arguments.push(format!("--watch-direct-port={port}"));
        arguments.push("--node-ip=$(NODE_IP)".to_owned());
    }
    arguments
}

/// Hooks of all containers start together when the pod ends, long before the sidecar's own end: clients that stay on their
/// connections are sent away while the application still answers, or they would find nobody behind us.
fn farewell(admin: u16) -> Value {
    json!({"preStop": {"exec": {"command": [PROGRAM, "drain", format!("--admin-port={admin}")]}}})
}

/// The node's own connections are its probes, so the watch for direct connections leaves them out.
fn node_address() -> Value {
    json!([{"name": "NODE_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.hostIP"}}}])
}

/// Requests are always set, or autoscaling by utilisation stops working for the whole pod.
fn resources(spec: &ValidSpec, sidecar: bool) -> Value {
    let given = if sidecar {
        spec.spec.sidecar.resources.as_ref()
    } else {
        spec.spec.deployment.as_ref().and_then(|deployment| deployment.resources.as_ref())
    };
    let mut requests = given.map(|given| quantities(&given.requests)).unwrap_or_default();
    let limits = given.map(|given| quantities(&given.limits)).unwrap_or_default();
    for (name, least) in [("cpu", "10m"), ("memory", "32Mi")] {
        // The API server takes a limit for the request where no request is given: keep that.
        let default = limits.get(name).cloned().unwrap_or_else(|| json!(least));
        requests.entry(name).or_insert(default);
    }
    let mut resources = Map::from_iter([("requests".to_owned(), Value::Object(requests))]);
    if !limits.is_empty() {
        resources.insert("limits".to_owned(), Value::Object(limits));
    }
    Value::Object(resources)
}

fn quantities(map: &BTreeMap<String, IntOrString>) -> Map<String, Value> {
    map.iter()
        .map(|(name, quantity)| {
            let text = match quantity {
                IntOrString::Int(number) => number.to_string(),
                IntOrString::String(text) => text.clone(),
            };
            (name.clone(), Value::String(text))
        })
        .collect()
}
