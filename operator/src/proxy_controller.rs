//! Brings about what an `OAuth2Proxy` asks for, its injection into workloads aside: the reconcile reads as the list of its
//! phases. Each phase is a file; only `dereference`, `apply`, `status::write` and `finalize` talk to the API server.

mod apply;
mod build;
mod dereference;
mod finalize;
mod outcome;
pub(crate) mod references;
mod ring;
mod status;
mod validate;
mod watches;

use apply::Applied;
use outcome::Outcome;
pub(crate) use watches::{controller, start};

use crate::context::Context;
use crate::controller::Next;
use crate::failure::Failure;
use crate::poke::{Delivery, Running};
use crate::report::Guarded;
use crate::spec::validate_spec;
use crds::OAuth2Proxy;
use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;
use std::sync::Arc;
use std::time::Duration;

/// One turn of one object.
pub(crate) async fn reconcile(
    object: Arc<Guarded>,
    context: Arc<Context>,
) -> Result<Next, Failure> {
    let reference = ObjectRef::from_obj(object.as_ref());
    let object = match &object.0 {
        Ok(object) => object,
        Err(unreadable) => return status::unreadable(unreadable, &context).await,
    };
    if object.metadata.deletion_timestamp.is_some() {
        return finalize::run(object, &reference, &context).await;
    }
    finalize::ensure(object, &context).await?;

    let report = context.reports.get(&reference);
    let outcome = attempt(object, &report, &context).await;
    let delivery = match &outcome {
        Outcome::Applied(applied) => context.poker.deliver(&reference, &applied.running(), &report),
        Outcome::Invalid(_) | Outcome::Waiting(_) | Outcome::Failed(_) => Delivery::Done,
    };
    let status = status::decide(object, &outcome, &report, context.clock.now());
    status::write(object, &status, &context).await?;
    next(outcome, delivery)
}

/// The phases. What goes wrong in one of them is an outcome too, so that the status tells of it.
async fn attempt(
    object: &OAuth2Proxy,
    report: &crate::report::FleetReport,
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
    match apply::run(&proxy, wanted, context).await {
        Ok(applied) => Outcome::Applied(applied),
        Err(apply::Error::Collision(finding)) => Outcome::Waiting(vec![finding]),
        Err(apply::Error::Failed(failure)) => Outcome::Failed(failure),
    }
}

fn next(outcome: Outcome, delivery: Delivery) -> Result<Next, Failure> {
    match (outcome, delivery) {
        (Outcome::Failed(failure), _) => Err(failure),
        (_, Delivery::Again(delay)) => Ok(Next::After(delay)),
        // What is missing is looked for by `references`, and that more often than every object gets a turn.
        (Outcome::Waiting(_), Delivery::Done) => Ok(Next::After(Duration::from_mins(1))),
        (Outcome::Invalid(_) | Outcome::Applied(_), Delivery::Done) => Ok(Next::Resync),
    }
}

impl Applied {
    /// What pods should have.
    fn running(&self) -> Running<'_> {
        Running { config: &self.config_hash, mounted: &self.mounted }
    }
}

/// `namespace/name`, for logs.
pub(crate) fn key(object: &OAuth2Proxy) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

#[cfg(test)]
pub(crate) mod tests;
