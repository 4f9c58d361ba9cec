//! Brings about what an `OAuth2Proxy` asks for, its injection into workloads aside: the reconcile reads as the list of its
//! phases. Each phase is a file; only `dereference`, `apply` with `secrets`, `status::write` and `finalize` talk to the
//! API server.

mod apply;
mod build;
mod dereference;
mod finalize;
mod outcome;
pub(crate) mod references;
mod ring;
mod secrets;
mod status;
mod validate;
mod watches;

use apply::Applied;
use finalize::End;
use outcome::Outcome;
use watches::Made;
pub(crate) use watches::{Changed, controller, start};

use crate::context::Context;
use crate::controller::Next;
use crate::failure::Failure;
use crate::jitter::number;
use crate::past::Settled;
use crate::poke::{Delivery, Running};
use crate::report::{FleetReport, Guarded};
use crate::spec::validate_spec;
use crds::{OAuth2Proxy, OAuth2ProxyStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource as _;
use kube::runtime::reflector::ObjectRef;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// One turn of one object.
pub(crate) async fn reconcile(
    object: Arc<Guarded>,
    made: Made,
    context: Arc<Context>,
) -> Result<Next, Failure> {
    let reference = ObjectRef::from_obj(object.as_ref());
    let ends = object.meta().deletion_timestamp.is_some();
    match &object.0 {
        Ok(object) if ends => end(object, &reference, &context).await,
        Ok(object) => live(object, &reference, &made, &context).await,
        Err(unreadable) if ends => {
            Ok(match finalize::run_unreadable(unreadable, &reference, &context).await? {
                End::Gone => Next::Resync,
                End::Waits(_) => Next::After(patience(&unreadable.metadata, &context)),
            })
        }
        Err(unreadable) => status::unreadable(unreadable, &context).await,
    }
}

async fn live(
    object: &OAuth2Proxy,
    reference: &ObjectRef<Guarded>,
    made: &Made,
    context: &Context,
) -> Result<Next, Failure> {
    finalize::ensure(object, context).await?;
    let report = context.reports.get(reference);
    let outcome = settled_or_attempt((object, reference), &report, made, context).await;
    let (status, delivery) = conclude((object, reference), &outcome, &report, context);
    status::write(&object.metadata, object.status.as_ref(), &status, context).await?;
    next(outcome, delivery)
}

/// A turn of an object that is being deleted. What it waits for is not there for a moment only, so its Secrets are kept as
/// they should be meanwhile.
async fn end(
    object: &OAuth2Proxy,
    reference: &ObjectRef<Guarded>,
    context: &Context,
) -> Result<Next, Failure> {
    let End::Waits(ready) = finalize::run(object, reference, context).await? else {
        return Ok(Next::Resync);
    };
    let before = object.status.clone().unwrap_or_default();
    let report = context.reports.get(reference);
    // One whose configuration was never written has nothing to keep.
    let rendered = before.config_hash.is_some();
    let (outcome, status, delivery) = if rendered {
        let outcome = attempt(object, &report, None, context).await;
        let (status, delivery) = conclude((object, reference), &outcome, &report, context);
        (Some(outcome), status, delivery)
    } else {
        let observed_generation = object.metadata.generation;
        (None, OAuth2ProxyStatus { observed_generation, ..before.clone() }, Delivery::Done)
    };
    let status = finalize::told(status, ready, (&before, context));
    status::write(&object.metadata, object.status.as_ref(), &status, context).await?;
    match (outcome, delivery) {
        (Some(Outcome::Failed(failure)), _) => Err(failure),
        (_, Delivery::Again(delay)) => Ok(Next::After(delay)),
        (_, Delivery::Done) => Ok(Next::After(patience(&object.metadata, context))),
    }
}

/// When to look again at an object that waits for its end: the longer it has waited, the later. What its workloads do brings
/// its turn about in any case.
fn patience(object: &ObjectMeta, context: &Context) -> Duration {
    let waited = object.deletion_timestamp.as_ref().map(|since| {
        let seconds = context.clock.now().as_second() - since.0.as_second();
        Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
    });
    (waited.unwrap_or_default() / 10).clamp(Duration::from_secs(5), Duration::from_mins(1))
}

/// What follows from a turn: the status, and whether pods are to be told.
fn conclude(
    (object, reference): (&OAuth2Proxy, &ObjectRef<Guarded>),
    outcome: &Outcome,
    report: &FleetReport,
    context: &Context,
) -> (OAuth2ProxyStatus, Delivery) {
    let delivery = match outcome {
        Outcome::Applied(applied) => context.poker.deliver(reference, &applied.running(), report),
        Outcome::Invalid(_) | Outcome::Waiting(_) | Outcome::Failed(_) => Delivery::Done,
    };
    let now = context.clock.now();
    let since = context.past.failing(reference, outcome.failure().is_some(), now);
    (status::decide(object, outcome, report, (now, since)), delivery)
}

/// The phases; or, where nothing is under way and only pods had something to say, what the last turn found.
async fn settled_or_attempt(
    (object, reference): (&OAuth2Proxy, &ObjectRef<Guarded>),
    report: &FleetReport,
    made: &Made,
    context: &Context,
) -> Outcome {
    let wished = watches::wished(&object.metadata);
    if let Some(settled) = context.past.settled(reference, wished) {
        return Outcome::Applied(Applied::settled(settled));
    }
    let changes = context.past.changes(reference);
    let outcome = attempt(object, report, Some(made), context).await;
    if let Outcome::Applied(applied) = &outcome
        && let Some(settled) = applied.as_settled(wished)
    {
        context.past.settle(reference, changes, settled);
    }
    outcome
}

/// The phases. What goes wrong in one of them is an outcome too, so that the status tells of it. Without `made` it is for the
/// Secrets alone.
async fn attempt(
    object: &OAuth2Proxy,
    report: &FleetReport,
    made: Option<&Made>,
    context: &Context,
) -> Outcome {
    let spec = match validate_spec(object) {
        Ok(spec) => spec,
        Err(findings) => return Outcome::Invalid(findings),
    };
    let found = match dereference::run(&spec, context).await {
        Ok(found) => found,
        Err(failure) => return Outcome::Failed(failure),
    };
    let proxy = match validate::validate(spec, found, object.status.as_ref(), report) {
        Ok(proxy) => proxy,
        Err(findings) => return Outcome::Waiting(findings),
    };
    let wanted = match build::run(&proxy, &context.proxy) {
        Ok(wanted) => wanted,
        Err(findings) => return Outcome::Invalid(findings),
    };
    let applied = match made {
        Some(made) => apply::run(&proxy, wanted, made, context).await,
        None => apply::keep(&proxy, wanted, context).await,
    };
    match applied {
        Ok(applied) => Outcome::Applied(applied),
        Err(apply::Error::Collision(finding)) => Outcome::Waiting(vec![finding]),
        Err(apply::Error::Failed(failure)) => Outcome::Failed(failure),
    }
}

fn next(outcome: Outcome, delivery: Delivery) -> Result<Next, Failure> {
    // What is missing is looked for by `references`, and that more often than every object gets a turn.
    let waiting = Next::After(Duration::from_mins(1));
    let settled = match outcome {
        Outcome::Failed(failure) => return Err(failure),
        Outcome::Applied(Applied { standalone: Err(apply::Error::Failed(failure)), .. }) => {
            return Err(failure);
        }
        Outcome::Waiting(_)
        | Outcome::Applied(Applied { standalone: Err(apply::Error::Collision(_)), .. }) => waiting,
        // Where no pod has anything to say nothing else brings the next turn about, in which the new key seals.
        Outcome::Applied(applied) if !applied.ring_is_settled => {
            Next::Soon(number(&applied.config_hash))
        }
        Outcome::Invalid(_) | Outcome::Applied(_) => Next::Resync,
    };
    Ok(match delivery {
        Delivery::Again(delay) => Next::After(delay),
        Delivery::Done => settled,
    })
}

impl Applied {
    /// What pods should have.
    fn running(&self) -> Running<'_> {
        Running { config: &self.config_hash, mounted: &self.mounted }
    }

    /// To go by, unless something is under way that what pods say moves on.
    fn as_settled(&self, wished: u64) -> Option<Settled> {
        let Self { config_hash, earlier_hashes, ring_is_settled, sealing_key, mounted, standalone } =
            self;
        let settled =
            *ring_is_settled && earlier_hashes.is_empty() && matches!(standalone, Ok(None));
        settled.then(|| Settled {
            wished,
            config_hash: config_hash.clone(),
            sealing_key: sealing_key.clone(),
            mounted: mounted.clone(),
        })
    }

    fn settled(settled: Settled) -> Self {
        let Settled { wished: _, config_hash, sealing_key, mounted } = settled;
        Self {
            config_hash,
            earlier_hashes: BTreeSet::new(),
            ring_is_settled: true,
            sealing_key,
            mounted,
            standalone: Ok(None),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
