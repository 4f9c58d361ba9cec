//! The stand-alone pods of an object, asked like sidecars are, and the report of an object that no workload asks for.

use super::desk::Desk;
use super::outcome;
use crate::context::Context;
use crate::controller::Next;
use crate::failure::Failure;
use crate::fleet;
use crate::live::{Collection, Live};
use crate::object;
use crate::pods::{Pod, PodFacts};
use crate::report::{Guarded, PodReport};
use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Pods that run what they should are asked again after this long.
const WATCH: Duration = Duration::from_secs(40);

/// One turn of one object.
pub(crate) async fn reconcile(
    object: Arc<Guarded>,
    context: Arc<Context>,
    desk: Arc<Desk>,
) -> Result<Next, Failure> {
    let reference = ObjectRef::from_obj(object.as_ref());
    let runs = object.0.as_ref().is_ok_and(|object| object.spec.deployment.is_some());
    if !runs {
        desk.put_standalone(&reference, Vec::new(), None);
        return Ok(Next::Idle);
    }
    let namespace = object.namespace().unwrap_or_default();
    let labels = format!("{}={}", object::OBJECT, object.name_any());
    let looked = Some(Instant::now());
    let listed =
        Live::new(&context.client, &namespace).list::<Pod>(Collection::Pods, &labels).await;
    let listed = listed.map_err(|error| Failure::api("listing the stand-alone pods", &error))?;
    let pods: Vec<PodFacts> = listed
        .into_iter()
        .filter_map(Pod::standalone_facts)
        .filter(|pod| !pod.terminating)
        .collect();
    let answers = fleet::ask(pods.iter().filter_map(PodFacts::question).collect()).await;
    let hash =
        object.0.as_ref().ok().and_then(|object| object.status.as_ref()?.config_hash.clone());
    let reports: Vec<_> = pods
        .into_iter()
        .map(|pod| {
            let said = answers
                .iter()
                .find(|(asked, _)| asked.pod == pod.name)
                .map(|(_, said)| said.clone());
            (pod, said)
        })
        .filter_map(|asked| outcome::report(&asked))
        .collect();
    let settled = hash.is_some()
        && reports.iter().all(|pod| pod.config_hash == hash && pod.issuer == Some(Ok(())));
    let state = state(hash.as_deref(), &reports);
    desk.put_standalone(&reference, reports, looked);
    // A provider that is away may stay away for a day: who looks again and again at the same finds it out later each time.
    Ok(if settled { Next::Settled(WATCH) } else { Next::Soon(state) })
}

/// What was found, without the words of pods, which may change by themselves.
fn state(hash: Option<&str>, reports: &[PodReport]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hash.hash(&mut hasher);
    for pod in reports {
        let issuer = pod.issuer.as_ref().map(|said| said.as_ref().map_err(|no| no.reason));
        (&pod.name, &pod.config_hash, issuer).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::NoLogin;
    use crds::Reason;

    #[test]
    fn what_pods_say_in_other_words_is_the_same_state_and_what_they_run_is_another() {
        let pod = |config: &str, error: &str| PodReport {
            name: "main-proxy-1".to_owned(),
            runs: true,
            config_hash: Some(config.to_owned()),
            reload_error: None,
            issuer: Some(Err(NoLogin {
                reason: Reason::IssuerUnreachable,
                error: error.to_owned(),
            })),
            files: None,
        };
        let away = state(Some("a"), &[pod("a", "timed out after 10.01 s")]);
        assert_eq!(away, state(Some("a"), &[pod("a", "timed out after 10.02 s")]));
        assert_ne!(away, state(Some("b"), &[pod("a", "timed out after 10.01 s")]));
        assert_ne!(away, state(Some("a"), &[pod("b", "timed out after 10.01 s")]));
        assert_ne!(away, state(Some("a"), &[]));
    }

    /// A refused client and a provider that is away are told by the pods, whoever they serve, and nothing else is asked.
    #[test]
    fn what_pods_tell_of_their_provider_is_known_within_a_minute() {
        for watch in [WATCH, outcome::WATCH] {
            assert!(watch + fleet::ALL <= Duration::from_mins(1), "{watch:?}");
        }
    }
}
