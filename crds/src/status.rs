//! What the operator reports.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator found and did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OAuth2ProxyStatus {
    /// The generation of the object that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// `Ready` sums up the others: `ConfigRendered`, `IssuerReachable`, `WorkloadsInjected`, `TrafficRouted`. `RefreshCoordinated` stands by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    pub conditions: Vec<Condition>,

    /// Where the proxy runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,

    /// SHA-256 of the configuration file that pods should have in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub config_hash: Option<String>,

    /// The entry of the cookie Secret that seals new sessions; all entries open old ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub sealing_key: Option<String>,

    /// Workloads that carry the sidecar, of those that ask for it, such as `2/3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub injected: Option<String>,

    /// How many workloads ask for this object. `workloads` lists no more than 50 of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub workload_count: Option<i32>,

    /// Workloads that ask for this object; those with something to report come first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["kind".to_owned(), "name".to_owned()]))]
    pub workloads: Vec<Workload>,
}

/// Where the proxy runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// In the pods of annotated workloads.
    Sidecar,
    /// On its own; annotated workloads get a sidecar nevertheless.
    Standalone,
}

/// One workload that asks for the object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// Kind of the workload.
    pub kind: WorkloadKind,
    /// Name of the workload, in the namespace of the object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Whether its pod template carries the sidecar.
    pub injected: bool,
    /// Its running pods.
    #[schemars(range(min = 0))]
    pub pods: i32,
    /// Those of them that run the present configuration.
    #[schemars(range(min = 0))]
    pub up_to_date: i32,
    /// Where requests to the workload go.
    pub traffic: WorkloadTraffic,
    /// What is in the way and what to do about it; empty if nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
}

/// Kinds of workloads.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum WorkloadKind {
    /// `apps/v1` Deployment.
    Deployment,
    /// `apps/v1` `StatefulSet`.
    StatefulSet,
    /// `apps/v1` `DaemonSet`.
    DaemonSet,
    /// `batch/v1` Job.
    Job,
    /// `batch/v1` `CronJob`.
    CronJob,
    /// `v1` Pod.
    Pod,
}

/// Where requests to a workload go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WorkloadTraffic {
    /// Services still lead to the application: some pods lack the sidecar still.
    Pending,
    /// Services lead to the proxy.
    Routed,
    /// Services lead to the proxy, and a connection from before, or one past the Services, still reaches the application.
    DirectConnections,
    /// A Service leads to the application and is someone else's to change.
    NotRouted,
    /// Only the companion Service leads to the proxy, as `sidecar.traffic` asks.
    Companion,
}
