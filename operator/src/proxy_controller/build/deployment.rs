//! The stand-alone proxy's pods.

use crate::inject::POD_SPEC_HASH;
use crate::object::{labels, metadata, selector};
use crate::pod::{self, PodPorts};
use crate::proxy_controller::ring;
use crate::spec::{ValidSpec, name};
use serde_json::{Value, json};

/// Time for the pause before the end, the drain, and some more.
const GRACE_SECONDS: u32 = 45;

pub(super) fn build(
    spec: &ValidSpec,
    settings: &crds::Deployment,
    defaults: &pod::Defaults,
) -> Value {
    let name = name::standalone(&spec.name);
    let ports = PodPorts {
        proxy: spec.spec.sidecar.port,
        admin: spec.spec.sidecar.admin_port,
        application: None,
    };
    let rendered = pod::render(spec, defaults, ports);
    let mut pod = json!({
        "serviceAccountName": name,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "topologySpreadConstraints": [spread(spec, "kubernetes.io/hostname"), spread(spec, "topology.kubernetes.io/zone")],
        "containers": [rendered.container],
        "volumes": rendered.volumes,
    });
    if let (Some(pod), false) = (pod.as_object_mut(), rendered.image_pull_secrets.is_empty()) {
        let secrets: Vec<_> =
            rendered.image_pull_secrets.iter().map(|name| json!({"name": name})).collect();
        pod.insert("imagePullSecrets".to_owned(), json!(secrets));
    }
    let mut metadata = metadata(spec, &name);
    if let Some(metadata) = metadata.as_object_mut() {
        // Whether the live Deployment holds what is wanted says nothing of what is wanted no longer: a limit, a Secret.
        let digest = ring::hash(pod.to_string().as_bytes());
        metadata.insert("annotations".to_owned(), json!({POD_SPEC_HASH: digest}));
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": settings.replicas,
            "selector": {"matchLabels": selector(&spec.name)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": labels(&spec.name)}, "spec": pod},
        },
    })
}

/// One failure should not take all pods; where there is no second place, one place will do.
fn spread(spec: &ValidSpec, topology: &str) -> Value {
    json!({
        "topologyKey": topology,
        "maxSkew": 1,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector(&spec.name)},
    })
}
