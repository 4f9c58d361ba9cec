//! The pods of a workload: which carry the sidecar, which are ready, which only linger. Pure.

use crate::fleet::{Asked, Said};
use crate::inject::Ports;
use crate::pod;
use serde_json::Value;
use std::collections::BTreeSet;

/// A live pod that is not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodFacts {
    /// Its name.
    pub(crate) name: String,
    /// It is being deleted: no new connection reaches it through a Service, old ones live on.
    pub(crate) terminating: bool,
    /// The proxy's port and admin port, if it carries the sidecar.
    pub(crate) sidecar: Option<(u16, u16)>,
    /// Whether the sidecar is ready.
    pub(crate) ready: bool,
    /// Its address.
    pub(crate) address: Option<std::net::IpAddr>,
}

impl PodFacts {
    /// Reads a live pod; `None` if it has finished.
    pub(crate) fn read(pod: &Value) -> Option<Self> {
        let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str);
        if matches!(text("/status/phase"), Some("Succeeded" | "Failed")) {
            return None;
        }
        let terminating = text("/metadata/deletionTimestamp").is_some();
        let containers = pod
            .pointer("/spec/initContainers")
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        Some(Self {
            name: text("/metadata/name")?.to_owned(),
            terminating,
            sidecar: containers
                .iter()
                .filter(|container| container.get("restartPolicy").is_some())
                .find_map(proxy_ports),
            ready: sidecar_ready(pod),
            address: text("/status/podIP").and_then(|address| address.parse().ok()),
        })
    }

    /// Reads a live pod of a stand-alone proxy.
    pub(crate) fn read_standalone(pod: &Value) -> Option<Self> {
        let containers = pod.pointer("/spec/containers")?.as_array()?;
        Some(Self { sidecar: containers.iter().find_map(proxy_ports), ..Self::read(pod)? })
    }

    /// Whether it has the sidecar on this port.
    pub(crate) fn carries(&self, ports: Ports) -> bool {
        self.sidecar.is_some_and(|(proxy, _)| proxy == ports.proxy)
    }

    /// The question to its sidecar.
    pub(crate) fn question(&self) -> Option<Asked> {
        let (_, port) = self.sidecar?;
        Some(Asked { pod: self.name.clone(), address: self.address, port })
    }
}

/// What the pods of a workload mean for its traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    /// No pod that can get a request lacks the sidecar.
    Complete,
    /// Not yet; the text says which pod is awaited.
    Awaited(String),
}

/// Judges the pods behind a Service: none may lack the sidecar. Whether it is ready matters only where the Service publishes
/// `unready` addresses: elsewhere a pod that is not ready is no endpoint, and the readiness of the sidecar counts for the pod's.
pub(crate) fn protection(pods: &[PodFacts], ports: Ports, unready: bool) -> Protection {
    let mut live = pods.iter().filter(|pod| !pod.terminating);
    match live.find(|pod| !pod.carries(ports) || (unready && !pod.ready)) {
        None => Protection::Complete,
        Some(pod) if pod.carries(ports) => {
            Protection::Awaited(format!("the sidecar of pod {} is not ready yet", pod.name))
        }
        Some(pod) => {
            Protection::Awaited(format!("pod {} does not carry the sidecar yet", pod.name))
        }
    }
}

/// Pods without the sidecar that still end: their old connections reach the application.
pub(crate) fn lingering(pods: &[PodFacts], ports: Ports) -> Option<&str> {
    pods.iter().find(|pod| pod.terminating && !pod.carries(ports)).map(|pod| pod.name.as_str())
}

/// Who reaches the protected port past the proxy, as `address -> pod`, without numbers that change at every look.
pub(crate) fn direct<'a>(
    said: impl Iterator<Item = (&'a str, &'a Said)>,
) -> BTreeSet<(String, String)> {
    said.flat_map(|(pod, said)| {
        let sources = said.direct_connections.iter().flat_map(|direct| &direct.sources);
        sources.map(move |source| (source.address.clone(), pod.to_owned()))
    })
    .collect()
}

/// The port and the admin port of a container that is a proxy of ours.
fn proxy_ports(container: &Value) -> Option<(u16, u16)> {
    let ports = container.get("ports")?.as_array()?;
    let port = |name: &str| {
        let port =
            ports.iter().find(|port| port.get("name").and_then(Value::as_str) == Some(name))?;
        u16::try_from(port.get("containerPort")?.as_u64()?).ok()
    };
    (container.get("name").and_then(Value::as_str) == Some(pod::NAME)).then_some(())?;
    Some((port(pod::NAME)?, port(pod::ADMIN_PORT_NAME)?))
}

fn sidecar_ready(pod: &Value) -> bool {
    let statuses = pod.pointer("/status/initContainerStatuses").and_then(Value::as_array);
    statuses.into_iter().flatten().any(|status| {
        status.get("name").and_then(Value::as_str) == Some(pod::NAME)
            && status.get("ready").and_then(Value::as_bool) == Some(true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{DirectConnections, Reload, Source};
    use serde_json::json;

    const PORTS: Ports = Ports { proxy: 4180, admin: 44180, upstream: 8080 };

    fn pod(name: &str, ready: bool) -> Value {
        json!({
            "metadata": {"name": name},
            "spec": {"initContainers": [{"name": "oauth2-proxy", "restartPolicy": "Always", "ports": [
                {"name": "oauth2-proxy", "containerPort": 4180}, {"name": pod::ADMIN_PORT_NAME, "containerPort": 44180}]}]},
            "status": {"phase": "Running", "podIP": "10.0.0.9", "initContainerStatuses": [{"name": "oauth2-proxy", "ready": ready}]},
        })
    }

    fn pod_not_ready(pod: &Value) -> Value {
        let mut pod = pod.clone();
        pod["status"]["initContainerStatuses"] = json!([]);
        pod
    }

    fn facts(pods: &[Value]) -> Vec<PodFacts> {
        pods.iter().filter_map(PodFacts::read).collect()
    }

    #[test]
    fn traffic_waits_for_every_pod_that_lacks_the_sidecar() {
        assert_eq!(
            protection(&facts(&[pod("a", true), pod("b", true)]), PORTS, false),
            Protection::Complete
        );
        let mut bare = pod("b", true);
        bare["spec"] = json!({"containers": []});
        for bare in [pod_not_ready(&bare), bare] {
            let missing = protection(&facts(&[pod("a", true), bare]), PORTS, false);
            assert_eq!(
                missing,
                Protection::Awaited("pod b does not carry the sidecar yet".to_owned())
            );
        }
        let other = Ports { proxy: 4280, ..PORTS };
        let moved = protection(&facts(&[pod("a", true)]), other, false);
        assert!(matches!(moved, Protection::Awaited(_)));
    }

    #[test]
    fn a_pod_that_is_not_ready_keeps_no_service_open() {
        let pods = facts(&[pod("a", true), pod("b", false)]);
        assert_eq!(protection(&pods, PORTS, false), Protection::Complete);
        assert_eq!(protection(&[], PORTS, false), Protection::Complete);
        let published = protection(&pods, PORTS, true);
        let awaited = "the sidecar of pod b is not ready yet".to_owned();
        assert_eq!(published, Protection::Awaited(awaited));
    }

    #[test]
    fn a_pod_that_ends_is_not_awaited_but_lingers() {
        let mut ending = pod("b", false);
        ending["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        ending["spec"] = json!({"containers": []});
        let pods = facts(&[pod("a", true), ending]);
        assert_eq!(protection(&pods, PORTS, false), Protection::Complete);
        assert_eq!(lingering(&pods, PORTS), Some("b"));
        let mut done = pod("c", false);
        done["status"]["phase"] = json!("Succeeded");
        assert_eq!(PodFacts::read(&done), None);
    }

    #[test]
    fn direct_connections_are_named_without_their_number() {
        let said = |count| Said {
            config_hash: None,
            reload: Reload::default(),
            provider: None,
            direct_connections: Some(DirectConnections {
                port: 8080,
                sources: vec![Source { address: "10.0.0.7".to_owned(), count }],
            }),
        };
        let (one, two) = (said(1), said(2));
        assert_eq!(direct([("a", &one)].into_iter()), direct([("a", &two)].into_iter()));
    }
}
