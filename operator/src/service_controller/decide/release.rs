//! A Service on which nobody relies any more. It is restored at once where the workload that it is on record for is there and
//! says so. Where that is gone it stays turned for a while, as it may come again, and for as long as a pod of it answers.

use super::{Awaits, Change, Facts, Finding, Judgement, at_rest, has, is_recorded, judged};
use crate::pods::PodFacts;
use crate::traffic;
use crds::Traffic;
use std::time::Duration;

/// How long a workload that is gone is waited for: who deletes one and makes it anew, to change what is immutable, does so
/// within this, and its first pods have no sidecar.
pub(crate) const GONE: Duration = Duration::from_mins(1);

/// Decides.
pub(super) fn release(facts: &Facts<'_>) -> Judgement {
    let Some(patch) = traffic::restore(facts.service) else {
        return judged(facts, None, |claim| at_rest(facts, claim));
    };
    // Its owner wants nothing changed.
    if facts.claims.iter().any(|claim| claim.paused && claim.stance.ports().is_some()) {
        return judged(facts, None, |claim| at_rest(facts, claim));
    }
    let there = facts.claims.iter().any(|claim| is_recorded(facts, claim));
    if !there && (facts.gone.is_some_and(|gone| gone < GONE) || any_left(facts)) {
        let held = traffic::hold(facts.service);
        let change = held.map(|patch| Change::Turn { patch, owner: None, again: true });
        return Judgement { awaits: Awaits::Workload, ..judged(facts, change, |_| Finding::Well) };
    }
    let why =
        if there { "nobody behind it relies on it" } else { "whom it was turned for is gone" };
    judged(facts, Some(Change::Restore { patch, why }), |claim| match claim.mode {
        Traffic::Companion => at_rest(facts, claim),
        Traffic::Auto | Traffic::Retarget => Finding::Well,
    })
}

/// Whether a pod of one that is gone is left: it still answers while it ends, as kube-proxy leads to those where no other is
/// ready.
fn any_left(facts: &Facts<'_>) -> bool {
    let of_nobody = |pod: &PodFacts| !facts.claims.iter().any(|claim| has(claim, pod));
    facts.pods.iter().any(|pod| pod.sidecar.is_some() && of_nobody(pod))
}
