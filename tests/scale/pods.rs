//! Pods as kubelets and the Deployment controller would write them.

use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};

/// The address of a pod: `127.1.0.1` and on.
pub(crate) fn address(number: usize) -> IpAddr {
    let number = u32::try_from(number).unwrap_or(u32::MAX).min(0xff_fff0);
    IpAddr::V4(Ipv4Addr::from(0x7f01_0001_u32.wrapping_add(number)))
}

/// A pod of a template.
pub(crate) fn pod(template: &Value, name: &str) -> Value {
    let with = |part: &str, field: &str, value: &str| {
        let mut part = template.get(part).and_then(Value::as_object).cloned().unwrap_or_default();
        part.insert(field.to_owned(), value.into());
        part
    };
    // Bound to a node, so that nobody waits for a scheduler.
    let (metadata, spec) = (with("metadata", "name", name), with("spec", "nodeName", "node1"));
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
}

/// The status of a pod that runs and is ready.
pub(crate) fn running(template: &Value, address: IpAddr) -> Value {
    let of = |pointer: &str| -> Vec<Value> {
        let containers = template.pointer(pointer).and_then(Value::as_array);
        let status = |container: &Value| {
            json!({
                "name": container.get("name"), "image": container.get("image"), "imageID": "sha256:0",
                "ready": true, "started": true, "restartCount": 0,
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
            })
        };
        containers.into_iter().flatten().map(status).collect()
    };
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map(condition);
    json!({"status": {
        "phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
        "conditions": conditions,
        "initContainerStatuses": of("/spec/initContainers"),
        "containerStatuses": of("/spec/containers"),
    }})
}

/// The status of a Deployment whose one pod is the one of its template.
pub(crate) fn rolled_out(generation: Option<&Value>) -> Value {
    json!({"status": {
        "observedGeneration": generation, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1,
        "conditions": [
            {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
            {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
        ],
    }})
}
