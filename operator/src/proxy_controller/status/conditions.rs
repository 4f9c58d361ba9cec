//! Each condition from the facts. What is not known stays as it was, so that a restart of the operator flips nothing.

mod workloads;

use crate::condition::{Decision, State, find};
use crate::failure::{Failure, FailureClass};
use crate::proxy_controller::apply::Error;
use crate::proxy_controller::outcome::Outcome;
use crate::report::{FleetReport, NoLogin};
use crate::spec::Finding;
use crate::spec::name;
use crds::ConditionType::{ConfigRendered, IssuerReachable, Ready, RefreshCoordinated};
use crds::{ConditionType, OAuth2Proxy, OAuth2ProxyStatus, Reason};
use kube::ResourceExt as _;
use std::collections::BTreeMap;
use workloads::{traffic_routed, workloads_injected};

/// What the conditions are decided from.
pub(super) struct Facts<'a> {
    pub(super) object: &'a OAuth2Proxy,
    pub(super) outcome: &'a Outcome,
    pub(super) report: &'a FleetReport,
    pub(super) before: &'a OAuth2ProxyStatus,
    /// Whether turns have failed for so long that nothing may be said to be as before.
    pub(super) lasting: bool,
}

/// Sessions in cookies are refreshed by each replica on its own.
fn refresh_coordinated(facts: &Facts<'_>) -> Decision {
    let spec = &facts.object.spec;
    let refresh = &spec.session.cookie.refresh;
    let never =
        refresh.parse::<proxy_config::Duration>().is_ok_and(proxy_config::Duration::is_zero);
    let standalone = spec.deployment.as_ref().map(|deployment| i64::from(deployment.replicas));
    let injected = facts.report.workloads.iter().map(|workload| i64::from(workload.pods));
    let replicas = standalone.into_iter().chain(injected).max().unwrap_or_default();
    let alone = never || spec.session.store == crds::Store::Redis;
    if !alone && replicas < 2 && !facts.report.complete {
        let message = "pods are being counted".to_owned();
        return as_before(facts, RefreshCoordinated, Reason::InProgress, message);
    }
    if alone || replicas < 2 {
        let message = "no two proxies refresh the same session at the same time";
        return Decision::new(RefreshCoordinated, State::True, Reason::OneRefresher, message);
    }
    let message = format!(
        "sessions are in cookies and refreshed every {refresh} by up to {replicas} pods that do not know of each other: at a \
         provider that takes each refresh token once, a person may have to log in anew. Set spec.session.store: redis, or run \
         one pod, or set spec.session.cookie.refresh: 0s"
    );
    Decision::new(RefreshCoordinated, State::False, Reason::RefreshRaces, message)
}

/// All conditions, `Ready` first.
pub(super) fn decide(facts: &Facts<'_>) -> Vec<Decision> {
    let parts = [
        config_rendered(facts),
        issuer_reachable(facts),
        workloads_injected(facts),
        traffic_routed(facts),
        refresh_coordinated(facts),
    ];
    let ready = ready(facts, &parts);
    std::iter::once(ready).chain(parts).collect()
}

fn config_rendered(facts: &Facts<'_>) -> Decision {
    match facts.outcome {
        Outcome::Invalid(findings) | Outcome::Waiting(findings) => {
            let reason = findings.first().map_or(Reason::InvalidSpec, |finding| finding.reason);
            let kept = if facts.before.config_hash.is_some() {
                " The last good configuration stays in force."
            } else {
                ""
            };
            Decision::new(
                ConfigRendered,
                State::False,
                reason,
                format!("{}.{kept}", listed(findings)),
            )
        }
        Outcome::Failed(failure) => failed(facts, ConfigRendered, failure),
        Outcome::Applied(applied) => {
            let secret = name::config_secret(&facts.object.name_any());
            let hash = applied.config_hash.get(..12).unwrap_or_default();
            Decision::new(
                ConfigRendered,
                State::True,
                Reason::Rendered,
                format!("configuration {hash} is in Secret {secret}"),
            )
        }
    }
}

/// What the API server refused or did not answer.
fn failed(facts: &Facts<'_>, type_: ConditionType, failure: &Failure) -> Decision {
    // That it was well before helps nobody: as long as it is refused, nothing that is asked for comes about.
    if failure.class == FailureClass::Refused {
        let message = format!("{failure}. It is tried again every few minutes.");
        return Decision::new(type_, State::False, Reason::ApiRefused, message);
    }
    let message = format!("{failure}. It is tried again.");
    if facts.lasting {
        return Decision::new(type_, State::Unknown, Reason::ApiFailure, message);
    }
    as_before(facts, type_, Reason::ApiFailure, message)
}

fn listed(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn issuer_reachable(facts: &Facts<'_>) -> Decision {
    let pods = &facts.report.pods;
    if !facts.report.complete {
        return as_before(
            facts,
            IssuerReachable,
            Reason::InProgress,
            "pods are being asked".to_owned(),
        );
    }
    if pods.is_empty() {
        let message =
            "no pod of the proxy runs yet, and it is the pods that need to reach the provider";
        return Decision::new(IssuerReachable, State::Unknown, Reason::NoPods, message);
    }
    // By name, so that the same failures always give the same words and no write.
    let answers: BTreeMap<_, _> =
        pods.iter().filter_map(|pod| Some((&pod.name, pod.issuer.as_ref()?))).collect();
    let failures: Vec<_> =
        answers.iter().filter_map(|(name, issuer)| Some((name, issuer.as_ref().err()?))).collect();
    let refused = failures.iter().find(|(_, why)| why.reason == Reason::ClientRefused);
    match refused.or_else(|| failures.first()) {
        Some((pod, NoLogin { reason: Reason::ClientRefused, error })) => {
            let message = format!(
                "the provider does not take the proxy for the client, so nobody can sign in, for instance at {pod}: {error}. \
                 Check spec.provider.clientID and the client secret; people who are signed in already are not affected"
            );
            Decision::new(IssuerReachable, State::False, Reason::ClientRefused, message)
        }
        Some((pod, NoLogin { reason: _, error })) => {
            let issuer = &facts.object.spec.provider.issuer_url;
            let message = format!(
                "{} of {} {} not reach {issuer}, for instance {pod}: {error}. Check spec.provider.issuerURL, DNS and \
                 network policies; people who are signed in already are not affected",
                failures.len(),
                of(pods.len(), "pod"),
                if failures.len() == 1 { "does" } else { "do" },
            );
            Decision::new(IssuerReachable, State::False, Reason::IssuerUnreachable, message)
        }
        None if answers.is_empty() => as_before(
            facts,
            IssuerReachable,
            Reason::InProgress,
            "no pod has answered yet".to_owned(),
        ),
        None => Decision::new(
            IssuerReachable,
            State::True,
            Reason::IssuerAnswers,
            "the provider answers",
        ),
    }
}

/// The first thing that is in the way decides.
fn ready(facts: &Facts<'_>, parts: &[Decision]) -> Decision {
    let blocking = |part: &&Decision| match part.type_ {
        // Without a pod nobody can tell, and nothing is wrong.
        IssuerReachable => part.state == State::False,
        // Everything works; some people log in more often than they should.
        RefreshCoordinated => false,
        _ => part.state != State::True,
    };
    let (rendered, others) =
        parts.split_first().map_or((None, parts), |(first, rest)| (Some(first), rest));
    if let Some(part) = rendered.filter(|part| blocking(part)) {
        return Decision::new(Ready, part.state, part.reason, part.message.clone());
    }
    if let Some(decision) = standalone(facts) {
        return decision;
    }
    match others.iter().find(|part| blocking(part)) {
        Some(part) => Decision::new(
            Ready,
            part.state,
            part.reason,
            format!("{}: {}", part.type_, part.in_short()),
        ),
        None => Decision::new(Ready, State::True, Reason::Ready, "the configuration is in force"),
    }
}

/// What is in the way in stand-alone mode.
fn standalone(facts: &Facts<'_>) -> Option<Decision> {
    let Outcome::Applied(applied) = facts.outcome else { return None };
    let rollout = match &applied.standalone {
        Ok(rollout) => (*rollout)?,
        Err(Error::Collision(finding)) => {
            return Some(Decision::new(Ready, State::False, finding.reason, finding.to_string()));
        }
        Err(Error::Failed(failure)) => return Some(failed(facts, Ready, failure)),
    };
    let name = name::standalone(&facts.object.name_any());
    let up = rollout.updated.min(rollout.available);
    if !rollout.observed || up < rollout.wanted {
        let namespace = facts.object.namespace().unwrap_or_default();
        let wanted = usize::try_from(rollout.wanted).unwrap_or_default();
        let message = format!(
            "{up} of {} of Deployment {name} {} available; see kubectl -n {namespace} describe deployment {name}",
            of(wanted, "pod"),
            if wanted == 1 { "is" } else { "are" },
        );
        return Some(Decision::new(Ready, State::False, Reason::DeploymentNotReady, message));
    }
    if let Some((pod, error)) = refused(facts.report) {
        let message = format!(
            "pod {pod} refused the present configuration and keeps the last good one: {error}"
        );
        return Some(Decision::new(Ready, State::False, Reason::ConfigNotInForce, message));
    }
    let hash = Some(applied.config_hash.as_str());
    let behind = facts
        .report
        .pods
        .iter()
        .filter(|pod| pod.config_hash.is_some() && pod.config_hash.as_deref() != hash)
        .map(|pod| &pod.name)
        .min()?;
    let message = format!("pod {behind} still takes up the present configuration");
    Some(Decision::new(Ready, State::False, Reason::InProgress, message))
}

/// A pod that refused the configuration, and why.
fn refused(report: &FleetReport) -> Option<(&str, &str)> {
    let refusing = report
        .pods
        .iter()
        .filter_map(|pod| Some((pod.name.as_str(), pod.reload_error.as_deref()?)));
    refusing.min()
}

/// Whether a pod has in force what is there for those that can not take up the present configuration.
fn has_earlier(facts: &Facts<'_>) -> bool {
    let Outcome::Applied(applied) = facts.outcome else { return false };
    let mut hashes = facts.report.pods.iter().filter_map(|pod| pod.config_hash.as_ref());
    hashes.any(|hash| applied.earlier_hashes.contains(hash))
}

/// A number of things in words.
fn of(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// The condition as it was, if it was about this generation; otherwise nobody knows.
fn as_before(facts: &Facts<'_>, type_: ConditionType, reason: Reason, message: String) -> Decision {
    let before = find(&facts.before.conditions, type_)
        .filter(|before| before.observed_generation == facts.object.metadata.generation);
    let reasons = || Reason::ALL.iter().copied();
    match before.and_then(|before| {
        Some((before, reasons().find(|reason| reason.as_str() == before.reason)?))
    }) {
        Some((before, reason)) => {
            let state = match before.status.as_str() {
                "True" => State::True,
                "False" => State::False,
                _ => State::Unknown,
            };
            Decision::new(type_, state, reason, before.message.clone())
        }
        None => Decision::new(type_, State::Unknown, reason, message),
    }
}
