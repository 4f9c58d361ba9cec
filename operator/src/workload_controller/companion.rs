//! The companion Service of a workload, live. It belongs to that workload alone, whose turns make it and take it away.

use crate::failure::Failure;
use crate::inject::Refusal;
use crate::live::{Applied, Collection, Live};
use crate::traffic::{self, Companion};
use serde_json::Value;

/// What has the name of a workload's companion now.
///
/// # Errors
/// The API server did not answer.
pub(super) async fn read(live: &Live<'_>, workload: &Value) -> Result<Option<Value>, Failure> {
    let name = Companion::name(traffic::name_of(workload));
    let found = live.get(Collection::Services, &name).await;
    found.map_err(|error| Failure::api("reading the companion Service", &error))
}

/// Makes the companion of an injected workload as it should be, from what was `found` under its name; as it is now.
///
/// # Errors
/// The API server's; a Service of that name that is not ours is a refusal.
pub(super) async fn ensure(
    live: &Live<'_>,
    workload: &Value,
    found: Option<&Value>,
    wanted: Companion,
) -> Result<Result<Value, Refusal>, Failure> {
    let name = Companion::name(traffic::name_of(workload));
    if let Err(refusal) = Companion::check_free(workload, found) {
        return Ok(Err(refusal));
    }
    let routed = found.is_some_and(|found| Companion::was_routed(found, workload));
    let wanted = if routed { wanted.routed(workload) } else { wanted };
    if let Some(operations) = found.and_then(|found| wanted.bare(found)) {
        let patched = live.patch(Collection::Services, &name, &operations).await;
        patched
            .map_err(|error| Failure::api("taking ports out of the companion Service", &error))?
            .ok_or_else(|| Failure::conflict("the companion Service changed meanwhile"))?;
    }
    match found.filter(|found| wanted.is_in(found)) {
        Some(found) => Ok(Ok(found.clone())),
        None => Ok(Ok(apply(live, &name, &wanted).await?)),
    }
}

/// Writes a companion. It is ours alone, so whatever somebody changed in it is taken back.
async fn apply(live: &Live<'_>, name: &str, wanted: &Companion) -> Result<Value, Failure> {
    match live.apply(Collection::Services, name, wanted.body(), true).await {
        Ok(Applied::Done(companion)) => Ok(companion),
        Ok(Applied::Conflict(fields)) => Err(Failure::conflict(fields.join(", "))),
        Err(error) => Err(Failure::api("applying the companion Service", &error)),
    }
}

/// Deletes the companion of a workload, if there is one. The one on record goes whatever somebody made of its marks, so that it
/// can not come back as a proof later.
///
/// # Errors
/// The API server did not answer.
pub(super) async fn delete(
    live: &Live<'_>,
    workload: &Value,
    recorded: Option<&str>,
) -> Result<(), Failure> {
    let Some(service) = read(live, workload).await? else { return Ok(()) };
    let uid = service.pointer("/metadata/uid").and_then(Value::as_str);
    let is_recorded = recorded.is_some() && uid == recorded;
    if !is_recorded && !Companion::is_for(&service, traffic::name_of(workload)) {
        return Ok(());
    }
    let deleted = live.delete(Collection::Services, &service).await;
    deleted.map_err(|error| Failure::api("deleting the companion Service", &error))
}
