//! Workloads of kinds that get no sidecar and ask for one nevertheless: told so, once for each change of what they ask for.
//!
//! `StatefulSet` and `DaemonSet` are watched for this by metadata alone. Jobs and bare pods are not: a watch of all pods is
//! a high price for a message, and their templates can never be changed.

use crate::context::Context;
use crate::controller::{Failure, Next};
use crate::event::{Note, Tone};
use crate::inject::{INJECT, OptIn, meaning};
use crds::Reason;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::core::PartialObjectMeta;
use kube::{Resource, ResourceExt as _};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What was told already, by uid.
pub(super) type Told = Arc<Mutex<HashMap<String, String>>>;

/// What a workload asks for, if it asks for anything.
pub(super) fn asks<K>(workload: &PartialObjectMeta<K>) -> Option<&str>
where
    PartialObjectMeta<K>: Resource,
{
    let text = workload.annotations().get(INJECT).or_else(|| workload.labels().get(INJECT))?;
    (meaning(text) != OptIn::No).then_some(text)
}

/// One turn of one workload.
pub(super) async fn reconcile<K>(
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
