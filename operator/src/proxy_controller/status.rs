//! The status of an object: a total and pure function of how its reconcile ended and what its pods say; and the writer,
//! which writes only what differs and tells of it in events.

mod conditions;
mod write;

pub(super) use write::{unreadable, write};

use super::outcome::Outcome;
use crate::report::FleetReport;
use conditions::Facts;
use crds::{Mode, OAuth2Proxy, OAuth2ProxyStatus, Workload};
use jiff::{SignedDuration, Timestamp};

/// How long turns may fail before what was last known counts for nothing. While the API server is away altogether no status is
/// written, so this is about one that answers and does not do what is asked.
const BRIDGED: SignedDuration = SignedDuration::from_mins(1);
/// How many workloads the status lists.
const LISTED: usize = 50;

/// Decides the whole status: as of now, with the time since when all turns have failed, if this one has.
pub(super) fn decide(
    object: &OAuth2Proxy,
    outcome: &Outcome,
    report: &FleetReport,
    (now, failing_since): (Timestamp, Option<Timestamp>),
) -> OAuth2ProxyStatus {
    let before = object.status.clone().unwrap_or_default();
    let generation = object.metadata.generation;
    let lasting = failing_since.is_some_and(|since| now.duration_since(since) >= BRIDGED);
    let facts = Facts { object, outcome, report, before: &before, lasting };
    let conditions = conditions::decide(&facts)
        .into_iter()
        .map(|decision| decision.into_condition(&before.conditions, generation, now))
        .collect();
    let (config_hash, sealing_key) = match outcome {
        Outcome::Applied(applied) => {
            (Some(applied.config_hash.clone()), applied.sealing_key.clone())
        }
        // What runs still has the last good configuration.
        Outcome::Invalid(_) | Outcome::Waiting(_) | Outcome::Failed(_) => {
            (before.config_hash, before.sealing_key)
        }
    };
    let mut status = OAuth2ProxyStatus {
        observed_generation: generation,
        conditions,
        mode: Some(if object.spec.deployment.is_some() { Mode::Standalone } else { Mode::Sidecar }),
        config_hash,
        sealing_key,
        injected: before.injected,
        workload_count: before.workload_count,
        workloads: before.workloads,
    };
    if report.complete {
        let injected = report.workloads.iter().filter(|workload| workload.injected).count();
        status.injected = Some(format!("{injected}/{}", report.workloads.len()));
        status.workload_count = i32::try_from(report.workloads.len()).ok();
        status.workloads = listed(report.by(status.config_hash.as_deref()));
    }
    status
}

/// Those with something to report first, then by name.
fn listed(mut list: Vec<Workload>) -> Vec<Workload> {
    list.sort_by(|a, b| {
        (a.message.is_none(), a.kind, &a.name).cmp(&(b.message.is_none(), b.kind, &b.name))
    });
    list.truncate(LISTED);
    list
}

#[cfg(test)]
mod tests;
