//! The two writes to a workload: bringing the sidecar in and taking it out, each in one request and so in one rollout.

use super::flapping::Repairs;
use crate::failure::Failure;
use crate::inject::{INJECT, Injection, Refusal, Removal};
use crate::live::{Applied, Collection, Live};
use crate::traffic::name_of;
use crate::workload::Kind;
use crds::Reason;
use serde_json::{Value, json};
use tokio::time::Instant;

/// How bringing the sidecar in ended.
#[derive(Debug)]
pub(super) enum Brought {
    /// The workload as it is now.
    In(Box<Value>),
    /// It was not.
    Refused(Refusal),
}

/// Applies the partial template.
///
/// Without force at first. Where a record says that the entries are ours and the others who hold fields of them merely
/// updated the workload (an edit, a rollback), it is repeated with force; somebody who declares those fields keeps them.
/// `repairs` counts what undoes somebody's change.
///
/// # Errors
/// The API server's.
pub(super) async fn bring_in(
    live: &Live<'_>,
    workload: &Value,
    injection: &Injection,
    repairs: Option<&mut Repairs>,
) -> Result<Brought, Failure> {
    if let Some(repairs) = repairs
        && repairs.allow(Instant::now()).is_err()
    {
        // Without the minutes that are left: each would be an event and a write.
        let message = format!(
            "the sidecar was removed or changed {} times within an hour{}, so it is not put back before the first time is an hour ago: find out who does it, or remove {INJECT} if it is not wanted",
            super::flapping::MOST,
            injection
                .contested()
                .map(|other| format!(", last by the operator with the lease {other}"))
                .or_else(|| last_manager(workload).map(|name| format!(", last by {name:?}")))
                .unwrap_or_default()
        );
        return Ok(Brought::Refused(Refusal::new(Reason::Flapping, message)));
    }
    let body = injection.body();
    let name = name_of(workload);
    let fields = match live
        .apply(Collection::Workloads(Kind::Deployment), name, &body, false)
        .await
        .map_err(|error| refused(&error))?
    {
        Applied::Done(workload) => return Ok(Brought::In(Box::new(workload))),
        Applied::Conflict(fields) => fields,
    };
    // The API server writes `using <version>` for managers that update, and not for those that apply.
    if injection.may_repair() && fields.iter().all(|field| field.contains(" using ")) {
        return match live
            .apply(Collection::Workloads(Kind::Deployment), name, &body, true)
            .await
            .map_err(|error| refused(&error))?
        {
            Applied::Done(workload) => Ok(Brought::In(Box::new(workload))),
            Applied::Conflict(fields) => Err(Failure::conflict(fields.join(", "))),
        };
    }
    let message = format!(
        "fields that the sidecar needs belong to somebody else: {}; have them removed there (nothing is taken over by force)",
        fields.join(", ")
    );
    Ok(Brought::Refused(Refusal::new(Reason::FieldConflict, message)))
}

/// Takes out what was put in. `false` if the workload changed meanwhile and it has to be decided anew.
///
/// # Errors
/// The API server's.
pub(super) async fn take_out(
    live: &Live<'_>,
    workload: &Value,
    removal: &Removal,
) -> Result<bool, Failure> {
    let done = live
        .patch(Collection::Workloads(Kind::Deployment), name_of(workload), &removal.patch)
        .await;
    done.map(|workload| workload.is_some())
        .map_err(|error| Failure::api("removing the sidecar", &error))
}

/// Puts an opt-in back that a rollback took away together with everything else in the annotations.
///
/// # Errors
/// The API server's.
pub(super) async fn opt_in_again(
    live: &Live<'_>,
    workload: &Value,
    opt_in: &str,
) -> Result<(), Failure> {
    let mut operations = vec![json!({
        "op": "test", "path": "/metadata/resourceVersion", "value": workload.pointer("/metadata/resourceVersion"),
    })];
    let operation = if workload.pointer("/metadata/annotations").is_some() {
        json!({"op": "add", "path": format!("/metadata/annotations/{}", crate::inject::escaped(INJECT)), "value": opt_in})
    } else {
        json!({"op": "add", "path": "/metadata/annotations", "value": {INJECT: opt_in}})
    };
    operations.push(operation);
    let done = live
        .patch(
            Collection::Workloads(Kind::Deployment),
            name_of(workload),
            &Value::Array(operations),
        )
        .await;
    match done.map_err(|error| Failure::api("putting the opt-in back", &error))? {
        Some(_) => Ok(()),
        None => Err(Failure::conflict("the workload changed meanwhile")),
    }
}

/// What keeps new pods from coming, in the words of the workload's own status.
pub(super) fn rollout_trouble(workload: &Value) -> Option<Refusal> {
    if workload.pointer("/spec/paused").and_then(Value::as_bool) == Some(true) {
        let message = format!(
            "its rollout is paused, so pods with the sidecar come only after `kubectl rollout resume deployment/{}`",
            name_of(workload)
        );
        return Some(Refusal::new(Reason::RolloutPaused, message));
    }
    let conditions = workload.pointer("/status/conditions").and_then(Value::as_array);
    let text = |condition: &Value, field: &str| {
        condition.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    conditions.into_iter().flatten().find_map(|condition| {
        let failed = match (text(condition, "type").as_str(), text(condition, "status").as_str()) {
            ("ReplicaFailure", "True") => true,
            ("Progressing", "False") => text(condition, "reason") == "ProgressDeadlineExceeded",
            _ => false,
        };
        failed.then(|| {
            let message = format!("its rollout does not get on: {}", text(condition, "message"));
            Refusal::new(Reason::RolloutFailed, message)
        })
    })
}

/// Who updated the workload last, ourselves and its status aside.
fn last_manager(workload: &Value) -> Option<String> {
    let entries = workload.pointer("/metadata/managedFields")?.as_array()?;
    let text =
        |entry: &Value, field: &str| entry.get(field).and_then(Value::as_str).map(str::to_owned);
    entries
        .iter()
        .filter(|entry| entry.get("subresource").is_none())
        .filter(|entry| text(entry, "manager").as_deref() != Some(crate::object::FIELD_MANAGER))
        .max_by_key(|entry| text(entry, "time"))
        .and_then(|entry| text(entry, "manager"))
}

fn refused(error: &kube::Error) -> Failure {
    Failure::api("applying the sidecar", error)
}
