//! The proxy on its own.

use crate::Resources;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// The stand-alone proxy: a Deployment, a Service on port 80 and a `ServiceAccount`, all named `<name>-proxy`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// Number of pods.
    #[serde(default = "two")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: i32,

    /// CPU and memory of the proxy container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

fn two() -> i32 {
    2
}
