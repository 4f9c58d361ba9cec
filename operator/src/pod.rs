//! The proxy as a container with its volume: the same for the stand-alone Deployment and for injection.
//!
//! Pure, and plain JSON without empty fields, because server-side apply takes hold of every field that is sent. Nothing
//! secret is in here: Secrets are named, never read. A change of what is rendered rolls pods out, so only what a running
//! pod can not take up by itself belongs here.

mod container;
mod probes;
mod volumes;

pub(crate) use volumes::{
    CLIENT_SECRET, EMAILS, MOUNT, PREVIOUS_CLIENT_SECRET, PROVIDER_CA, REDIS_CA, REDIS_URL,
};

use crate::proxy_controller::ValidSpec;
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

/// Renders the proxy for one pod. `image` is used where the object names none.
pub(crate) fn render(spec: &ValidSpec, image: &str, ports: PodPorts) -> ProxyPod {
    ProxyPod {
        container: container::render(spec, image, ports),
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
mod tests;
