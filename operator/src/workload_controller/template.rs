//! The two writes to a workload: bringing the sidecar in and taking it out, each in one request and so in one rollout.

use crate::failure::Failure;
use crate::inject::{INJECT, Injection, Recorded, Refusal, Removal};
use crate::live::{Applied, Collection, Live};
use crate::traffic::name_of;
use crate::workload::{Kind, is_failure};
use crds::Reason;
use serde_json::{Value, json};

/// How bringing the sidecar in ended.
#[derive(Debug)]
pub(super) enum Brought {
    /// The workload as it is now.
    In(Box<Value>),
    /// The API server took it, and something on the way to it made it into something else: the workload as it is now. To
    /// write the same again would come to the same.
    Rewritten(Box<Value>),
    /// It was not.
    Refused(Refusal),
}

/// What became of what was applied: as long as both are the same there is no use in applying it again.
#[derive(Debug)]
pub(super) struct Rewritten {
    template: Value,
    record: Recorded,
    applied: Value,
}

impl Rewritten {
    /// The workload as it came back.
    pub(super) fn new(workload: &Value, injection: &Injection) -> Self {
        let template = workload.pointer("/spec/template").cloned().unwrap_or_default();
        Self { template, record: Recorded::read(workload), applied: injection.body() }
    }

    /// Whether a workload is still like that, and the same would be applied.
    pub(super) fn is(&self, workload: &Value, injection: &Injection) -> bool {
        workload.pointer("/spec/template") == Some(&self.template)
            && Recorded::read(workload) == self.record
            && injection.body() == self.applied
    }
}

/// Applies the partial template.
///
/// Without force at first. Where a record says that the entries are ours and the others who hold fields of them merely
/// updated the workload (an edit, a rollback), it is repeated with force; somebody who declares those fields keeps them.
///
/// # Errors
/// The API server's.
pub(super) async fn bring_in(
    live: &Live<'_>,
    workload: &Value,
    injection: &Injection,
) -> Result<Brought, Failure> {
    let body = injection.body();
    let name = name_of(workload);
    let fields = match live
        .apply(Collection::Workloads(Kind::Deployment), name, &body, false)
        .await
        .map_err(|error| refused(&error))?
    {
        Applied::Done(workload) => return Ok(brought(injection, workload)),
        Applied::Conflict(fields) => fields,
    };
    // The API server writes `using <version>` for managers that update, and not for those that apply.
    if injection.may_repair() && fields.iter().all(|field| field.contains(" using ")) {
        return match live
            .apply(Collection::Workloads(Kind::Deployment), name, &body, true)
            .await
            .map_err(|error| refused(&error))?
        {
            Applied::Done(workload) => Ok(brought(injection, workload)),
            Applied::Conflict(fields) => Err(Failure::conflict(fields.join(", "))),
        };
    }
    let message = format!(
        "fields that the sidecar needs belong to somebody else: {}; have them removed there (nothing is taken over by force)",
        fields.join(", ")
    );
    Ok(Brought::Refused(Refusal::new(Reason::FieldConflict, message)))
}

fn brought(injection: &Injection, workload: Value) -> Brought {
    let workload = Box::new(workload);
    if injection.is_in(&workload) { Brought::In(workload) } else { Brought::Rewritten(workload) }
}

/// Why the sidecar is not put back at once.
pub(super) fn flapping(injection: &Injection) -> Refusal {
    // Without the seconds that are left: each would be an event and a write.
    let by = injection
        .contested()
        .map(|other| format!(", by the operator with the lease {other}"))
        .unwrap_or_default();
    let message = format!(
        "the sidecar is removed or changed again and again{by}, so it is put back after a longer wait each time, up to four minutes: find out who does it, or remove {INJECT} if it is not wanted"
    );
    Refusal::new(Reason::Flapping, message)
}

/// Whether a write changed what pods are made of. The generation does not say so: it counts annotations of a Deployment too.
pub(super) fn is_rolled(before: &Value, after: &Value) -> bool {
    before.pointer("/spec/template") != after.pointer("/spec/template")
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
        let [type_, status, reason] = ["type", "status", "reason"].map(|field| text(condition, field));
        let failed = is_failure(&type_, &status, &reason);
        failed.then(|| {
            let words = without_pods(&text(condition, "message"), name_of(workload));
            let message = format!(
                "its rollout does not get on: {words}; where a quota or policy asks for limits, set spec.sidecar.resources.limits of the OAuth2Proxy"
            );
            Refusal::new(Reason::RolloutFailed, message)
        })
    })
}

/// A text without the names of pods, which are others at each attempt.
fn without_pods(text: &str, workload: &str) -> String {
    let of_it = format!("{workload}-");
    let parts = text.split('"').map(|part| if part.starts_with(&of_it) { "..." } else { part });
    parts.collect::<Vec<_>>().join("\"")
}

fn refused(error: &kube::Error) -> Failure {
    Failure::api("applying the sidecar", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_pods_that_were_not_made_are_no_news() {
        let of = |pod: &str| {
            let message =
                format!("pods \"web-7d9c5c9b6-{pod}\" is forbidden: exceeded quota: \"small\"");
            let condition = json!({"type": "ReplicaFailure", "status": "True", "message": message});
            let workload =
                json!({"metadata": {"name": "web"}, "status": {"conditions": [condition]}});
            rollout_trouble(&workload).unwrap()
        };
        assert_eq!(of("abcde"), of("fghij"));
        assert!(of("abcde").message.contains("exceeded quota: \"small\""));
    }
}
