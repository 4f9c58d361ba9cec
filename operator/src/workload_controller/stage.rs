//! How far a workload is, on the workload itself: an annotation of its metadata that `kubectl wait` can wait for. It rolls
//! nothing out, and nothing is ever concluded from it.

use super::desk::Desk;
use super::entries::Entry;
use crate::context::Context;
use crate::controller::Next;
use crate::failure::Failure;
use crate::object::patch_parameters;
use crate::workload::{STATUS, Watched};
use crds::{Reason, WorkloadTraffic};
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject, Patch};
use serde_json::json;
use std::sync::Arc;

/// The values of the annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its object is not ready, or its turn has not come.
    Waiting,
    /// The sidecar is in its template; its pods or Services are not all there yet.
    Injecting,
    /// Its Services lead to the proxy, and nothing reaches it without a login.
    Routed,
    /// Its companion Service leads to the proxy, its own Services do not, as it wishes.
    Companion,
    /// A Service that the operator does not change leads past the proxy.
    NotRouted,
    /// It is left as it is, as its annotation says.
    Paused,
    /// It gets no sidecar until somebody acts: events and the object's status have the reason.
    Refused,
    /// It has nothing to do with us.
    Unrelated,
}

impl Stage {
    /// The value; none: there is to be no annotation.
    pub(super) const fn value(self) -> Option<&'static str> {
        Some(match self {
            Self::Waiting => "Waiting",
            Self::Injecting => "Injecting",
            Self::Routed => "Routed",
            Self::Companion => "Companion",
            Self::NotRouted => "NotRouted",
            Self::Paused => "Paused",
            Self::Refused => "Refused",
            Self::Unrelated => return None,
        })
    }

    /// What was found at a workload, in one word.
    pub(super) fn of(entry: &Entry) -> Self {
        match entry.refusal {
            Some(Reason::Paused) => return Self::Paused,
            Some(Reason::InProgress | Reason::ObjectNotReady) if !entry.workload.injected => {
                return Self::Waiting;
            }
            Some(_) if !entry.workload.injected => return Self::Refused,
            _ => {}
        }
        match entry.workload.traffic {
            WorkloadTraffic::Routed => Self::Routed,
            WorkloadTraffic::Companion => Self::Companion,
            WorkloadTraffic::NotRouted => Self::NotRouted,
            WorkloadTraffic::Pending | WorkloadTraffic::DirectConnections => Self::Injecting,
        }
    }
}

/// Writes the annotation unless it is there, and takes it from a workload that has nothing to do with us any more.
///
/// # Errors
/// The API server did not take it. Nothing else waits for that.
pub(crate) async fn reconcile(
    watched: Arc<Watched>,
    context: Arc<Context>,
    desk: Arc<Desk>,
) -> Result<Next, Failure> {
    let key = watched.reference();
    let Some(stage) = desk.stage(&watched).map(Stage::value) else { return Ok(Next::Idle) };
    if watched.annotations().get(STATUS).map(String::as_str) == stage {
        return Ok(Next::Idle);
    }
    let api: Api<DynamicObject> =
        Api::namespaced_with(context.client.clone(), &key.namespace, &key.kind.resource());
    // With the uid: one that was made anew meanwhile has not been looked at.
    let metadata = json!({"uid": watched.uid(), "annotations": {STATUS: stage}});
    let parameters = patch_parameters();
    let patch = Patch::Merge(json!({"metadata": metadata}));
    match api.patch_metadata(&key.name, &parameters, &patch).await {
        Ok(_) => Ok(Next::Idle),
        Err(kube::Error::Api(answer)) if matches!(answer.code, 404 | 409) => Ok(Next::Idle),
        Err(error) => Err(Failure::api(&format!("annotating {key}"), &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inject::Refusal;
    use crate::workload::{Kind, WorkloadRef};

    #[test]
    fn a_word_says_how_far_it_is() {
        let kind = Kind::Deployment;
        let key = WorkloadRef { namespace: "shop".to_owned(), kind, name: "web".to_owned() };
        let refused = |reason| Entry::refused(&key, None, &Refusal::new(reason, "why"));
        for (reason, stage) in [
            (Reason::InProgress, Stage::Waiting),
            (Reason::ObjectNotReady, Stage::Waiting),
            (Reason::InvalidAnnotation, Stage::Refused),
            (Reason::ApiRefused, Stage::Refused),
            (Reason::Paused, Stage::Paused),
        ] {
            assert_eq!(Stage::of(&refused(reason)), stage, "{reason:?}");
        }
        let injected = |traffic| {
            let mut entry = refused(Reason::ApiRefused);
            (entry.workload.injected, entry.workload.traffic) = (true, traffic);
            Stage::of(&entry)
        };
        assert_eq!(injected(WorkloadTraffic::Routed), Stage::Routed);
        assert_eq!(injected(WorkloadTraffic::Pending), Stage::Injecting);
        assert_eq!(injected(WorkloadTraffic::DirectConnections), Stage::Injecting);
        assert_eq!(injected(WorkloadTraffic::NotRouted), Stage::NotRouted);
    }
}
