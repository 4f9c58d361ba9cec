//! Taking out of a workload exactly what the record says was put in.
//!
//! It must not depend on who owns the fields: after a rollback or a webhook they may belong to another manager or to none.
//! So it is a JSON patch (RFC 6902) on positions, each guarded by a test that fails if the workload changed meanwhile.

use super::{Record, Refusal, annotation, is_named, list};
use crate::object::FIELD_MANAGER;
use crate::workload::STATUS;
use crds::Reason;
use serde_json::{Value, json};

/// A patch that removes the sidecar and the record in one step, and so in one rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Removal {
    /// What is removed, for the Services that have to be restored first.
    pub(crate) record: Record,
    /// The operations, as JSON.
    pub(crate) patch: Value,
}

/// The patch for a live workload.
///
/// # Errors
/// `RemovalSkipped`: an entry of our name is no longer what we put there, or somebody else's container uses our volume.
pub(super) fn removal(workload: &Value, record: &Record) -> Result<Removal, Refusal> {
    let pod = workload.pointer("/spec/template/spec").unwrap_or(&Value::Null);
    let mut operations = vec![json!({
        "op": "test",
        "path": "/metadata/resourceVersion",
        "value": workload.pointer("/metadata/resourceVersion"),
    })];
    guard(pod, record)?;
    take_out(&mut operations, pod, "initContainers", std::slice::from_ref(&record.container));
    take_out(&mut operations, pod, "volumes", &record.volumes);
    let secrets = record.image_pull_secrets.iter().filter(|name| !is_declared(workload, name));
    let secrets: Vec<String> = secrets.cloned().collect();
    take_out(&mut operations, pod, "imagePullSecrets", &secrets);
    let annotations = record.template_annotations.iter().map(String::as_str).collect::<Vec<_>>();
    unset(&mut operations, workload, "/spec/template/metadata", &annotations);
    unset(&mut operations, workload, "/metadata", &[annotation::INJECTED, STATUS]);
    Ok(Removal { record: record.clone(), patch: Value::Array(operations) })
}

/// Whether somebody else declares a pull secret too, by now: then it is no longer ours alone to remove.
fn is_declared(workload: &Value, secret: &str) -> bool {
    let entry = format!("k:{}", json!({"name": secret}));
    let declares = |manager: &Value| {
        manager.get("manager").and_then(Value::as_str) != Some(FIELD_MANAGER)
            && manager
                .pointer("/fieldsV1/f:spec/f:template/f:spec/f:imagePullSecrets")
                .is_some_and(|secrets| secrets.get(&entry).is_some())
    };
    list(workload, "/metadata/managedFields").iter().any(declares)
}

fn guard(pod: &Value, record: &Record) -> Result<(), Refusal> {
    let skipped = |what: String| Err(Refusal::new(Reason::RemovalSkipped, what));
    let mounts = |container: &Value, volume: &String| {
        list(container, "/volumeMounts")
            .iter()
            .chain(list(container, "/volumeDevices"))
            .any(|mount| is_named(mount, volume))
    };
    if let Some(own) =
        list(pod, "/initContainers").iter().find(|container| is_named(container, &record.container))
        && !record.volumes.iter().any(|volume| mounts(own, volume))
    {
        return skipped(format!(
            "init container {:?} mounts none of our volumes any more, so it is not the one that was injected and stays: remove it yourself, then remove the annotation {}",
            record.container,
            annotation::INJECTED
        ));
    }
    let others = || {
        list(pod, "/initContainers")
            .iter()
            .filter(|container| !is_named(container, &record.container))
            .chain(list(pod, "/containers"))
    };
    for volume in &record.volumes {
        if let Some(user) = others().find(|container| mounts(container, volume)) {
            return skipped(format!(
                "container {:?} mounts the proxy's volume {volume:?}, so the sidecar cannot be taken out: remove that mount",
                user.get("name").and_then(Value::as_str).unwrap_or_default()
            ));
        }
    }
    Ok(())
}

/// Removes the named entries of a list of the pod specification, last first so that positions hold; an emptied list goes.
fn take_out(operations: &mut Vec<Value>, pod: &Value, field: &str, names: &[String]) {
    let entries = list(pod, &format!("/{field}"));
    let path = format!("/spec/template/spec/{field}");
    let is_ours = |entry: &Value| names.iter().any(|name| is_named(entry, name));
    let ours: Vec<(usize, &Value)> =
        entries.iter().enumerate().filter(|(_, entry)| is_ours(entry)).collect();
    for (index, entry) in &ours {
        operations.push(json!({"op": "test", "path": format!("{path}/{index}/name"), "value": entry.get("name")}));
    }
    if ours.len() == entries.len() && !ours.is_empty() {
        operations.push(json!({"op": "remove", "path": path}));
        return;
    }
    operations.extend(
        ours.iter()
            .rev()
            .map(|(index, _)| json!({"op": "remove", "path": format!("{path}/{index}")})),
    );
}

/// Removes annotations from the metadata at a pointer; an emptied map goes, as if it had never been.
pub(crate) fn unset(operations: &mut Vec<Value>, object: &Value, metadata: &str, names: &[&str]) {
    unset_in(operations, object, &format!("{metadata}/annotations"), names);
}

/// Removes keys from the map at a pointer; an emptied map goes.
pub(crate) fn unset_in(operations: &mut Vec<Value>, object: &Value, path: &str, names: &[&str]) {
    let Some(map) = object.pointer(path).and_then(Value::as_object) else { return };
    let present: Vec<&&str> = names.iter().filter(|name| map.contains_key(**name)).collect();
    if present.len() == map.len() && !present.is_empty() {
        operations.push(json!({"op": "remove", "path": path}));
        return;
    }
    operations.extend(
        present
            .iter()
            .map(|name| json!({"op": "remove", "path": format!("{path}/{}", escaped(name))})),
    );
}

/// A key as a segment of a JSON pointer (RFC 6901).
pub(crate) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
