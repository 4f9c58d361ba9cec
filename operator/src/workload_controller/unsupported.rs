//! Workloads of kinds that get no sidecar and ask for one nevertheless: told so, once for each change of what they ask for.
//!
//! All are watched by metadata alone, and pods only where the label asks: a watch of every pod of a cluster is a high price
//! for a message. What another workload made is not told, that workload is.

use crate::context::Context;
use crate::controller::Next;
use crate::event::{Note, Tone};
use crate::failure::Failure;
use crate::inject::{INJECT, OptIn, meaning};
use crds::Reason;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::PartialObjectMeta;
use kube::{Resource, ResourceExt as _};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What was told already, by uid.
pub(crate) type Told = Arc<Mutex<HashMap<String, String>>>;

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

/// One turn of one workload.
pub(crate) async fn reconcile<K>(
    workload: Arc<PartialObjectMeta<K>>,
    context: Arc<Context>,
    told: Told,
) -> Result<Next, Failure>
where
    K: Resource<DynamicType = ()>,
    PartialObjectMeta<K>: Resource,
{
    let uid = workload.uid().unwrap_or_default();
    let Some(asked) = asks(workload.as_ref()) else { return Ok(Next::Resync) };
    let known =
        told.lock().unwrap_or_else(PoisonError::into_inner).insert(uid.clone(), asked.to_owned());
    if known.as_deref() == Some(asked) {
        return Ok(Next::Resync);
    }
    let kind = K::kind(&());
    let reference = ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(kind.clone().into_owned()),
        name: Some(workload.name_any()),
        namespace: workload.namespace(),
        uid: Some(uid),
        ..ObjectReference::default()
    };
    let text = format!(
        "a {kind} gets no sidecar, only Deployments do, so {INJECT}={asked} has no effect and the application is open: put a stand-alone proxy in front of it (spec.deployment of the OAuth2Proxy) and remove {INJECT} here"
    );
    let note = Note { tone: Tone::Warning, reason: Reason::Unsupported, action: "Inject", text };
    context.events.publish(&note, &reference, None).await;
    Ok(Next::Resync)
}
