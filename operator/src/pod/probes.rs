//! Probes on the admin port, by number: a named port of a native sidecar is not looked up everywhere.
//!
//! None of them depends on the identity provider. If they did, an outage there would take every application out of its
//! Service, signed-in users and all.

use serde_json::{Value, json};

/// Holds the application back until the proxy serves.
pub(super) fn startup(port: u16) -> Value {
    json!({"httpGet": get("/readyz", port), "periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 120})
}

/// Off while the proxy drains.
pub(super) fn readiness(port: u16) -> Value {
    json!({"httpGet": get("/readyz", port), "periodSeconds": 5, "timeoutSeconds": 3, "failureThreshold": 2})
}

/// Only for a process that is stuck.
pub(super) fn liveness(port: u16) -> Value {
    json!({"httpGet": get("/livez", port), "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6})
}

fn get(path: &str, port: u16) -> Value {
    json!({"path": path, "port": port, "scheme": "HTTP"})
}
