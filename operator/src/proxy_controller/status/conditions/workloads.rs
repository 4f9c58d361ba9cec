//! The conditions about workloads: whether they carry the sidecar, and where requests go. What is in the way of one is told in
//! full by one of them; the others name it.

use super::{Facts, as_before, has_earlier, of, refused};
use crate::condition::{Decision, State};
use crds::ConditionType::{TrafficRouted, WorkloadsInjected};
use crds::{Reason, Workload, WorkloadTraffic};

/// How many workloads a message names.
const NAMED: usize = 5;

pub(super) fn workloads_injected(facts: &Facts<'_>) -> Decision {
    let workloads = &facts.report.workloads;
    if !facts.report.complete {
        let message = "workloads are being looked up".to_owned();
        return as_before(facts, WorkloadsInjected, Reason::InProgress, message);
    }
    if workloads.is_empty() {
        let message = "no workload asks for this object";
        return Decision::new(WorkloadsInjected, State::True, Reason::NoWorkloads, message);
    }
    let outside: Vec<_> = workloads.iter().filter(|workload| !workload.injected).collect();
    if !outside.is_empty() {
        let what = format!(
            "{} of {} {} not carry the sidecar",
            outside.len(),
            of(workloads.len(), "workload"),
            if outside.len() == 1 { "does" } else { "do" },
        );
        return lacking(without(&outside), &what, &outside, described);
    }
    if let Some((pod, error)) = refused(facts.report) {
        let message = format!(
            "pod {pod} refused the present configuration and keeps the last good one: {error}"
        );
        return Decision::new(WorkloadsInjected, State::False, Reason::ConfigNotInForce, message);
    }
    let hindered: Vec<_> =
        workloads.iter().filter(|workload| hindrance(facts, workload).is_some()).collect();
    if let Some(reason) = hindered.first().and_then(|workload| hindrance(facts, workload)) {
        let what = format!(
            "{} with the sidecar {} not come to what is asked for",
            of(hindered.len(), "workload"),
            if hindered.len() == 1 { "does" } else { "do" },
        );
        return lacking(reason, &what, &hindered, described);
    }
    let behind: Vec<_> =
        workloads.iter().filter(|workload| workload.up_to_date < workload.pods).collect();
    if !behind.is_empty() {
        let what = if has_earlier(facts) {
            "pods have the configuration that is kept for older proxies and pod specifications; if that lasts, roll them out"
        } else {
            "pods still take up the present configuration"
        };
        return lacking(Reason::InProgress, what, &behind, counted);
    }
    let message = match workloads.len() {
        1 => "1 workload carries the sidecar and runs the present configuration".to_owned(),
        several => {
            format!("{several} workloads carry the sidecar and run the present configuration")
        }
    };
    Decision::new(WorkloadsInjected, State::True, Reason::Injected, message)
}

/// That something is amiss with the sidecars of these.
fn lacking(
    reason: Reason,
    what: &str,
    which: &[&Workload],
    one: fn(&Workload) -> String,
) -> Decision {
    let message = format!("{what}: {}", listed(which, one));
    Decision::new(WorkloadsInjected, State::False, reason, message)
        .shortened(format!("{what}: {}", listed(which, name)))
}

pub(super) fn traffic_routed(facts: &Facts<'_>) -> Decision {
    let workloads = &facts.report.workloads;
    if !facts.report.complete {
        let message = "Services are being looked up".to_owned();
        return as_before(facts, TrafficRouted, Reason::InProgress, message);
    }
    let not = |reason, message| Decision::new(TrafficRouted, State::False, reason, message);
    // Of the others, the other condition tells all.
    let told = |workload: &&Workload| workload.injected && hindrance(facts, workload).is_none();
    for (state, reason, what) in [
        (WorkloadTraffic::NotRouted, Reason::DirectPathOpen, "a Service leads past the proxy"),
        (
            WorkloadTraffic::DirectConnections,
            Reason::DirectConnections,
            "connections reach the application past the proxy",
        ),
        (
            WorkloadTraffic::Pending,
            Reason::InProgress,
            "Services are switched once no pod lacks the sidecar",
        ),
    ] {
        let open: Vec<_> =
            workloads.iter().filter(|workload| workload.traffic == state).filter(told).collect();
        if !open.is_empty() {
            return not(reason, format!("{what}: {}", listed(&open, described)))
                .shortened(format!("{what}: {}", listed(&open, name)));
        }
    }
    let closed = |workload: &&Workload| {
        matches!(workload.traffic, WorkloadTraffic::Routed | WorkloadTraffic::Companion)
    };
    let others: Vec<_> = workloads.iter().filter(|workload| !closed(workload)).collect();
    if !others.is_empty() {
        let outside: Vec<_> =
            others.iter().copied().filter(|workload| !workload.injected).collect();
        let hindered = others.iter().find_map(|workload| hindrance(facts, workload));
        let reason = hindered.filter(|_| outside.is_empty()).unwrap_or_else(|| without(&outside));
        let message = format!(
            "not every request goes through the proxy: {}; see {WorkloadsInjected}",
            listed(&others, name)
        );
        return not(reason, message);
    }
    if workloads.is_empty() {
        let message = "no workload asks for this object";
        return Decision::new(TrafficRouted, State::True, Reason::NoWorkloads, message);
    }
    if workloads.iter().all(|workload| workload.traffic == WorkloadTraffic::Companion) {
        let message = "as spec.sidecar.traffic asks, no Service was changed: lead requests to <workload>-oauth2-proxy";
        return Decision::new(TrafficRouted, State::True, Reason::CompanionOnly, message);
    }
    Decision::new(TrafficRouted, State::True, Reason::Routed, "all requests go through the proxy")
}

/// Why a workload does not come to what is asked for although its template has the sidecar.
fn hindrance(facts: &Facts<'_>, workload: &Workload) -> Option<Reason> {
    facts.report.hindered.get(&workload.name).copied().filter(|_| workload.injected)
}

/// What it means that these have no sidecar.
fn without(outside: &[&Workload]) -> Reason {
    let refused = outside.iter().any(|workload| workload.message.is_some());
    if refused { Reason::InjectionRefused } else { Reason::InProgress }
}

/// The first workloads in words.
fn listed(workloads: &[&Workload], one: fn(&Workload) -> String) -> String {
    let mut texts: Vec<_> = workloads.iter().take(NAMED).map(|workload| one(workload)).collect();
    if workloads.len() > NAMED {
        texts.push(format!("and {} more", workloads.len() - NAMED));
    }
    texts.join(", ")
}

fn name(Workload { kind, name, .. }: &Workload) -> String {
    format!("{kind:?} {name}")
}

/// With all that is in its way.
fn described(workload: &Workload) -> String {
    match &workload.message {
        Some(message) => format!("{} ({message})", name(workload)),
        None => counted(workload),
    }
}

/// With its pods.
fn counted(workload: &Workload) -> String {
    let Workload { pods, up_to_date, .. } = workload;
    let all = of(usize::try_from(*pods).unwrap_or_default(), "pod");
    let run = if *pods == 1 || *up_to_date == 1 { "runs" } else { "run" };
    format!("{} ({up_to_date} of {all} {run} the present configuration)", name(workload))
}
