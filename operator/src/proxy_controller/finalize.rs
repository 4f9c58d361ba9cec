//! The end of an object: it waits until nothing depends on it, by what the API server says now and never by a cache, because
//! an empty cache would leave sidecars without their Secrets.
//!
//! In order: no workload carries the sidecar or is about to, the stand-alone proxy goes, the last pod that mounts the Secrets
//! is gone, the Secrets go, the finalizer goes.

mod ending;
mod holders;

use super::apply::Writer;
use super::secrets::Secrets;
use super::status::write;
use crate::condition::{Decision, State};
use crate::context::Context;
use crate::failure::Failure;
use crate::object::patch_parameters;
use crate::report::Guarded;
use crds::{ConditionType, DeletionPolicy, OAuth2Proxy, OAuth2ProxyStatus, Reason};
use ending::Ending;
use holders::Holders;
use kube::api::Patch;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt as _};
use serde_json::json;

/// Our finalizer.
const FINALIZER: &str = "oauth2proxy.dev/workloads";
/// The collector's: what the object owns is to be left behind and still names it as owner.
const ORPHANS: &str = "orphan";

/// Puts the finalizer on, before anything is made that would need it.
pub(super) async fn ensure(object: &OAuth2Proxy, context: &Context) -> Result<(), Failure> {
    if object.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        return Ok(());
    }
    let ending = Ending::of(object);
    let finalizers: Vec<_> = ending.finalizers().chain([FINALIZER]).collect();
    set(&ending, &finalizers, context).await
}

/// How far the end of an object is.
pub(super) enum End {
    /// Nothing of ours holds it any more.
    Gone,
    /// It waits; what is told of it.
    Waits(Decision),
}

/// One turn of the end of an object that can be read.
pub(super) async fn run(
    object: &OAuth2Proxy,
    reference: &ObjectRef<Guarded>,
    context: &Context,
) -> Result<End, Failure> {
    end(&Ending::of(object), reference, context).await
}

/// One turn of the end of an object that does not fit our types: metadata and policy are all that is needed of it.
pub(super) async fn run_unreadable(
    object: &InvalidObject,
    reference: &ObjectRef<Guarded>,
    context: &Context,
) -> Result<End, Failure> {
    let Some(ending) = Ending::read(&object.metadata, context).await? else { return Ok(End::Gone) };
    let end = end(&ending, reference, context).await?;
    if let End::Waits(ready) = &end {
        let before = &ending.status;
        let now =
            OAuth2ProxyStatus { observed_generation: ending.metadata.generation, ..before.clone() };
        let status = told(now, ready.clone(), (before, context));
        write(&ending.metadata, Some(before), &status, context).await?;
    }
    Ok(end)
}

/// The status of an object that waits for its end: as it is otherwise, but for `Ready`. `before` is what was written last.
pub(super) fn told(
    mut status: OAuth2ProxyStatus,
    ready: Decision,
    (before, context): (&OAuth2ProxyStatus, &Context),
) -> OAuth2ProxyStatus {
    let generation = status.observed_generation;
    let ready = ready.into_condition(&before.conditions, generation, context.clock.now());
    status.conditions.retain(|condition| condition.type_ != ConditionType::Ready.as_str());
    status.conditions.insert(0, ready);
    status
}

async fn end(
    ending: &Ending,
    reference: &ObjectRef<Guarded>,
    context: &Context,
) -> Result<End, Failure> {
    if !ending.finalizers().any(|finalizer| finalizer == FINALIZER) {
        return Ok(End::Gone);
    }
    let (place, uid) = (ending.place(), ending.uid());
    let mut holders = holders::workloads(ending, context).await?;
    if holders.is_none() && ending.finalizers().any(|finalizer| finalizer == ORPHANS) {
        holders = Some(Holders::Collector);
    }
    if holders.is_none() {
        Writer::of(place, uid, context).prune().await?;
        holders = holders::pods(ending, context).await?;
    }
    if let Some(holders) = holders {
        return Ok(End::Waits(Decision::new(
            ConditionType::Ready,
            State::False,
            reason(ending),
            message(ending, &holders),
        )));
    }
    tracing::info!(
        object = format!("{}/{}", place.0, place.1),
        "nothing depends on the object any more: it goes"
    );
    if !holders::left_behind(ending, context).await? {
        Secrets::of(place, uid, context).remove(ending.users_own.as_deref()).await?;
    }
    let finalizers: Vec<_> = ending.finalizers().filter(|f| *f != FINALIZER).collect();
    set(ending, &finalizers, context).await?;
    // Without a finalizer it is gone before its next turn.
    context.forget(reference);
    Ok(End::Gone)
}

fn reason(ending: &Ending) -> Reason {
    match ending.policy {
        DeletionPolicy::Block => Reason::DeletionBlocked,
        DeletionPolicy::Remove => Reason::Deleting,
    }
}

fn message(ending: &Ending, holders: &Holders) -> String {
    match holders {
        Holders::Workloads(names) => {
            let shown = names.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
            let more = names.len().saturating_sub(10);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            match ending.policy {
                DeletionPolicy::Block => format!(
                    "the deletion waits for {shown}{more}: remove the annotation oauth2proxy.dev/inject there, or set \
                     spec.deletionPolicy to Remove to take the sidecars out and leave the applications open"
                ),
                DeletionPolicy::Remove => {
                    format!("the sidecar is being removed from {shown}{more}")
                }
            }
        }
        Holders::Collector => {
            "what the object owns is being left behind, as its deletion asks".to_owned()
        }
        Holders::Pod(name) => format!(
            "the deletion waits for pods that still mount the object's Secrets, {name} is the oldest of them: they go with \
             their rollout; one that stays on a node that is lost goes when it is deleted by force"
        ),
    }
}

async fn set(ending: &Ending, finalizers: &[&str], context: &Context) -> Result<(), Failure> {
    let (namespace, name) = ending.place();
    let api: Api<OAuth2Proxy> = Api::namespaced(context.client.clone(), namespace);
    // With the version, because a list is replaced as a whole.
    let metadata =
        json!({"finalizers": finalizers, "resourceVersion": ending.metadata.resource_version});
    let parameters = patch_parameters();
    match api.patch_metadata(name, &parameters, &Patch::Merge(json!({"metadata": metadata}))).await
    {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(Failure::api("writing the finalizer", &error)),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
