//! Keeps each Service leading where the workloads behind it need it to: the only writer of Services that are not ours.
//!
//! One turn is about one Service and all workloads behind it, whoever asked for what: the most protective of their claims
//! decides (`decide`). Nothing that is wrong with a workload, its object or its pods ends what is on record; a Service opens
//! only when nobody behind it relies on it any more, and that is asked of the API server itself, never of a cache.

mod board;
mod claim;
mod decide;
mod leaving;
mod watched;

use board::{Awaits, Finding};
pub(crate) use board::{Board, Routing};
pub(crate) use decide::GONE;
pub(crate) use leaving::{Leaving, leaving};
pub(crate) use watched::Watched;

use crate::context::Context;
use crate::controller::Next;
use crate::event::{Note, Tone};
use crate::failure::{Failure, FailureClass};
use crate::inject::{INJECT, is_recorded};
use crate::live::{Collection, Live};
use crate::pods::{Pod, PodFacts};
use crate::traffic;
use crate::workload::{self, WorkloadRef};
use claim::{Behind, Claim};
use crds::Reason;
use decide::{Change, Facts, Judgement, decide};
use kube::{Resource as _, ResourceExt as _};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks at a Service that waits for pods: quickly at first, then with patience, which does not grow with the number
/// of Services: a pod that no known workload made goes without a word to any watch.
const LOOKS: [u64; 8] = [300, 300, 500, 500, 1000, 1000, 2000, 5000];
/// Failures in a row that have to be before they are told: what passes by itself is no news.
const LASTING: u32 = 4;
/// Between looks at one that leads past the proxy: who mended what was in the way may have done it where no watch tells.
const OPEN: Duration = Duration::from_mins(10);

/// A turn that ended early, and what that means for the workloads behind the Service, as far as it got.
struct Ended {
    failure: Failure,
    found: Option<(u64, Vec<(WorkloadRef, Finding)>)>,
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self { failure, found: None }
    }
}

/// One turn of one Service. What the API server refuses, or does not get done time and again, is told on the workloads behind
/// it, and tried again like any other failure.
pub(crate) async fn reconcile(
    watched: Arc<Watched>,
    context: Arc<Context>,
    board: Arc<Board>,
) -> Result<Next, Failure> {
    let around = claim::around(&watched, &board);
    let Ended { failure, found } = match turn(&watched, &around, (&context, &board)).await {
        Ok(next) => {
            board.went_well(&watched);
            return Ok(next);
        }
        Err(ended) => ended,
    };
    let failures = board.failed(&watched);
    if failure.class == FailureClass::Refused || failures >= LASTING {
        let (namespace, name) = (watched.namespace().unwrap_or_default(), watched.name_any());
        let found = found.unwrap_or_else(|| {
            let concerned =
                around.iter().filter(|one| is_recorded(one.meta()) || board.companion(one));
            let text = format!("Service {name:?} stays as it is: {failure}");
            let finding = || Finding::Refused(told(&failure), text.clone());
            let found = concerned.map(|workload| (workload.reference(), finding())).collect();
            (watched.fingerprint(), found)
        });
        board.put(&namespace, &name, Some(found), Awaits::Change);
    }
    Err(failure)
}

/// Why something is not done, as a reason.
const fn told(failure: &Failure) -> Reason {
    match failure.class {
        FailureClass::Refused => Reason::ApiRefused,
        _ => Reason::ApiFailure,
    }
}

async fn turn(
    watched: &Watched,
    around: &[Arc<workload::Watched>],
    (context, board): (&Context, &Board),
) -> Result<Next, Ended> {
    let (namespace, name) = (watched.namespace().unwrap_or_default(), watched.name_any());
    // Before a workload carries the sidecar, or did once, there is nothing that it could lead to.
    let concerned = || around.iter().any(|one| is_recorded(one.meta()) || board.companion(one));
    if watched.is_companion() || !(watched.is_marked() || concerned()) {
        board.put(&namespace, &name, None, Awaits::Nothing);
        return Ok(Next::Idle);
    }
    let live = Live::new(&context.client, &namespace);
    let service = live.get(Collection::Services, &name).await;
    let service = service.map_err(|error| Failure::api("reading the Service", &error))?;
    // One that is being deleted leads somewhere for as long as it is there.
    let Some(service) = service else {
        board.put(&namespace, &name, None, Awaits::Nothing);
        return Ok(Next::Idle);
    };
    let Behind { claims, gone } = claim::read(&live, &service, around, (context, board)).await?;
    let pods = pods(&live, &service).await?;
    let gone = gone.then(|| board.gone(&namespace, &name));
    let facts = Facts { service: &service, claims: &claims, pods: &pods, gone };
    let judgement = decide(&facts);
    let written = match &judgement.change {
        Some(change) => {
            board.expect(&namespace, &name, change.expected(&service).fingerprint());
            write(&live, &service, &claims, change, context).await.map(Some)
        }
        None => Ok(None),
    };
    let written = match written {
        Err(failure) => {
            let seen = Watched::of(&service).fingerprint();
            let refused = decide::refused(&facts, told(&failure), &failure.message);
            return Err(Ended { failure, found: Some((seen, refused)) });
        }
        Ok(written) => written,
    };
    // The event of our own write gives it no turn.
    let judgement = match &written {
        Some(service) => decide(&Facts { service, ..facts }),
        None => judgement,
    };
    let seen = Watched::of(written.as_ref().unwrap_or(&service)).fingerprint();
    Ok(conclude(board, (&namespace, &name), seen, judgement))
}

async fn pods(live: &Live<'_>, service: &Value) -> Result<Vec<PodFacts>, Failure> {
    // No selector would list every pod of the namespace.
    let Some(selector) = traffic::selector_of(service) else { return Ok(Vec::new()) };
    let pods = live.list::<Pod>(Collection::Pods, &selector.to_string()).await;
    let pods = pods.map_err(|error| Failure::api("listing the pods behind a Service", &error))?;
    Ok(pods.into_iter().filter_map(Pod::facts).collect())
}

/// What was found goes to the workloads; when to look again.
fn conclude(
    board: &Board,
    (namespace, name): (&str, &str),
    seen: u64,
    judgement: Judgement,
) -> Next {
    let open = judgement.findings.iter().any(|(_, finding)| matches!(finding, Finding::Open(_)));
    let looks = board.put(namespace, name, Some((seen, judgement.findings)), judgement.awaits);
    if judgement.awaits == Awaits::Nothing {
        return if open { Next::After(OPEN) } else { Next::Resync };
    }
    let delay = LOOKS.get(looks).or(LOOKS.last()).copied().unwrap_or(5000);
    Next::After(Duration::from_millis(delay))
}

/// The Service as it is now.
async fn write(
    live: &Live<'_>,
    service: &Value,
    claims: &[Claim],
    change: &Change,
    context: &Context,
) -> Result<Value, Failure> {
    let name = traffic::name_of(service);
    let patched = live.patch(Collection::Services, name, change.patch()).await;
    let patched = patched
        .map_err(|error| Failure::api(&format!("changing Service {name}"), &error))?
        .ok_or_else(|| Failure::conflict(format!("Service {name} changed meanwhile")))?;
    match change {
        Change::Turn { owner, again, .. } => {
            if *again {
                context.metrics.drift_repairs.inc();
            }
            let owner = |claim: &&Claim| owner.as_ref() == Some(&claim.reference);
            if let Some(claim) = claims.iter().find(owner) {
                tell_turned(name, claim, *again, context).await;
            }
        }
        Change::Restore { why, .. } => {
            tracing::info!(service = name, why, "Service restored");
            let recorded = traffic::turned_for(service);
            let silent = claims.iter().filter(|claim| claim.says_nothing());
            for claim in silent {
                let is = |(kind, name): &(String, String)| claim.reference.is(kind, name);
                if recorded.as_ref().is_some_and(is) {
                    tell_ended(name, claim, context).await;
                }
            }
        }
    }
    Ok(patched)
}

async fn tell_turned(service: &str, claim: &Claim, again: bool, context: &Context) {
    let port = claim.stance.ports().map(|ports| ports.proxy).unwrap_or_default();
    let (tone, reason, what) = if again {
        (Tone::Warning, Reason::Repaired, "had been changed back and leads")
    } else {
        (Tone::Normal, Reason::Routed, "leads")
    };
    let at_once = if claim.protected_before && !again {
        ". Nothing reached this workload without a login before, so every Service that comes to lead to it is closed at once, whoever made it and whatever other pods it selects"
    } else {
        ""
    };
    let text = format!(
        "Service {service} {what} to the proxy (port {port}) now; what it led to is on record in it and restored when {INJECT} is removed{at_once}"
    );
    let note = Note { tone, reason, action: "Route", text };
    let workload = claim.reference.object_reference(claim.uid());
    context.events.tell(note, (&claim.reference, &workload), claim.object.as_ref()).await;
}

/// A workload under the name of one that was protected asks for nothing: nobody may have wished that.
async fn tell_ended(service: &str, claim: &Claim, context: &Context) {
    let reference = &claim.reference;
    let (kind, name) = (reference.kind, &reference.name);
    let object = claim.object.as_ref().and_then(|object| object.name.as_deref());
    let text = format!(
        "Service {service} led to the proxy for the {kind} {name} that was here before. This one asks for no sidecar, so the Service leads to the application again and everybody reaches it without a login. If it is to have one: kubectl annotate {} {name} {INJECT}={}, and write that into its manifest",
        kind.for_kubectl(),
        object.unwrap_or("<name of the OAuth2Proxy>")
    );
    let note = Note { tone: Tone::Warning, reason: Reason::Removed, action: "Route", text };
    let workload = reference.object_reference(claim.uid());
    context.events.tell(note, (reference, &workload), claim.object.as_ref()).await;
}
