//! The stand-alone proxy's address.
//!
//! It leads to the proxy's port by name: while a change of that port rolls out, each pod is reached at its own.

use crate::object::{metadata, selector};
use crate::pod;
use crate::spec::{ValidSpec, name};
use serde_json::{Value, json};

pub(super) fn build(spec: &ValidSpec) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(spec, &name::standalone(&spec.name)),
        "spec": {
            "type": "ClusterIP",
            "selector": selector(&spec.name),
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": pod::NAME}],
        },
    })
}
