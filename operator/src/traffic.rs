//! Which Services lead to a protected port, and the patches that turn them to the proxy and back.
//!
//! Pure: the live Services, the pod template and the pods come as JSON. What a Service was like before is written into
//! the Service in the same patch that changes it, so there is no moment at which the original is known to nobody.

mod companion;
mod foreign;
mod turn;

pub(crate) use companion::{Companion, ROUTED, WORKLOAD};
pub(crate) use foreign::manager;
pub(crate) use turn::{
    ORIGINALS, Protected, TRAFFIC, hold, is_turned, restore, turn, turned_for, workload_of,
};

use crate::inject::{Ports, resolve};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Selector;
use serde::Deserialize as _;
use serde_json::Value;
use std::collections::BTreeMap;

/// How a Service stands to the protected port of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// It does not select the pods, or none of its ports leads to the protected one.
    Elsewhere,
    /// At least one of its ports leads to the proxy, none to the protected port.
    Proxied,
    /// It leads to the protected port.
    Direct,
    /// It hands out the addresses of the pods, so clients choose the port by themselves.
    Headless,
}

/// How a live Service stands to a workload's pod template.
pub(crate) fn route(service: &Value, workload: &Value, ports: Ports) -> Route {
    if !selects(service, workload) {
        return Route::Elsewhere;
    }
    let targets: Vec<u16> =
        tcp_ports(service).filter_map(|(_, port)| leads_to(target_of(port), workload)).collect();
    if targets.contains(&ports.upstream) {
        if is_headless(service) { Route::Headless } else { Route::Direct }
    } else if targets.contains(&ports.proxy) {
        Route::Proxied
    } else if is_headless(service) && targets.is_empty() {
        Route::Headless
    } else {
        Route::Elsewhere
    }
}

/// The port of a Service that leads to the protected one.
pub(crate) fn direct_port(service: &Value, workload: &Value, ports: Ports) -> Option<u64> {
    let (_, port) = tcp_ports(service)
        .find(|(_, port)| leads_to(target_of(port), workload) == Some(ports.upstream))?;
    port.get("port")?.as_u64()
}

/// The port of a Service that leads to the proxy.
pub(crate) fn proxied_port(service: &Value, workload: &Value, ports: Ports) -> Option<u64> {
    let (_, port) = tcp_ports(service)
        .find(|(_, port)| leads_to(target_of(port), workload) == Some(ports.proxy))?;
    port.get("port")?.as_u64()
}

/// Names of the TCP ports of a Service that lead elsewhere than to the proxy. The only port of a Service may have no name.
pub(crate) fn names_of_ports_elsewhere<'a>(
    service: &'a Value,
    workload: &Value,
    ports: Ports,
) -> Vec<&'a str> {
    tcp_ports(service)
        .filter(|(_, port)| leads_to(target_of(port), workload) != Some(ports.proxy))
        .map(|(_, port)| port.get("name").and_then(Value::as_str).unwrap_or_default())
        .collect()
}

/// Ways to the protected port that no Service is part of: a container that publishes it on the node.
pub(crate) fn published(workload: &Value, ports: Ports) -> Option<String> {
    let containers = |pointer: &str| workload.pointer(pointer).and_then(Value::as_array);
    let all = ["/spec/template/spec/containers", "/spec/template/spec/initContainers"];
    all.into_iter().filter_map(containers).flatten().find_map(|container| {
        let declared = container.get("ports").and_then(Value::as_array)?;
        let port = declared.iter().find(|port| {
            port.get("containerPort") == Some(&Value::from(ports.upstream))
                && port.get("protocol").and_then(Value::as_str).unwrap_or("TCP") == "TCP"
                && port.get("hostPort").and_then(Value::as_u64).is_some_and(|port| port > 0)
        })?;
        Some(format!(
            "container {:?} publishes the protected port {} as port {} of its node (hostPort), past the proxy: remove hostPort there",
            name_of_container(container),
            ports.upstream,
            port.get("hostPort").and_then(Value::as_u64).unwrap_or_default()
        ))
    })
}

fn name_of_container(container: &Value) -> &str {
    container.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// Whether the selector of a Service matches the labels of the workload's pods.
pub(crate) fn selects(service: &Value, workload: &Value) -> bool {
    let kind = service.pointer("/spec/type").and_then(Value::as_str).unwrap_or_default();
    let labels = texts(workload, "/spec/template/metadata/labels");
    selects_labels(kind, &texts(service, "/spec/selector"), &labels)
}

/// Whether a Service of this type and selector selects pods with these labels. An empty selector selects nothing.
pub(crate) fn selects_labels(
    kind: &str,
    selector: &BTreeMap<String, String>,
    labels: &BTreeMap<String, String>,
) -> bool {
    kind != "ExternalName"
        && !selector.is_empty()
        && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// The selector of a Service; `None`: it selects nothing.
pub(crate) fn selector_of(service: &Value) -> Option<Selector> {
    let selector = texts(service, "/spec/selector");
    (!selector.is_empty()).then(|| selector.into_iter().collect())
}

/// The selector by which a workload finds its pods; `None`: it has none that can be understood.
pub(crate) fn pods_of(workload: &Value) -> Option<Selector> {
    LabelSelector::deserialize(workload.pointer("/spec/selector")?).ok()?.try_into().ok()
}

fn texts(object: &Value, pointer: &str) -> BTreeMap<String, String> {
    let map = object.pointer(pointer).and_then(Value::as_object);
    let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    map.into_iter().flatten().filter_map(text).collect()
}

/// The name of an object.
pub(crate) fn name_of(object: &Value) -> &str {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

fn is_headless(service: &Value) -> bool {
    service.pointer("/spec/clusterIP").and_then(Value::as_str) == Some("None")
}

fn tcp_ports(service: &Value) -> impl Iterator<Item = (usize, &Value)> {
    let ports =
        service.pointer("/spec/ports").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    ports
        .iter()
        .enumerate()
        .filter(|(_, port)| port.get("protocol").and_then(Value::as_str).unwrap_or("TCP") == "TCP")
}

/// The target of a Service port; without one, it is the port itself.
fn target_of(port: &Value) -> &Value {
    port.get("targetPort")
        .filter(|target| target.as_i64() != Some(0))
        .or_else(|| port.get("port"))
        .unwrap_or(&Value::Null)
}

/// Whether a container of the workload's pods declares a port.
fn declares(workload: &Value, number: u16) -> bool {
    declared(workload).any(|port| port.get("containerPort") == Some(&Value::from(number)))
}

/// Whether the workload's own containers declare no port at all.
fn declares_none(workload: &Value) -> bool {
    declared(workload).next().is_none()
}

fn declared(workload: &Value) -> impl Iterator<Item = &Value> {
    let containers = workload.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    containers
        .into_iter()
        .flatten()
        .filter_map(|container| container.get("ports")?.as_array())
        .flatten()
}

/// The number of the pod port that a target means for the workload's pods.
fn leads_to(target: &Value, workload: &Value) -> Option<u16> {
    match target {
        Value::Number(number) => number.as_u64().and_then(|number| u16::try_from(number).ok()),
        Value::String(text) => text.parse().ok().or_else(|| {
            resolve(workload.pointer("/spec/template/spec").unwrap_or(&Value::Null), text)
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
