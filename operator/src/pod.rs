//! The proxy as a container with its volume: the same for the stand-alone Deployment and for injection.
//!
//! Pure, and plain JSON without empty fields, because server-side apply takes hold of every field that is sent. Nothing
//! secret is in here: Secrets are named, never read. A change of what is rendered rolls pods out, so only what a running
//! pod can not take up by itself belongs here.

mod container;
pub(crate) mod mounted;
mod probes;
mod volumes;

pub(crate) use volumes::{
    CLIENT_SECRET, EMAILS, MOUNT, PREVIOUS_CLIENT_SECRET, PROVIDER_CA, REDIS_CA, REDIS_URL,
};

use crate::spec::ValidSpec;
use serde_json::Value;

/// Name of the container and of the volume.
pub(crate) const NAME: &str = "oauth2-proxy";

/// Name of the container port for probes, metrics and status.
pub(crate) const ADMIN_PORT_NAME: &str = "o2p-admin";

/// Ports of one pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PodPorts {
    /// Where the proxy serves.
    pub(crate) proxy: u16,
    /// Probes, metrics and status.
    pub(crate) admin: u16,
    /// The application in the same pod that the proxy protects; absent: the proxy is the pod's only container.
    pub(crate) application: Option<u16>,
}

/// What a pod specification gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProxyPod {
    /// A container; a native sidecar (with `restartPolicy: Always`) if there is an application to protect.
    pub(crate) container: Value,
    /// The volumes that it mounts.
    pub(crate) volumes: Vec<Value>,
    /// Names of the Secrets with which its image is pulled.
    pub(crate) image_pull_secrets: Vec<String>,
}

/// What the operator is told of every container of the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Defaults {
    /// Its image, where the object names none.
    pub(crate) image: String,
    /// Its user and group; absent: whatever the cluster assigns, or those of the image.
    pub(crate) user: Option<i64>,
    /// As `user`.
    pub(crate) group: Option<i64>,
}

/// Renders the proxy for one pod.
pub(crate) fn render(spec: &ValidSpec, defaults: &Defaults, ports: PodPorts) -> ProxyPod {
    ProxyPod {
        container: container::render(spec, defaults, ports),
        volumes: vec![volumes::render(spec)],
        image_pull_secrets: spec
            .spec
            .image_pull_secrets
            .iter()
            .map(|secret| secret.name.clone())
            .collect(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
