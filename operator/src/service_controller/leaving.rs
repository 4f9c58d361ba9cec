//! Whether a workload's sidecar may go: no Service leads to it any more, and nobody was sent there a moment ago.

use crate::failure::Failure;
use crate::inject::Ports;
use crate::live::{Collection, Live};
use crate::traffic::{self, Companion, Route};
use crate::workload::WorkloadRef;
use serde_json::Value;

/// How far the Services of a workload on its way out are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// None leads to the sidecar.
    Free,
    /// Some still do, and will not for long.
    Awaited,
    /// One will go on doing so until somebody acts; the text says who, and on what.
    Held(String),
}

/// Looks at all Services of the namespace as the API server has them.
///
/// # Errors
/// The API server did not answer.
pub(crate) async fn leaving(
    live: &Live<'_>,
    reference: &WorkloadRef,
    workload: &Value,
    ports: Ports,
) -> Result<Leaving, Failure> {
    let services = live.list::<Value>(Collection::Services, "").await;
    let services = services.map_err(|error| Failure::api("listing Services", &error))?;
    let mut stage = Leaving::Free;
    for service in services {
        if Companion::is_for(&service, &reference.name) {
            continue;
        }
        let own =
            traffic::turned_for(&service).is_some_and(|(kind, name)| reference.is(&kind, &name));
        if own {
            stage = Leaving::Awaited;
        } else if traffic::selects(&service, workload) {
            if let Some(text) = held(&service, workload, ports) {
                return Ok(Leaving::Held(text));
            }
            if !endpoints_have_left(live, &service, workload, ports).await? {
                stage = Leaving::Awaited;
            }
        }
    }
    Ok(stage)
}

/// Why a Service that is not on record for the workload goes on leading to its sidecar.
fn held(service: &Value, workload: &Value, ports: Ports) -> Option<String> {
    let name = traffic::name_of(service);
    if let Some((kind, other)) = traffic::turned_for(service) {
        return Some(format!(
            "Service {name:?} leads to the proxy for {kind} {other:?}, which is protected, and also selects the pods of this workload: take one of the two out of the Service's selector, or end the protection of {other:?} too"
        ));
    }
    let port = traffic::proxied_port(service, workload, ports)?;
    let restore = match traffic::route(service, workload, ports) {
        Route::Headless => return None,
        _ => ports.upstream,
    };
    Some(format!(
        "Service {name:?} leads to the proxy's port {} by its own definition, and nothing will answer there without the sidecar: set targetPort of its port {port} back to {restore} where it is defined",
        ports.proxy
    ))
}

async fn endpoints_have_left(
    live: &Live<'_>,
    service: &Value,
    workload: &Value,
    ports: Ports,
) -> Result<bool, Failure> {
    let names = traffic::names_of_ports_elsewhere(service, workload, ports);
    if names.is_empty() {
        return Ok(true);
    }
    let labels = format!("kubernetes.io/service-name={}", traffic::name_of(service));
    let slices = live.list::<Value>(Collection::EndpointSlices, &labels).await;
    let slices = slices.map_err(|error| Failure::api("listing EndpointSlices", &error))?;
    Ok(!slices.iter().any(|slice| leads_to(slice, ports.proxy, &names)))
}

/// Whether one of the ports of these names leads to this port in a slice.
fn leads_to(slice: &Value, port: u16, names: &[&str]) -> bool {
    let array = |field: &str| slice.get(field).and_then(Value::as_array);
    let name = |entry: &Value| {
        names.contains(&entry.get("name").and_then(Value::as_str).unwrap_or_default())
    };
    array("endpoints").is_some_and(|endpoints| !endpoints.is_empty())
        && array("ports")
            .into_iter()
            .flatten()
            .any(|entry| entry.get("port") == Some(&Value::from(port)) && name(entry))
}
