//! The patches of a Service: towards the proxy and back.
//!
//! Both are one computation. Each port has a true target: the recorded original where the live one is still what we set,
//! the live one otherwise. From the true targets follows what the Service should be, so a changed protected port, a changed
//! proxy port, a Service edited meanwhile and a second run all come out right.

use super::{declares, declares_none, leads_to, name_of, target_of, tcp_ports};
use crate::inject::{Ports, escaped, unset_in};
use crate::workload::Kind;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Annotation of a Service that was turned: for which workload, and what its ports were like.
pub(crate) const ORIGINALS: &str = "oauth2proxy.dev/original-ports";
/// Label of every Service that is turned or a companion, so that they can be found although their workload is gone.
pub(crate) const TRAFFIC: &str = "oauth2proxy.dev/traffic";
/// The label's value for a Service that was turned.
const RETARGETED: &str = "retargeted";

/// The content of the annotation. A stored format: fields are added, never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Originals {
    /// Name of the workload that the Service was turned for.
    workload: String,
    /// Its kind; records of before kinds were written are about a Deployment.
    #[serde(default = "deployment")]
    kind: String,
    /// The target that we set.
    proxy_port: u16,
    /// The targets that were there.
    ports: Vec<Original>,
}

/// One port of a Service as it was. Port and protocol are its identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Original {
    port: u64,
    #[serde(default = "tcp")]
    protocol: String,
    target_port: Value,
}

fn deployment() -> String {
    Kind::Deployment.as_str().to_owned()
}

fn tcp() -> String {
    "TCP".to_owned()
}

/// A workload behind a Service, with the ports of its sidecar.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Protected<'a> {
    /// Its kind.
    pub(crate) kind: Kind,
    /// The live workload.
    pub(crate) workload: &'a Value,
    /// Its ports.
    pub(crate) ports: Ports,
}

impl Protected<'_> {
    /// Whether the protection is on another port than the one that a target means, by the workload's own template. One that
    /// does not declare what is on record, or does not know the target any more, is on its way to something else: until its
    /// record says what, nothing is given back.
    fn moved_from(&self, target: &Value) -> bool {
        let known = declares_none(self.workload) || declares(self.workload, self.ports.upstream);
        known && leads_to(target, self.workload).is_some_and(|port| port != self.ports.upstream)
    }
}

/// The patch after which no port of the Service leads to a protected port; `None` if that is so already.
///
/// `owner` is the one that the record names, of several that share the Service. What is on record stays turned if `kept`: then
/// somebody relies on it of whom it is not known which port that is.
pub(crate) fn turn(
    service: &Value,
    all: &[Protected<'_>],
    owner: &Protected<'_>,
    kept: bool,
) -> Option<Value> {
    let before = originals(service);
    let wanted = tcp_ports(service)
        .map(|(index, port)| {
            let original = true_target(port, before.as_ref());
            let on_record = before.as_ref().is_some_and(|before| on_record(port, before));
            let protected =
                all.iter().any(|one| leads_to(&original, one.workload) == Some(one.ports.upstream))
                    || (on_record && (kept || !all.iter().all(|one| one.moved_from(&original))));
            Wanted {
                index,
                port,
                target: if protected { json!(owner.ports.proxy) } else { original.clone() },
                original: protected.then_some(original),
            }
        })
        .collect::<Vec<_>>();
    let originals: Vec<Original> = wanted.iter().filter_map(Wanted::original).collect();
    let after = (!originals.is_empty()).then(|| Originals {
        workload: name_of(owner.workload).to_owned(),
        kind: owner.kind.as_str().to_owned(),
        proxy_port: owner.ports.proxy,
        ports: originals,
    });
    patch(service, &wanted, (before, after))
}

/// The patch after which all that is on record leads to the proxy again; `None` if it does. For those who rely on it and of whom
/// it is not known which port is theirs.
pub(crate) fn hold(service: &Value) -> Option<Value> {
    let before = originals(service)?;
    let wanted = tcp_ports(service)
        .map(|(index, port)| {
            let proxy = on_record(port, &before).then(|| json!(before.proxy_port));
            let target = proxy.unwrap_or_else(|| target_of(port).clone());
            Wanted { index, port, target, original: None }
        })
        .collect::<Vec<_>>();
    let after = before.clone();
    patch(service, &wanted, (Some(before), Some(after)))
}

/// The patch after which the Service is as it was before; `None` if we never turned it.
pub(crate) fn restore(service: &Value) -> Option<Value> {
    let before = originals(service);
    if before.is_none() && !is_marked(service) {
        return None;
    }
    let wanted = tcp_ports(service)
        .map(|(index, port)| Wanted {
            index,
            port,
            target: true_target(port, before.as_ref()),
            original: None,
        })
        .collect::<Vec<_>>();
    patch(service, &wanted, (before, None))
}

/// Whether a Service was turned, even if somebody took one of its two marks away.
pub(crate) fn is_turned(service: &Value) -> bool {
    is_labelled(service) || originals(service).is_some()
}

/// Kind and name of the workload that a Service was turned for.
pub(crate) fn turned_for(service: &Value) -> Option<(String, String)> {
    originals(service).map(|originals| (originals.kind, originals.workload))
}

/// Kind and name of the workload that the text of the annotation names.
pub(crate) fn workload_of(text: &str) -> Option<(String, String)> {
    let originals = serde_json::from_str::<Originals>(text).ok()?;
    Some((originals.kind, originals.workload))
}

struct Wanted<'a> {
    index: usize,
    port: &'a Value,
    target: Value,
    original: Option<Value>,
}

impl Wanted<'_> {
    fn original(&self) -> Option<Original> {
        Some(Original {
            port: self.port.get("port")?.as_u64()?,
            protocol: tcp(),
            target_port: self.original.clone()?,
        })
    }
}

fn true_target(port: &Value, originals: Option<&Originals>) -> Value {
    recorded_original(port, originals)
        .map_or_else(|| target_of(port).clone(), |old| old.target_port.clone())
}

/// Whether a port is as we set it, or was set back to what it was before.
fn on_record(port: &Value, originals: &Originals) -> bool {
    originals.ports.iter().any(|old| {
        port.get("port") == Some(&json!(old.port))
            && (*target_of(port) == json!(originals.proxy_port)
                || *target_of(port) == old.target_port)
    })
}

fn recorded_original<'a>(port: &Value, originals: Option<&'a Originals>) -> Option<&'a Original> {
    originals.filter(|originals| *target_of(port) == json!(originals.proxy_port)).and_then(
        |originals| originals.ports.iter().find(|old| port.get("port") == Some(&json!(old.port))),
    )
}

fn originals(service: &Value) -> Option<Originals> {
    serde_json::from_str(service.pointer("/metadata/annotations")?.get(ORIGINALS)?.as_str()?).ok()
}

fn is_labelled(service: &Value) -> bool {
    let label = service.pointer("/metadata/labels").and_then(|labels| labels.get(TRAFFIC));
    label.and_then(Value::as_str) == Some(RETARGETED)
}

fn is_marked(service: &Value) -> bool {
    let has = |pointer: &str, key: &str| {
        service.pointer(pointer).is_some_and(|map| map.get(key).is_some())
    };
    has("/metadata/labels", TRAFFIC) || has("/metadata/annotations", ORIGINALS)
}

fn patch(
    service: &Value,
    wanted: &[Wanted<'_>],
    (before, after): (Option<Originals>, Option<Originals>),
) -> Option<Value> {
    let changed =
        wanted.iter().filter(|wanted| target_of(wanted.port) != &wanted.target).collect::<Vec<_>>();
    let marked_right = if after.is_some() { is_labelled(service) } else { !is_marked(service) };
    if changed.is_empty() && before == after && marked_right {
        return None;
    }
    let version = service.pointer("/metadata/resourceVersion");
    let mut operations =
        vec![json!({"op": "test", "path": "/metadata/resourceVersion", "value": version})];
    if let Some(after) = after {
        let originals = json!(after).to_string();
        set(&mut operations, service, ("/metadata/annotations", ORIGINALS), &originals);
        set(&mut operations, service, ("/metadata/labels", TRAFFIC), RETARGETED);
    } else {
        unset_in(&mut operations, service, "/metadata/annotations", &[ORIGINALS]);
        unset_in(&mut operations, service, "/metadata/labels", &[TRAFFIC]);
    }
    for wanted in changed {
        let path = format!("/spec/ports/{}", wanted.index);
        operations.push(
            json!({"op": "test", "path": format!("{path}/port"), "value": wanted.port.get("port")}),
        );
        operations.push(
            json!({"op": "add", "path": format!("{path}/targetPort"), "value": wanted.target}),
        );
    }
    Some(Value::Array(operations))
}

fn set(operations: &mut Vec<Value>, object: &Value, (map, key): (&str, &str), value: &str) {
    if object.pointer(map).is_none() {
        operations.push(json!({"op": "add", "path": map, "value": {key: value}}));
    } else {
        operations
            .push(json!({"op": "add", "path": format!("{map}/{}", escaped(key)), "value": value}));
    }
}
