//! What is to be done with the pod template of one workload: a pure decision from the live object and what is wanted.
//!
//! Nothing here talks to the API server, knows the kind of the caller, or looks at Services. The same decision serves
//! every way of bringing it about, so it works on the raw JSON of the workload: a typed copy would drop fields that this
//! build does not know.

mod annotation;
mod port;
mod record;
mod render;
mod rollback;
mod strip;

pub(crate) use annotation::{
    INJECT, INJECTED, INJECTED_BY, OptIn, PAUSED, POD_SPEC_HASH, PORT, PortWish, UPSTREAM_PORT,
    Wishes, asked_for, asks_for, belongs_to, concerns, is_recorded, meaning, opt_in, opt_in_text,
    template_opt_in,
};
pub(crate) use port::{PortDefaults, Ports, resolve};
pub(crate) use record::{Record, Recorded};
pub(crate) use render::{Injection, Sidecar};
pub(crate) use rollback::{is_unmeant, proves, unmeant_traffic};
pub(crate) use strip::{Removal, escaped, unset_in};

use crds::{Reason, Traffic};
use serde_json::Value;

/// Why a workload is not injected or not changed, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// For conditions, events and the metric.
    pub(crate) reason: Reason,
    /// One sentence with the value found and the next step.
    pub(crate) message: String,
}

impl Refusal {
    /// A refusal with a message that names the next step.
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// A usable `OAuth2Proxy` for one workload.
pub(crate) struct Target<'a> {
    /// Name of the object, in the namespace of the workload.
    pub(crate) object: &'a str,
    /// The text by which the workload asks for it.
    pub(crate) opt_in: &'a str,
    /// What is wanted of the workload's Services.
    pub(crate) traffic: Traffic,
    /// Who writes: namespace and name of our lease.
    pub(crate) writer: &'a str,
    /// The uid of the workload's companion Service, if it is there.
    pub(crate) companion: Option<&'a str>,
    /// Its ports.
    pub(crate) defaults: PortDefaults,
    /// The sidecar for these ports.
    pub(crate) render: &'a dyn Fn(Ports) -> Sidecar,
}

/// What should be true of a workload.
pub(crate) enum Wanted<'a> {
    /// It carries the sidecar.
    Protected(Target<'a>),
    /// It asks for an object that cannot be used now. What is there stays, nothing new comes.
    Unusable(Refusal),
    /// It carries no sidecar.
    Open,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Nothing is wanted and nothing is there.
    Leave,
    /// Bring the template to this.
    Inject(Box<Injection>),
    /// The sidecar stays as it is; with a refusal if it is not as it should be.
    Keep {
        /// The ports of the sidecar that is there.
        ports: Ports,
        /// Why it is not brought up to date.
        refusal: Option<Refusal>,
    },
    /// Take exactly this out, after the Services were restored.
    Remove(Box<Removal>),
    /// There is no sidecar and none comes.
    Refuse(Refusal),
}

/// Decides for a live workload.
pub(crate) fn plan(workload: &Value, wanted: &Wanted<'_>) -> Plan {
    let recorded = Recorded::read(workload);
    let refuse = |refusal: Refusal| match recorded.as_ref() {
        Some(record) => Plan::Keep { ports: record.ports(), refusal: Some(refusal) },
        None => Plan::Refuse(refusal),
    };
    match wanted {
        Wanted::Open => match &recorded {
            Recorded::No => Plan::Leave,
            Recorded::Unreadable(error) => Plan::Refuse(unreadable(error)),
            Recorded::Yes(record) => match strip::removal(workload, record) {
                Ok(removal) => Plan::Remove(Box::new(removal)),
                Err(refusal) => refuse(refusal),
            },
        },
        Wanted::Unusable(refusal) => refuse(refusal.clone()),
        Wanted::Protected(target) => match protect(workload, &recorded, target) {
            Ok(injection) if injection.is_in(workload) => {
                Plan::Keep { ports: injection.ports(), refusal: None }
            }
            Ok(injection) => Plan::Inject(Box::new(injection)),
            Err(refusal) => refuse(refusal),
        },
    }
}

fn protect(
    workload: &Value,
    recorded: &Recorded,
    target: &Target<'_>,
) -> Result<Injection, Refusal> {
    let record = match recorded {
        Recorded::Unreadable(error) => return Err(unreadable(error)),
        recorded => recorded.as_ref(),
    };
    let pod = workload.pointer("/spec/template/spec").unwrap_or(&Value::Null);
    supported(pod)?;
    let wishes = Wishes::read(workload)?;
    let own = own_container(workload, record);
    let ports =
        port::choose(pod, own, wishes.upstream_port.as_ref(), wishes.port, target.defaults)?;
    let sidecar = (target.render)(ports);
    render::injection(workload, record, target, (ports, sidecar))
}

/// The name of the container that is ours: recorded, or, where the record was lost, marked by our template annotation.
fn own_container<'a>(workload: &'a Value, record: Option<&'a Record>) -> Option<&'a str> {
    record.map(|record| record.container.as_str()).or_else(|| {
        let marked =
            workload.pointer("/spec/template/metadata/annotations")?.get(POD_SPEC_HASH).is_some();
        marked.then_some(render::CONTAINER)
    })
}

/// Whether the pod template of a workload has the container that is on record.
pub(crate) fn carries(workload: &Value) -> bool {
    let recorded = Recorded::read(workload);
    let pod = workload.pointer("/spec/template/spec").unwrap_or(&Value::Null);
    recorded.as_ref().is_some_and(|record| {
        list(pod, "/initContainers").iter().any(|container| is_named(container, &record.container))
    })
}

fn supported(pod: &Value) -> Result<(), Refusal> {
    if pod.get("hostNetwork").and_then(Value::as_bool) == Some(true) {
        return Err(Refusal::new(
            Reason::Unsupported,
            "the pods use the network of their node (hostNetwork), where every pod and process of the node reaches the application past the proxy: remove hostNetwork, or put a stand-alone proxy in front (spec.deployment)",
        ));
    }
    if pod.pointer("/os/name").and_then(Value::as_str) == Some("windows") {
        return Err(Refusal::new(
            Reason::Unsupported,
            "the pods run on Windows, for which there is no image of the proxy: put a stand-alone proxy in front (spec.deployment)",
        ));
    }
    Ok(())
}

fn unreadable(error: &str) -> Refusal {
    Refusal::new(
        Reason::RemovalSkipped,
        format!(
            "annotation {INJECTED} was changed by hand and cannot be read ({error}), so nothing is touched: restore it from an older ReplicaSet of the workload, or remove the container {:?} and its volumes together with this annotation yourself",
            render::CONTAINER
        ),
    )
}

/// The list at a pointer; nothing is as good as an empty one.
fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Whether an entry of a list has this name.
fn is_named(entry: &Value, name: &str) -> bool {
    entry.get("name").and_then(Value::as_str) == Some(name)
}

#[cfg(test)]
mod tests;
