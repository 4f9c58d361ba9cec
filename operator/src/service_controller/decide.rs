//! What becomes of a Service, from the claims and the pods behind it. Pure and total.
//!
//! A Service that was turned leads to no protected port while anybody behind it relies on it, whatever else is wrong; it is
//! turned for the first time when no pod behind it lacks the sidecar; and it is restored when nobody relies on it (`release`).

mod release;

use super::Watched;
use super::board::{Awaits, Finding};
use super::claim::{Claim, Stance};
use crate::inject::{PORT, Ports};
use crate::pods::PodFacts;
use crate::traffic::{self, Companion, Protected, Route};
use crate::workload::WorkloadRef;
use crds::{Reason, Traffic};
use kube::core::SelectorExt as _;
pub(crate) use release::GONE;
use release::release;
use serde_json::Value;
use std::time::Duration;

/// What is decided from.
pub(super) struct Facts<'a> {
    /// The live Service.
    pub(super) service: &'a Value,
    /// The workloads behind it, by name.
    pub(super) claims: &'a [Claim],
    /// The pods behind it.
    pub(super) pods: &'a [PodFacts],
    /// How long the workload that it is on record for has been gone, as far as it was seen; nothing where it is there, behind
    /// it or not.
    pub(super) gone: Option<Duration>,
}

/// What is to be done, and what is to be said.
#[derive(Debug)]
pub(super) struct Judgement {
    /// The change, if there is to be one.
    pub(super) change: Option<Change>,
    /// What it means for each workload that has to do with us.
    pub(super) findings: Vec<(WorkloadRef, Finding)>,
    /// What is awaited that no watch reports.
    pub(super) awaits: Awaits,
}

/// A change of a Service, as a JSON patch.
#[derive(Debug)]
pub(super) enum Change {
    /// It leads to the proxy.
    Turn {
        /// The patch.
        patch: Value,
        /// Who is on record, if it is there.
        owner: Option<WorkloadRef>,
        /// It was turned before, and somebody changed it.
        again: bool,
    },
    /// It leads where it did before.
    Restore {
        /// The patch.
        patch: Value,
        /// For the log.
        why: &'static str,
    },
}

impl Change {
    /// The patch.
    pub(super) const fn patch(&self) -> &Value {
        match self {
            Self::Turn { patch, .. } | Self::Restore { patch, .. } => patch,
        }
    }

    /// The Service as it will be; as it is, where the patch does not fit it, for then the API server refuses it too.
    pub(super) fn expected(&self, service: &Value) -> Watched {
        let mut expected = service.clone();
        if let Ok(operations) = serde_json::from_value::<json_patch::Patch>(self.patch().clone()) {
            // What does not fit is undone.
            let _ = json_patch::patch(&mut expected, &operations);
        }
        Watched::of(&expected)
    }
}

/// Decides.
pub(super) fn decide(facts: &Facts<'_>) -> Judgement {
    if facts.claims.iter().any(Claim::relies) { protect(facts) } else { release(facts) }
}

/// Somebody relies on it.
fn protect(facts: &Facts<'_>) -> Judgement {
    let closing = closing(facts);
    let Some(owner) = owner(facts, &closing) else { return keep(facts) };
    let all: Vec<Protected<'_>> =
        closing.iter().map(|(claim, ports)| protected(claim, *ports)).collect();
    let kept = facts.claims.iter().any(|claim| {
        claim.relies() && !closing.iter().any(|(one, _)| one.reference == claim.reference)
    });
    let patch = traffic::turn(facts.service, &all, &protected(owner.0, owner.1), kept);
    let Some(patch) = patch else { return judged(facts, None, |claim| at_rest(facts, claim)) };
    let before = traffic::is_turned(facts.service);
    if !before && let Some(hindrance) = hindrance(facts, owner) {
        return judged(facts, None, |claim| match &hindrance {
            Hindrance::Passing(_) if !claim.relies() => Finding::Well,
            Hindrance::Passing(text) => Finding::Awaited(text.clone()),
            Hindrance::Lasting(cause) => direct(facts, claim, cause),
        });
    }
    let again = before
        && closing.iter().any(|(claim, ports)| {
            traffic::route(facts.service, &claim.workload, *ports) == Route::Direct
        });
    let change = Change::Turn { patch, owner: Some(owner.0.reference.clone()), again };
    judged(facts, Some(change), |claim| match claim.stance {
        // Judged anew once it is written.
        Stance::Protected(_) if claim.relies() => Finding::Well,
        _ => at_rest(facts, claim),
    })
}

/// Of those who rely on it none has a sidecar whose ports are known: what is on record stays.
fn keep(facts: &Facts<'_>) -> Judgement {
    let asks = facts.claims.iter().find(|claim| claim.relies() && !claim.paused);
    let held = asks.and_then(|claim| Some((claim, traffic::hold(facts.service)?)));
    let change = held.map(|(claim, patch)| Change::Turn {
        patch,
        owner: Some(claim.reference.clone()),
        again: true,
    });
    judged(facts, change, |claim| at_rest(facts, claim))
}

/// Those for which it is turned, with their ports.
fn closing<'a>(facts: &Facts<'a>) -> Vec<(&'a Claim, Ports)> {
    let closes =
        |claim: &&'a Claim| claim.relies() && !claim.paused && claim.mode != Traffic::Companion;
    let ports = |claim: &'a Claim| Some((claim, claim.stance.ports()?));
    facts.claims.iter().filter(closes).filter_map(ports).collect()
}

/// Who is on record: whoever is already, if it is one of them.
fn owner<'a>(facts: &Facts<'_>, closing: &[(&'a Claim, Ports)]) -> Option<(&'a Claim, Ports)> {
    closing.iter().find(|(claim, _)| is_recorded(facts, claim)).or_else(|| closing.first()).copied()
}

/// Whether the Service is on record for a workload.
fn is_recorded(facts: &Facts<'_>, claim: &Claim) -> bool {
    traffic::turned_for(facts.service).is_some_and(|(kind, name)| claim.reference.is(&kind, &name))
}

fn protected(claim: &Claim, ports: Ports) -> Protected<'_> {
    Protected { kind: claim.reference.kind, workload: &claim.workload, ports }
}

/// Why it is not turned now.
enum Hindrance {
    /// Pods are on their way.
    Passing(String),
    /// Somebody has to do something.
    Lasting(Cause),
}

/// Why a Service leads past the proxy, and what somebody can do about it.
struct Cause {
    why: String,
    step: Step,
}

/// The next step of whom it concerns.
enum Step {
    /// Its definition should lead to the proxy. Only where all pods behind it have one: others would get no request any more.
    Change,
    /// The same, or the operator is to do it.
    ChangeOrRetarget,
    /// No port of it leads through the proxy.
    Companion,
    /// Whoever else is behind it has to be protected too, or to leave.
    Together(String),
}

impl Cause {
    fn new(why: impl Into<String>, step: Step) -> Self {
        Self { why: why.into(), step }
    }

    fn headless() -> Self {
        Self::new("it is headless, so clients reach the pods directly", Step::Companion)
    }
}

/// What is done about a neighbour that has no sidecar.
const TOGETHER: &str = "annotate its workload too, or take it out of the Service's selector";

fn hindrance(facts: &Facts<'_>, (owner, ports): (&Claim, Ports)) -> Option<Hindrance> {
    let lasting = |why: &str, step| Some(Hindrance::Lasting(Cause::new(why, step)));
    if traffic::route(facts.service, &owner.workload, ports) == Route::Headless {
        return Some(Hindrance::Lasting(Cause::headless()));
    }
    let auto = closing(facts).iter().all(|(claim, _)| claim.mode == Traffic::Auto);
    if let (true, Some(manager)) = (auto, traffic::manager(facts.service)) {
        return lasting(&format!("{manager} looks after it"), Step::ChangeOrRetarget);
    }
    // Nothing reached it without a login before, and so it stays, whatever pods there are now.
    if facts.claims.iter().any(|claim| claim.relies() && claim.protected_before) {
        return None;
    }
    let bare = |claim: &&Claim| matches!(claim.stance, Stance::Open | Stance::Leaving(_));
    if let Some(claim) = facts.claims.iter().find(bare) {
        let leaves = matches!(claim.stance, Stance::Leaving(_));
        let what = if leaves { "is on its way out" } else { "asks for no sidecar" };
        let reference = &claim.reference;
        let why = format!(
            "it also selects the pods of {} {:?}, which {what}",
            reference.kind, reference.name
        );
        return lasting(&why, Step::Together(TOGETHER.to_owned()));
    }
    if closing(facts).iter().any(|(_, other)| other.proxy != ports.proxy) {
        return lasting(
            "the workloads behind it have their proxies on different ports, and it can lead to one only",
            Step::Together(format!("give all of them the same {PORT}")),
        );
    }
    let unready =
        facts.service.pointer("/spec/publishNotReadyAddresses") == Some(&Value::Bool(true));
    let bare =
        |pod: &&PodFacts| !pod.terminating && (!pod.carries(ports) || (unready && !pod.ready));
    let pod = facts.pods.iter().find(bare)?;
    let name = &pod.name;
    if !facts.claims.iter().any(|claim| has(claim, pod)) {
        let why = format!("it also selects pod {name}, which has no sidecar");
        return lasting(&why, Step::Together(TOGETHER.to_owned()));
    }
    let what = if pod.carries(ports) {
        "has a sidecar that is not ready"
    } else {
        "does not carry the sidecar"
    };
    let service = traffic::name_of(facts.service);
    Some(Hindrance::Passing(format!(
        "Service {service:?} is turned to the proxy when no pod behind it lacks the sidecar: pod {name} {what} yet"
    )))
}

/// Whether a pod is one of a workload's.
fn has(claim: &Claim, pod: &PodFacts) -> bool {
    traffic::pods_of(&claim.workload).is_some_and(|selector| selector.matches(&pod.labels))
}

/// A Service that stays as it is, as one workload sees it.
fn at_rest(facts: &Facts<'_>, claim: &Claim) -> Finding {
    let Some(ports) = claim.stance.ports() else { return Finding::Well };
    if !claim.relies() {
        let why = if claim.mode == Traffic::Companion {
            "sidecar.traffic is Companion"
        } else {
            "the workload is on its way out"
        };
        return direct(facts, claim, &Cause::new(why, Step::Change));
    }
    if claim.paused {
        return direct(facts, claim, &Cause::new("the workload is paused", Step::Change));
    }
    match traffic::route(facts.service, &claim.workload, ports) {
        Route::Headless => direct(facts, claim, &Cause::headless()),
        Route::Direct => direct(facts, claim, &Cause::new("it is not on record", Step::Change)),
        Route::Elsewhere => Finding::Elsewhere,
        Route::Proxied => astray(facts, ports).map_or(Finding::Well, Finding::Open),
    }
}

/// A pod behind a turned Service that has no sidecar and belongs to nobody who is to have one: requests to it are refused, and
/// it must not be the operator that opens the Service again for its sake.
fn astray(facts: &Facts<'_>, ports: Ports) -> Option<String> {
    if !traffic::is_turned(facts.service) {
        return None;
    }
    let foreign = |pod: &&PodFacts| {
        !pod.terminating
            && !pod.carries(ports)
            && !facts.claims.iter().any(|claim| claim.relies() && has(claim, pod))
    };
    let pod = facts.pods.iter().filter(foreign).map(|pod| &pod.name).min()?;
    Some(format!(
        "Service {:?} leads to the proxy and also selects pod {pod}, which has no sidecar, so requests that reach that pod fail: annotate its workload too, or take it out of the Service's selector",
        traffic::name_of(facts.service)
    ))
}

/// What a change that the API server refuses, or does not get done, means for each workload.
pub(super) fn refused(
    facts: &Facts<'_>,
    reason: Reason,
    words: &str,
) -> Vec<(WorkloadRef, Finding)> {
    let what = match reason {
        Reason::ApiRefused => "refuses to have it changed",
        _ => "does not get it changed, time and again",
    };
    let why = format!("the API server {what}: {words}");
    let cause = Cause::new(&why, Step::Change);
    let name = traffic::name_of(facts.service);
    let kept = format!("Service {name:?} stays as it is, and so do those behind it: {why}");
    judged(facts, None, |claim| match direct(facts, claim, &cause) {
        Finding::Well => Finding::Refused(reason, kept.clone()),
        finding => finding,
    })
    .findings
}

/// A way past the proxy, if the Service is one for this workload.
fn direct(facts: &Facts<'_>, claim: &Claim, cause: &Cause) -> Finding {
    let Some(ports) = claim.stance.ports() else { return Finding::Well };
    let (service, workload) = (facts.service, &claim.workload);
    if !matches!(traffic::route(service, workload, ports), Route::Direct | Route::Headless) {
        return Finding::Well;
    }
    let companion =
        || format!("lead clients to Service {:?}", Companion::name(&claim.reference.name));
    let change = || match traffic::direct_port(service, workload, ports) {
        Some(port) => {
            format!("set targetPort of its port {port} to {} where it is defined", ports.proxy)
        }
        None => companion(),
    };
    let step = match &cause.step {
        Step::Change => change(),
        Step::ChangeOrRetarget => {
            format!("{}, or annotate the workload oauth2proxy.dev/traffic: Retarget", change())
        }
        Step::Companion => companion(),
        Step::Together(step) => step.clone(),
    };
    Finding::Open(format!(
        "Service {:?} leads to the protected port {} past the proxy ({}): {step}",
        traffic::name_of(service),
        ports.upstream,
        cause.why
    ))
}

fn judged(facts: &Facts<'_>, change: Option<Change>, say: impl Fn(&Claim) -> Finding) -> Judgement {
    let concerned = facts.claims.iter().filter(|claim| claim.stance != Stance::Open);
    let findings: Vec<_> = concerned.map(|claim| (claim.reference.clone(), say(claim))).collect();
    let awaited = findings.iter().any(|(_, finding)| matches!(finding, Finding::Awaited(_)));
    let awaits = if awaited { Awaits::Change } else { Awaits::Nothing };
    Judgement { change, findings, awaits }
}

#[cfg(test)]
mod tests;
