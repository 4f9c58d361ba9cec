//! A workload that carries no wish any more without anybody having wished that: a rollback replaced all its annotations.
//!
//! Its companion remembers what it asked for. But whoever may write Services may write that too, and an opt-in changes what
//! pods are made of; so it is put back only where a `ReplicaSet` of the workload shows that it asked so while it had this very
//! companion. Without that proof everything stays as it is: what is closed stays closed, and nothing is added.

use super::announce::Announcer;
use super::desk::Desk;
use super::entries::Entry;
use super::{REFUSED, companion, template};
use crate::context::Context;
use crate::controller::Next;
use crate::failure::{Failure, FailureClass};
use crate::inject::{INJECT, OptIn, Refusal, meaning, proves};
use crate::live::{Collection, Live};
use crate::traffic::{self, Companion};
use crate::workload::WorkloadRef;
use crds::Reason;
use serde_json::Value;
use std::time::Duration;

/// Between putting the opt-in back and the turn that goes on from there.
const SOON: Duration = Duration::from_millis(200);

/// Undoes what a rollback did to the opt-in. Nothing: no companion remembers that the workload was protected.
///
/// # Errors
/// The API server's.
pub(super) async fn undo(
    (context, desk): (&Context, &Desk),
    (key, live): (&WorkloadRef, &Live<'_>),
    workload: &Value,
) -> Result<Option<Next>, Failure> {
    let Some(companion) = companion::read(live, workload).await? else { return Ok(None) };
    let Some(opt_in) = Companion::remembered(&companion, workload) else { return Ok(None) };
    if is_proven(live, workload, (&companion, opt_in)).await? {
        if let Err(failure) = template::opt_in_again(live, workload, opt_in).await {
            if failure.class == FailureClass::Refused {
                let refusal = Refusal::new(Reason::ApiRefused, failure.message.clone());
                tell((context, desk), (key, workload), opt_in, &refusal).await;
            }
            return Err(failure);
        }
        context.metrics.drift_repairs.inc();
        Announcer::new(&context.events, (key, workload), None).opt_in_restored(opt_in).await;
        return Ok(Some(Next::After(SOON)));
    }
    let refusal = unproven(key, workload, opt_in);
    tell((context, desk), (key, workload), opt_in, &refusal).await;
    Ok(Some(Next::After(REFUSED)))
}

/// Tells it on the workload, and at the object that it asked for.
async fn tell(
    (context, desk): (&Context, &Desk),
    (key, workload): (&WorkloadRef, &Value),
    opt_in: &str,
    refusal: &Refusal,
) {
    Announcer::new(&context.events, (key, workload), None).trouble(Some(refusal), desk).await;
    let object = match meaning(opt_in) {
        OptIn::Named(name) => Some(name),
        OptIn::No | OptIn::Only => None,
    };
    desk.put_bare(key, Some(Entry::refused(key, object, refusal)));
}

/// Whether the workload's own history shows that it asked so. Where it may not be read, it shows nothing.
async fn is_proven(
    live: &Live<'_>,
    workload: &Value,
    memory: (&Value, &str),
) -> Result<bool, Failure> {
    let Some(selector) = traffic::pods_of(workload).filter(|selector| !selector.selects_all())
    else {
        return Ok(false);
    };
    let listed = live.list::<Value>(Collection::ReplicaSets, &selector.to_string()).await;
    let listed =
        listed.map_err(|error| Failure::api("listing the ReplicaSets of the workload", &error));
    match listed {
        Ok(sets) => Ok(sets.iter().any(|set| proves(set, workload, memory))),
        Err(failure) if failure.class == FailureClass::Refused => {
            tracing::warn!("{failure}");
            Ok(false)
        }
        Err(failure) => Err(failure),
    }
}

fn unproven(key: &WorkloadRef, workload: &Value, opt_in: &str) -> Refusal {
    let (kind, name) = (key.kind.for_kubectl(), &key.name);
    let companion = Companion::name(traffic::name_of(workload));
    let message = format!(
        "Service {companion} says that it asked for {opt_in:?}, and its annotations say nothing of it any more, as after a rollback; since no ReplicaSet of it shows the same, nothing is added to it, and Services that lead to the proxy stay as they are. If it is to be protected: kubectl annotate --overwrite {kind} {name} {INJECT}={opt_in}. If not: kubectl delete service {companion}"
    );
    Refusal::new(Reason::RolledBack, message)
}
