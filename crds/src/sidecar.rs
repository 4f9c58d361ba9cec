//! The proxy inside the pods of annotated workloads.

use crate::Resources;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The sidecar. A change of ports, resources, image, pull secrets or of the Secrets that are named rolls the workloads out; everything
/// else of the object is taken up by running pods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.port != self.adminPort && (!has(self.upstreamPort) || (self.port != self.upstreamPort && self.adminPort != self.upstreamPort))")
    .message("sidecar.port, sidecar.adminPort and sidecar.upstreamPort must differ: containers of a pod share their ports"))]
pub struct Sidecar {
    /// Port of the application in the pod: the one that is protected. Absent: the only port that its containers declare;
    /// where they declare several, the workload is refused until this or its annotation `oauth2proxy.dev/upstream-port`
    /// says which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub upstream_port: Option<u16>,

    /// Port of the proxy in the pod. Choose another if the application uses it.
    #[serde(default = "port")]
    #[schemars(range(min = 1025, max = 65535))]
    pub port: u16,

    /// Port of the proxy's probes and metrics in the pod. Choose another if the application uses it.
    #[serde(default = "admin_port")]
    #[schemars(range(min = 1025, max = 65535))]
    pub admin_port: u16,

    /// Use a connection to the application again after a request with a body. Set it to false for an application that leaves
    /// bodies unread and takes them for requests: the log of the proxy and `oauth2_proxy_upstream_unasked_answers_total` tell.
    #[serde(default = "yes")]
    pub reuse_after_body: bool,

    /// CPU and memory of the proxy container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// What is done about the Services that lead to the protected port. `Auto`: they are turned to the proxy, except those
    /// that Helm, Argo CD, Flux or another manager owns, which the condition `TrafficRouted` names. `Companion`: none is
    /// changed, and you lead requests to the Service `<workload>-oauth2-proxy`, which always exists. `Retarget`: those
    /// of other managers are turned as well. Headless Services and those that also lead to other workloads never are.
    #[serde(default)]
    pub traffic: Traffic,
}

impl Default for Sidecar {
    fn default() -> Self {
        Self {
            upstream_port: None,
            port: port(),
            admin_port: admin_port(),
            reuse_after_body: true,
            resources: None,
            traffic: Traffic::default(),
        }
    }
}

fn yes() -> bool {
    true
}

fn port() -> u16 {
    4180
}

fn admin_port() -> u16 {
    44180
}

/// What is done about the Services of a workload. A Service `<workload>-oauth2-proxy` that leads to the proxy always exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Traffic {
    /// Services that select the workload's pods and lead to the protected port are turned to the proxy, except those that
    /// Helm, Argo CD, Flux or another manager owns: these are named in the condition `TrafficRouted`.
    #[default]
    Auto,
    /// No Service is changed: you lead your Ingress, `HTTPRoute` or Service to the companion Service yourself.
    Companion,
    /// Services that lead to the protected port are turned to the proxy, whoever owns them.
    Retarget,
}
