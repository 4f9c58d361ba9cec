//! What the pods of a workload with a sidecar say, and what follows for its report. A controller of its own: pods that are
//! silent cost patience, and nobody's protection waits for that.
//!
//! It works on what the workload's own turn left at the desk, reads pods and writes nothing.

use super::announce::Announcer;
use super::desk::Desk;
use super::entries::Entry;
use super::memory::Observed;
use super::outcome::{Found, judge};
use crate::context::Context;
use crate::controller::Next;
use crate::failure::Failure;
use crate::fleet::{self, Said};
use crate::inject::{Ports, Refusal, UPSTREAM_PORT};
use crate::live::{Collection, Live};
use crate::pod::mounted::Files;
use crate::pods::{Pod, PodFacts};
use crate::service_controller::{Board, Routing};
use crate::workload::Watched;
use crds::{Reason, Traffic};
use kube::core::Selector;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::time::Instant;

/// A workload as its own turn left it.
pub(super) struct Subject {
    /// Tells about it.
    pub(super) announcer: Announcer,
    /// Name of the object that it is reported at.
    pub(super) object: Option<String>,
    /// Whether its template has the sidecar now.
    pub(super) injected: bool,
    /// The ports of its sidecar.
    pub(super) ports: Ports,
    /// What is wanted of its Services; absent: not known now.
    pub(super) mode: Option<Traffic>,
    /// The configuration that its pods should have in force.
    pub(super) config_hash: Option<String>,
    /// Why its template is not as it should be.
    pub(super) refusal: Option<Refusal>,
    /// What keeps its rollout.
    pub(super) trouble: Option<Refusal>,
    /// A way past the proxy that no Service is part of.
    pub(super) published: Option<String>,
    /// By which its pods are found.
    pub(super) selector: Option<Selector>,
    /// The files that its template gives the proxy.
    pub(super) files: Option<Files>,
}

impl Subject {
    /// Whether nothing is new in it.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let of = |one: &Self| {
            (
                one.injected,
                one.ports,
                one.mode,
                one.object.clone(),
                one.config_hash.clone(),
                one.selector.clone(),
            )
        };
        let troubles = |one: &Self| {
            (one.refusal.clone(), one.trouble.clone(), one.published.clone(), one.files.clone())
        };
        of(self) == of(other) && troubles(self) == troubles(other)
    }
}

/// A pod with what its sidecar said, if it has one.
pub(super) type Asked = (PodFacts, Option<Result<Said, String>>);

/// One look at one workload.
pub(crate) async fn reconcile(
    watched: Arc<Watched>,
    context: Arc<Context>,
    (desk, board): (Arc<Desk>, Arc<Board>),
) -> Result<Next, Failure> {
    let key = watched.reference();
    let Some(subject) = desk.subject(&key) else { return Ok(Next::Idle) };
    let observed = desk.observed(&key);
    let mut observed = observed.lock().await;
    let live = Live::new(&context.client, &key.namespace);
    let Some(routing) = routing(&board, &watched, &subject) else {
        return Ok(Next::After(observed.ladder.soon()));
    };
    let looked = Instant::now();
    observed.failing.begin();
    let pods = pods(&live, &subject, &mut observed).await;
    if let Some(refusal) = observed.failing.end(&pods) {
        subject.announcer.trouble(Some(&refusal), &desk).await;
        desk.put_unseen(&key, &refusal);
    }
    let pods = pods?;
    // Why a Service does not change says more than that its change is awaited.
    let refusal = routing.refused.as_ref().or(subject.refusal.as_ref());
    let outcome = judge(&Found {
        workload: &key,
        injected: subject.injected,
        ports: subject.ports,
        mode: subject.mode,
        config_hash: subject.config_hash.as_deref(),
        refusal,
        trouble: subject.trouble.as_ref(),
        pods: &pods,
        routing: &routing,
    });
    subject.announcer.trouble(outcome.trouble.as_ref(), &desk).await;
    let entry = Entry {
        object: subject.object.clone(),
        workload: outcome.workload,
        config_hash: subject.config_hash.clone(),
        pods: outcome.pods,
        direct: outcome.direct,
        refusal: refusal.map(|refusal| refusal.reason),
        hindered: hindered(refusal.into_iter().chain(&subject.trouble)),
        looked: Some(looked),
        files: subject.files.clone(),
    };
    // What the workload's own turn found meanwhile is newer.
    if desk.subject(&key).is_some_and(|now| Arc::ptr_eq(&now, &subject)) {
        desk.put(&key, Some(entry));
        // Its turn has the companion remember that.
        if outcome.closed && desk.note_closed(&key) && !board.remembers_closed(&watched) {
            desk.turn(&key);
        }
    }
    context.metrics.workloads(desk.scope(), desk.totals());
    Ok(match outcome.again {
        Some(delay) => {
            observed.ladder.calm();
            Next::Settled(delay)
        }
        None => Next::After(observed.ladder.soon()),
    })
}

/// Of what is in the way that for which what is asked for does not come about: the template or a Service is not as it should be.
fn hindered<'a>(mut troubles: impl Iterator<Item = &'a Refusal>) -> Option<Reason> {
    let counts =
        |reason| matches!(reason, Reason::ApiRefused | Reason::ApiFailure | Reason::RolloutFailed);
    troubles.find(|trouble| counts(trouble.reason)).map(|trouble| trouble.reason)
}

/// What is known of the Services, and the ways past the proxy that no Service is part of.
fn routing(board: &Board, watched: &Watched, subject: &Subject) -> Option<Routing> {
    let mut routing = board.routing(watched)?;
    routing.open.extend(subject.published.clone());
    let Routing { awaited, refused, open, well, elsewhere } = &routing;
    let nothing = awaited.is_none() && refused.is_none() && open.is_empty();
    if nothing && well.is_empty() && !elsewhere.is_empty() {
        let others = match elsewhere.as_slice() {
            [name] => format!("{name} leads"),
            names => format!("{} lead", names.join(", ")),
        };
        routing.open.push(format!(
            "no Service leads to the protected port {}, and {others} to others, past the proxy: correct {UPSTREAM_PORT}, or targetPort there",
            subject.ports.upstream
        ));
    }
    Some(routing)
}

/// The pods of the workload, each with what its sidecar says now.
async fn pods(
    live: &Live<'_>,
    subject: &Subject,
    observed: &mut Observed,
) -> Result<Vec<Asked>, Failure> {
    let facts = match &subject.selector {
        // No selector would list every pod of the namespace.
        Some(selector) if !selector.selects_all() => {
            let listed = live.list::<Pod>(Collection::Pods, &selector.to_string()).await;
            listed.map_err(|error| Failure::api("listing the pods", &error))?
        }
        _ => Vec::new(),
    };
    let facts: Vec<PodFacts> = facts.into_iter().filter_map(Pod::facts).collect();
    let uids: HashMap<_, _> = facts.iter().map(|pod| (&pod.name, &pod.uid)).collect();
    let questions = facts.iter().filter_map(PodFacts::question).collect();
    let mut answers = HashMap::new();
    for (asked, said) in fleet::ask(questions).await {
        let uid = uids.get(&asked.pod).copied().unwrap_or(&asked.pod);
        let said = observed.bridged(uid, said);
        answers.insert(asked.pod, said);
    }
    observed.keep_pods(&facts.iter().map(|pod| pod.uid.clone()).collect::<Vec<_>>());
    let answered = facts.into_iter().map(|pod| {
        let said = answers.remove(&pod.name);
        (pod, said)
    });
    Ok(answered.collect())
}
