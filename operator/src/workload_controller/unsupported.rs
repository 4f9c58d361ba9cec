//! Workloads of kinds that get no sidecar and ask for one nevertheless: told so, once for each change of what they ask for,
//! and listed at the object that they ask for.
//!
//! All are watched by metadata alone, and pods only where the label asks: a watch of every pod of a cluster is a high price
//! for a message. What another workload made is not told, that workload is.

use super::desk::Desk;
use super::entries::Entry;
use crate::context::Context;
use crate::controller::Next;
use crate::event::{Note, Tone};
use crate::failure::Failure;
use crate::inject::Refusal;
use crate::inject::{INJECT, OptIn, meaning};
use crate::workload::{Kind, WorkloadRef};
use crds::Reason;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::PartialObjectMeta;
use kube::{Resource, ResourceExt as _};
use std::sync::Arc;

/// What a workload asks for, if it asks for anything and nothing that is told made it.
pub(crate) fn asks<K>(workload: &PartialObjectMeta<K>) -> Option<&str>
where
    PartialObjectMeta<K>: Resource,
{
    let made = |owner: &OwnerReference| {
        ["apps/v1", "batch/v1"].contains(&owner.api_version.as_str())
            && owner.controller == Some(true)
    };
    if workload.owner_references().iter().any(made) {
        return None;
    }
    let text = workload.annotations().get(INJECT).or_else(|| workload.labels().get(INJECT))?;
    (meaning(text) != OptIn::No).then_some(text)
}

/// Its name.
pub(crate) fn reference<K>(workload: &PartialObjectMeta<K>) -> Option<WorkloadRef>
where
    K: Resource<DynamicType = ()>,
    PartialObjectMeta<K>: Resource,
{
    let namespace = workload.namespace().unwrap_or_default();
    Some(WorkloadRef { namespace, kind: Kind::named(&K::kind(&()))?, name: workload.name_any() })
}

/// One turn of one workload.
pub(crate) async fn reconcile<K>(
    workload: Arc<PartialObjectMeta<K>>,
    context: Arc<Context>,
    desk: Arc<Desk>,
) -> Result<Next, Failure>
where
    K: Resource<DynamicType = ()>,
    PartialObjectMeta<K>: Resource,
{
    let Some(key) = reference(workload.as_ref()) else { return Ok(Next::Resync) };
    let Some(asked) = asks(workload.as_ref()) else {
        desk.forget(&key);
        return Ok(Next::Resync);
    };
    let kind = key.kind;
    let text = format!(
        "a {kind} gets no sidecar, only Deployments do, so {INJECT}={asked} has no effect and the application is open: put a stand-alone proxy in front of it (spec.deployment of the OAuth2Proxy) and remove {INJECT} here"
    );
    let refusal = Refusal::new(Reason::Unsupported, text);
    if desk.is_news(&key, Some(&refusal)) {
        let text = refusal.message.clone();
        let note = Note { tone: Tone::Warning, reason: refusal.reason, action: "Inject", text };
        context.events.publish(&note, &key.object_reference(workload.uid()), None).await;
    }
    let object = match meaning(asked) {
        OptIn::Named(name) => Some(name),
        OptIn::No | OptIn::Only => None,
    };
    desk.put_bare(&key, Some(Entry::refused(&key, object, &refusal)));
    Ok(Next::Resync)
}
