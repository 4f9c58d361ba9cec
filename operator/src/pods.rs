//! Pods: which carry the sidecar, which are ready, which only linger. Pure.

use crate::fleet::{Asked, Said};
use crate::inject::Ports;
use crate::pod;
use crate::pod::mounted::{Files, Volume, files};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, BTreeSet};

/// A live pod that is not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodFacts {
    /// Its name.
    pub(crate) name: String,
    /// Its uid: names are used again.
    pub(crate) uid: String,
    /// Its labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// It is being deleted: no new connection reaches it through a Service, old ones live on.
    pub(crate) terminating: bool,
    /// The proxy's port and admin port, if it carries the sidecar.
    pub(crate) sidecar: Option<(u16, u16)>,
    /// Whether the sidecar is ready.
    pub(crate) ready: bool,
    /// Whether the proxy runs in it, ready or not.
    pub(crate) started: bool,
    /// Its address.
    pub(crate) address: Option<std::net::IpAddr>,
    /// What keeps it from running, as the rest of a sentence and without anything that changes by itself.
    pub(crate) stuck: Option<String>,
    /// The files that its specification gives the proxy.
    pub(crate) files: Files,
}

/// A live pod, as far as it is read: of a list of thousands the rest would be hundreds of MiB.
#[derive(Debug, Deserialize)]
pub(crate) struct Pod {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    uid: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    deletion_timestamp: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    init_containers: Vec<Container>,
    containers: Vec<Container>,
    volumes: Vec<Volume>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Container {
    name: String,
    restart_policy: Option<String>,
    ports: Vec<Port>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Port {
    name: Option<String>,
    container_port: u16,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: Option<String>,
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    init_container_statuses: Vec<ContainerStatus>,
    container_statuses: Vec<ContainerStatus>,
    conditions: Vec<Condition>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ContainerStatus {
    name: String,
    ready: bool,
    image: String,
    state: State,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct State {
    waiting: Option<Waiting>,
    running: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Waiting {
    reason: String,
}

impl Status {
    /// What keeps the pod from running. Of the kubelet's words only the reason: the rest changes with each attempt.
    fn stuck(&self) -> Option<String> {
        let unscheduled = |condition: &&Condition| {
            condition.kind == "PodScheduled" && condition.status == "False"
        };
        if let Some(condition) = self.conditions.iter().find(unscheduled) {
            return Some(format!("no node has room for it ({})", condition.reason));
        }
        let all = self.init_container_statuses.iter().chain(&self.container_statuses);
        all.into_iter().find_map(|container| {
            let ContainerStatus { name, image, state, .. } = container;
            match state.waiting.as_ref()?.reason.as_str() {
                // These two take turns.
                "ErrImagePull" | "ImagePullBackOff" => {
                    Some(format!("image {image:?} of its container {name:?} can not be pulled"))
                }
                "" | "ContainerCreating" | "PodInitializing" => None,
                reason => Some(format!("its container {name:?} does not start ({reason})")),
            }
        })
    }
}

impl Pod {
    /// What is known of it; `None` if it has finished.
    pub(crate) fn facts(self) -> Option<PodFacts> {
        let Self { metadata, spec, status } = self;
        if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
            return None;
        }
        let native = |container: &&Container| container.restart_policy.is_some();
        let ready = |told: &ContainerStatus| told.name == pod::NAME && told.ready;
        let runs = |told: &ContainerStatus| told.name == pod::NAME && told.state.running.is_some();
        Some(PodFacts {
            name: metadata.name?,
            uid: metadata.uid.unwrap_or_default(),
            labels: metadata.labels.unwrap_or_default(),
            terminating: metadata.deletion_timestamp.is_some(),
            sidecar: spec.init_containers.iter().filter(native).find_map(proxy_ports),
            ready: status.init_container_statuses.iter().any(ready),
            started: status.init_container_statuses.iter().any(runs)
                || status.container_statuses.iter().any(runs),
            stuck: status.stuck(),
            files: files(&spec.volumes),
            address: status.pod_ip.and_then(|address| address.parse().ok()),
        })
    }

    /// What is known of it as one of a stand-alone proxy.
    pub(crate) fn standalone_facts(self) -> Option<PodFacts> {
        let sidecar = self.spec.containers.iter().find_map(proxy_ports);
        Some(PodFacts { sidecar, ..self.facts()? })
    }
}

impl PodFacts {
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
fn proxy_ports(container: &Container) -> Option<(u16, u16)> {
    let port = |name: &str| {
        let named = container.ports.iter().find(|port| port.name.as_deref() == Some(name))?;
        Some(named.container_port)
    };
    (container.name == pod::NAME).then_some(())?;
    Some((port(pod::NAME)?, port(pod::ADMIN_PORT_NAME)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{DirectConnections, Reload, Source};
    use serde_json::{Value, json};

    fn read(pod: &Value) -> Option<PodFacts> {
        serde_json::from_value::<Pod>(pod.clone()).unwrap().facts()
    }

    const PORTS: Ports = Ports { proxy: 4180, admin: 44180, upstream: 8080 };

    fn pod(name: &str, ready: bool) -> Value {
        json!({
            "metadata": {"name": name},
            "spec": {"initContainers": [{"name": "oauth2-proxy", "restartPolicy": "Always", "ports": [
                {"name": "oauth2-proxy", "containerPort": 4180}, {"name": pod::ADMIN_PORT_NAME, "containerPort": 44180}]}]},
            "status": {"phase": "Running", "podIP": "10.0.0.9", "initContainerStatuses": [{"name": "oauth2-proxy", "ready": ready}]},
        })
    }

    fn facts(pods: &[Value]) -> Vec<PodFacts> {
        pods.iter().filter_map(read).collect()
    }

    #[test]
    fn a_pod_that_carries_the_sidecar_is_told_from_one_that_does_not() {
        let mut bare = pod("b", true);
        bare["spec"] = json!({"containers": []});
        let mut finished = pod("c", true);
        finished["status"]["phase"] = json!("Failed");
        let pods = facts(&[pod("a", true), bare, pod("d", false), finished]);
        let carries: Vec<_> = pods.iter().map(|pod| (pod.carries(PORTS), pod.ready)).collect();
        assert_eq!(carries, [(true, true), (false, true), (true, false)]);
        assert!(!pods[0].carries(Ports { proxy: 4280, ..PORTS }));
    }

    #[test]
    fn what_keeps_a_pod_from_running_is_named_without_words_that_change() {
        let waiting = |reason: &str| {
            let mut pod = pod("a", false);
            pod["status"]["initContainerStatuses"] = json!([
                {"name": "oauth2-proxy", "image": "nobody/nothing:1", "state": {"waiting": {"reason": reason, "message": "x"}}},
            ]);
            facts(&[pod])[0].stuck.clone()
        };
        assert_eq!(waiting("ErrImagePull"), waiting("ImagePullBackOff"));
        assert!(waiting("ErrImagePull").unwrap().contains("nobody/nothing:1"));
        assert!(
            waiting("CreateContainerConfigError").unwrap().contains("CreateContainerConfigError")
        );
        assert_eq!(waiting("PodInitializing"), None);
        let mut pending = pod("a", false);
        pending["status"]["conditions"] =
            json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]);
        assert!(facts(&[pending])[0].stuck.clone().unwrap().contains("Unschedulable"));
    }

    #[test]
    fn a_pod_that_ends_without_sidecar_lingers() {
        let mut ending = pod("b", false);
        ending["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        ending["spec"] = json!({"containers": []});
        let pods = facts(&[pod("a", true), ending]);
        assert_eq!(lingering(&pods, PORTS), Some("b"));
        let mut done = pod("c", false);
        done["status"]["phase"] = json!("Succeeded");
        assert_eq!(read(&done), None);
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
