//! From what was found at one workload to what is reported of it, and when it is looked at again. Pure.
//!
//! No text in here holds a number or a time that changes while nothing happens: each would be a write.

use crate::fleet::{LastCall, Outcome as Ends, Provider, Said};
use crate::inject::{Ports, Refusal};
use crate::pods::{PodFacts, direct, lingering};
use crate::report::{NoLogin, PodReport};
use crate::service_controller::Routing;
use crate::traffic::Companion;
use crate::workload::WorkloadRef;
use crds::{Reason, Traffic, Workload, WorkloadTraffic};
use std::time::Duration;

/// A settled workload is asked this often who is connected to it.
pub(super) const WATCH: Duration = Duration::from_secs(40);
/// While somebody is connected past the proxy, the condition should follow soon.
const ATTENTIVE: Duration = Duration::from_secs(4);
/// Sources of direct connections that a message names.
const NAMED: usize = 5;

/// What was found at a workload with a sidecar.
pub(super) struct Found<'a> {
    /// Which.
    pub(super) workload: &'a WorkloadRef,
    /// Whether its template has the sidecar.
    pub(super) injected: bool,
    /// Its ports.
    pub(super) ports: Ports,
    /// What is wanted of its Services; absent: not known now.
    pub(super) mode: Option<Traffic>,
    /// Hash of the configuration that its pods should have in force.
    pub(super) config_hash: Option<&'a str>,
    /// Why its template is not as it should be.
    pub(super) refusal: Option<&'a Refusal>,
    /// What keeps its rollout.
    pub(super) trouble: Option<&'a Refusal>,
    /// Its pods, with what each said.
    pub(super) pods: &'a [(PodFacts, Option<Result<Said, String>>)],
    /// Its Services.
    pub(super) routing: &'a Routing,
}

/// What is reported.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outcome {
    /// For the status.
    pub(super) workload: Workload,
    /// What the pods said.
    pub(super) pods: Vec<PodReport>,
    /// What is to be told as an event, if anything is amiss.
    pub(super) trouble: Option<Refusal>,
    /// Direct connections, for the metric.
    pub(super) direct: u64,
    /// Whether no Service leads past the proxy and no pod lacks it.
    pub(super) closed: bool,
    /// When to look again; `None`: soon, because something is under way.
    pub(super) again: Option<Duration>,
}

/// Judges.
pub(super) fn judge(found: &Found<'_>) -> Outcome {
    let pods: Vec<PodReport> = found.pods.iter().filter_map(report).collect();
    let live: Vec<&(PodFacts, _)> = found.pods.iter().filter(|(pod, _)| !pod.terminating).collect();
    let up_to_date = live
        .iter()
        .filter(|(_, said)| {
            let said = said.as_ref().and_then(|said| said.as_ref().ok());
            found.config_hash.is_some()
                && said.and_then(|said| said.config_hash.as_deref()) == found.config_hash
        })
        .count();
    let (traffic, trouble) = traffic(found);
    let calm = up_to_date == live.len() && matches!(trouble, None | Some((_, true)));
    let traffic_trouble = trouble.map(|(refusal, _)| refusal);
    let troubles: Vec<&Refusal> =
        found.refusal.into_iter().chain(found.trouble).chain(&traffic_trouble).collect();
    let watched = traffic == WorkloadTraffic::DirectConnections;
    Outcome {
        workload: Workload {
            kind: found.workload.kind.reported(),
            name: found.workload.name.clone(),
            injected: found.injected,
            pods: count(live.len()),
            up_to_date: count(up_to_date),
            traffic,
            message: message(&troubles),
        },
        trouble: troubles.first().map(|refusal| (*refusal).clone()),
        direct: connections(found),
        closed: !live.is_empty()
            && live.iter().all(|(pod, _)| pod.carries(found.ports))
            && found.routing.awaited.is_none()
            && found.routing.open.is_empty(),
        again: match (watched, calm) {
            (true, _) => Some(ATTENTIVE),
            (false, true) => Some(WATCH),
            (false, false) => None,
        },
        pods,
    }
}

/// A workload without a sidecar, and why.
pub(super) fn bare(workload: &WorkloadRef, refusal: &Refusal) -> Workload {
    Workload {
        kind: workload.kind.reported(),
        name: workload.name.clone(),
        injected: false,
        pods: 0,
        up_to_date: 0,
        traffic: WorkloadTraffic::NotRouted,
        message: message(&[refusal]),
    }
}

/// Where requests go, and what is in the way: `true` if only somebody else can change that, so that haste is of no use.
fn traffic(found: &Found<'_>) -> (WorkloadTraffic, Option<(Refusal, bool)>) {
    let facts: Vec<PodFacts> = found.pods.iter().map(|(pod, _)| pod.clone()).collect();
    let refusal = |reason, message: String| Some((Refusal::new(reason, message), false));
    if found.mode.is_none() {
        return (WorkloadTraffic::Pending, None);
    }
    if !found.routing.open.is_empty() && found.mode != Some(Traffic::Companion) {
        let text = found.routing.open.join("; ");
        return (
            WorkloadTraffic::NotRouted,
            Some((Refusal::new(Reason::DirectPathOpen, text), true)),
        );
    }
    if let Some(awaited) = &found.routing.awaited {
        return (WorkloadTraffic::Pending, refusal(Reason::InProgress, awaited.clone()));
    }
    if let Some(bare) = facts.iter().find(|pod| !pod.terminating && !pod.carries(found.ports)) {
        let text = format!("pod {} does not carry the sidecar yet", bare.name);
        return (WorkloadTraffic::Pending, refusal(Reason::InProgress, text));
    }
    if found.mode == Some(Traffic::Companion) {
        let open = (!found.routing.open.is_empty()).then(|| found.routing.open.join("; "));
        return (
            WorkloadTraffic::Companion,
            open.map(|text| (Refusal::new(Reason::CompanionOnly, text), true)),
        );
    }
    let said = found
        .pods
        .iter()
        .filter_map(|(pod, said)| Some((pod.name.as_str(), said.as_ref()?.as_ref().ok()?)));
    let sources = direct(said);
    if !sources.is_empty() {
        let text = direct_message(found, &sources.into_iter().collect::<Vec<_>>());
        return (WorkloadTraffic::DirectConnections, refusal(Reason::DirectConnections, text));
    }
    if let Some(pod) = lingering(&facts, found.ports) {
        let text = format!(
            "pod {pod} has no sidecar and is still ending: connections to it bypass the proxy until it is gone"
        );
        return (WorkloadTraffic::Pending, refusal(Reason::InProgress, text));
    }
    // What a pod that ends does not say any more, nobody can wait for.
    let mut live = found.pods.iter().filter(|(pod, _)| !pod.terminating);
    match live.find_map(|(pod, said)| Some((pod, said.as_ref()?.as_ref().err()?))) {
        Some((pod, error)) => {
            let text = silent(pod, error);
            (WorkloadTraffic::Pending, refusal(Reason::InProgress, text))
        }
        None => (WorkloadTraffic::Routed, None),
    }
}

/// Why a sidecar says nothing, and what to do.
fn silent(pod: &PodFacts, error: &str) -> String {
    let name = &pod.name;
    match (&pod.stuck, pod.address) {
        (Some(stuck), _) => {
            format!("pod {name} does not run: {stuck}; see kubectl describe pod {name}")
        }
        (None, None) => format!("pod {name} is starting"),
        (None, Some(_)) if !pod.ready => {
            format!("the sidecar of pod {name} is starting ({error})")
        }
        (None, Some(_)) => format!(
            "the sidecar of pod {name} could not be asked who is connected past it ({error}): let the operator reach its admin port"
        ),
    }
}

fn direct_message(found: &Found<'_>, sources: &[(String, String)]) -> String {
    let mut named: Vec<String> = sources
        .iter()
        .take(NAMED)
        .map(|(address, pod)| format!("{address} to pod {pod}"))
        .collect();
    if sources.len() > NAMED {
        named.push("others".to_owned());
    }
    format!(
        "connected to port {} past the proxy: {}; end those connections (restart the client) and lead the client to Service {:?}",
        found.ports.upstream,
        named.join(", "),
        Companion::name(&found.workload.name)
    )
}

fn connections(found: &Found<'_>) -> u64 {
    let said = found.pods.iter().filter_map(|(_, said)| said.as_ref()?.as_ref().ok());
    said.flat_map(|said| &said.direct_connections)
        .flat_map(|direct| &direct.sources)
        .fold(0_u64, |sum, source| sum.saturating_add(source.count))
}

/// What is reported of a pod that carries the proxy.
pub(super) fn report((pod, said): &(PodFacts, Option<Result<Said, String>>)) -> Option<PodReport> {
    pod.sidecar?;
    let said = said.as_ref().and_then(|said| said.as_ref().ok());
    Some(PodReport {
        name: pod.name.clone(),
        runs: pod.started && !pod.terminating,
        config_hash: said.and_then(|said| said.config_hash.clone()),
        reload_error: said.and_then(|said| said.reload.last_error.clone()),
        issuer: said.and_then(|said| said.provider.as_ref()).map(issuer),
        files: (!pod.terminating).then(|| pod.files.clone()),
    })
}

/// Whether people can sign in. A client that is refused comes first: then the provider does answer.
fn issuer(provider: &Provider) -> Result<(), NoLogin> {
    let ended = |call: &Option<LastCall>, outcome| {
        call.as_ref().filter(|call| call.outcome == outcome).map(|call| call.error.clone())
    };
    let refused = ended(&provider.last_token_call, Ends::ClientRefused);
    let silent = ended(&provider.last_call, Ends::Unreachable);
    let (reason, error) = match (refused, silent) {
        (Some(error), _) => (Reason::ClientRefused, error),
        (None, Some(error)) => (Reason::IssuerUnreachable, error),
        (None, None) if !provider.ready => (Reason::IssuerUnreachable, None),
        (None, None) => return Ok(()),
    };
    let error = error.or_else(|| provider.error.clone());
    Err(NoLogin { reason, error: error.unwrap_or_else(|| "not reached yet".to_owned()) })
}

/// All that is in the way, within what the status may hold.
fn message(troubles: &[&Refusal]) -> Option<String> {
    let text = troubles
        .iter()
        .map(|refusal| format!("{}: {}", refusal.reason, refusal.message))
        .collect::<Vec<_>>()
        .join("; ");
    let short: String = text.chars().take(1000).collect();
    (!short.is_empty()).then_some(short)
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{DirectConnections, Reload, Source};

    const PORTS: Ports = Ports { proxy: 4180, admin: 44180, upstream: 8080 };

    fn pod(name: &str) -> PodFacts {
        PodFacts {
            name: name.to_owned(),
            uid: name.to_owned(),
            labels: std::collections::BTreeMap::new(),
            terminating: false,
            sidecar: Some((4180, 44180)),
            ready: true,
            started: true,
            address: None,
            stuck: None,
            files: std::collections::BTreeSet::new(),
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "as it stands beside a pod")]
    fn said(hash: &str, sources: &[&str]) -> Option<Result<Said, String>> {
        let sources = sources
            .iter()
            .map(|address| Source { address: (*address).to_owned(), count: 1 })
            .collect();
        Some(Ok(Said {
            config_hash: Some(hash.to_owned()),
            reload: Reload::default(),
            provider: None,
            direct_connections: Some(DirectConnections { port: 8080, sources }),
        }))
    }

    fn outcome(
        mode: Traffic,
        routing: &Routing,
        pods: &[(PodFacts, Option<Result<Said, String>>)],
    ) -> Outcome {
        judge(&Found {
            workload: &WorkloadRef::deployment("shop", "web"),
            injected: true,
            ports: PORTS,
            mode: Some(mode),
            config_hash: Some("new"),
            refusal: None,
            trouble: None,
            pods,
            routing,
        })
    }

    #[test]
    fn a_settled_workload_is_routed_and_watched_at_leisure() {
        let outcome = outcome(Traffic::Auto, &Routing::default(), &[(pod("a"), said("new", &[]))]);
        assert_eq!(outcome.workload.traffic, WorkloadTraffic::Routed);
        assert_eq!((outcome.workload.pods, outcome.workload.up_to_date), (1, 1));
        assert_eq!((outcome.workload.message, outcome.again), (None, Some(WATCH)));
    }

    #[test]
    fn an_old_configuration_is_looked_at_again_soon() {
        let outcome = outcome(Traffic::Auto, &Routing::default(), &[(pod("a"), said("old", &[]))]);
        assert_eq!((outcome.workload.up_to_date, outcome.again), (0, None));
    }

    #[test]
    fn a_direct_connection_is_named_with_the_next_step() {
        let outcome =
            outcome(Traffic::Auto, &Routing::default(), &[(pod("a"), said("new", &["10.0.0.7"]))]);
        assert_eq!(
            (outcome.workload.traffic, outcome.direct),
            (WorkloadTraffic::DirectConnections, 1)
        );
        let message = outcome.workload.message.unwrap();
        for part in ["10.0.0.7 to pod a", "8080", "web-oauth2-proxy"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_silent_sidecar_is_not_taken_for_a_quiet_one() {
        let silent = (pod("b"), Some(Err("refused".to_owned())));
        let outcome =
            outcome(Traffic::Auto, &Routing::default(), &[(pod("a"), said("new", &[])), silent]);
        assert_eq!(outcome.workload.traffic, WorkloadTraffic::Pending);
    }

    #[test]
    fn an_open_service_counts_unless_that_was_asked_for() {
        let routing =
            Routing { open: vec!["Service \"web\" leads past".to_owned()], ..Routing::default() };
        let pods = [(pod("a"), said("new", &[]))];
        assert_eq!(
            outcome(Traffic::Auto, &routing, &pods).workload.traffic,
            WorkloadTraffic::NotRouted
        );
        let companion = outcome(Traffic::Companion, &routing, &pods);
        assert_eq!(companion.workload.traffic, WorkloadTraffic::Companion);
        assert!(companion.workload.message.unwrap().contains("leads past"));
    }

    #[test]
    fn a_pod_that_ends_without_sidecar_holds_the_condition_back() {
        let ending = PodFacts { terminating: true, sidecar: None, ..pod("old") };
        let outcome = outcome(
            Traffic::Auto,
            &Routing::default(),
            &[(pod("a"), said("new", &[])), (ending, None)],
        );
        assert_eq!(outcome.workload.traffic, WorkloadTraffic::Pending);
        assert_eq!(outcome.workload.pods, 1);
    }
}
