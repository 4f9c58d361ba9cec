//! The companion Service of a workload, live. It belongs to that workload alone, whose turns make it and take it away.

use crate::failure::Failure;
use crate::inject::Refusal;
use crate::live::{Applied, Collection, Live};
use crate::traffic::{self, Companion};
use serde_json::Value;

/// Makes the companion of an injected workload as it should be. Whether it is remembered that nothing reaches the workload
/// without a login.
///
/// # Errors
/// The API server's; a Service of that name that is not ours is a refusal.
pub(super) async fn ensure(
    live: &Live<'_>,
    workload: &Value,
    wanted: Companion,
) -> Result<Result<bool, Refusal>, Failure> {
    let name = Companion::name(traffic::name_of(workload));
    let found = live.get(Collection::Services, &name).await;
    let found = found.map_err(|error| Failure::api("reading the companion Service", &error))?;
    if let Err(refusal) = Companion::check_free(workload, found.as_ref()) {
        return Ok(Err(refusal));
    }
    let routed = found.as_ref().is_some_and(|found| Companion::was_routed(found, workload));
    let wanted = if routed { wanted.routed(workload) } else { wanted };
    if let Some(operations) = found.as_ref().and_then(|found| wanted.bare(found)) {
        let patched = live.patch(Collection::Services, &name, &operations).await;
        patched
            .map_err(|error| Failure::api("taking ports out of the companion Service", &error))?
            .ok_or_else(|| Failure::conflict("the companion Service changed meanwhile"))?;
    }
    if !found.as_ref().is_some_and(|found| wanted.is_in(found)) {
        apply(live, &name, &wanted).await?;
    }
    Ok(Ok(routed))
}

/// Writes a companion. It is ours alone, so whatever somebody changed in it is taken back.
///
/// # Errors
/// The API server's.
pub(super) async fn apply(live: &Live<'_>, name: &str, wanted: &Companion) -> Result<(), Failure> {
    match live.apply(Collection::Services, name, wanted.body(), true).await {
        Ok(Applied::Done(_)) => Ok(()),
        Ok(Applied::Conflict(fields)) => Err(Failure::conflict(fields.join(", "))),
        Err(error) => Err(Failure::api("applying the companion Service", &error)),
    }
}

/// Deletes the companion of a workload, if there is one.
///
/// # Errors
/// The API server did not answer.
pub(super) async fn delete(live: &Live<'_>, workload: &str) -> Result<(), Failure> {
    let name = Companion::name(workload);
    let found = live.get(Collection::Services, &name).await;
    match found.map_err(|error| Failure::api("reading the companion Service", &error))? {
        Some(service) if Companion::is_for(&service, workload) => live
            .delete(Collection::Services, &service)
            .await
            .map_err(|error| Failure::api("deleting the companion Service", &error)),
        _ => Ok(()),
    }
}

/// The opt-in that the companion of a workload remembers.
///
/// # Errors
/// The API server did not answer.
pub(super) async fn remembered(
    live: &Live<'_>,
    workload: &Value,
) -> Result<Option<String>, Failure> {
    let name = Companion::name(traffic::name_of(workload));
    let found = live.get(Collection::Services, &name).await;
    let found = found.map_err(|error| Failure::api("reading the companion Service", &error))?;
    Ok(found.and_then(|found| Companion::remembered(&found, workload).map(str::to_owned)))
}
