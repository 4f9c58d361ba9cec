//! The end of an object: it waits until no workload depends on it, by what the API server says now and never by a cache,
//! because an empty cache would leave sidecars without their Secrets.

use super::status::write;
use crate::condition::{Decision, State};
use crate::context::Context;
use crate::controller::Next;
use crate::failure::Failure;
use crate::inject::{INJECT, INJECTED, OptIn, meaning};
use crate::object::FIELD_MANAGER;
use crate::object::is_owned;
use crate::report::Guarded;
use crds::{ConditionType, DeletionPolicy, OAuth2Proxy, Reason};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ListParams, Patch, PatchParams};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use std::time::Duration;

/// Our finalizer.
const FINALIZER: &str = "oauth2proxy.dev/workloads";

/// Puts the finalizer on, before anything is made that would need it.
pub(super) async fn ensure(object: &OAuth2Proxy, context: &Context) -> Result<(), Failure> {
    if object.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        return Ok(());
    }
    let finalizers: Vec<_> =
        object.finalizers().iter().map(String::as_str).chain([FINALIZER]).collect();
    set(object, &finalizers, context).await
}

/// One turn of an object that is being deleted.
pub(super) async fn run(
    object: &OAuth2Proxy,
    reference: &ObjectRef<Guarded>,
    context: &Context,
) -> Result<Next, Failure> {
    if !object.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        return Ok(Next::Resync);
    }
    let users = users(object, context).await?;
    if users.is_empty() {
        tracing::info!(
            object = super::key(object),
            "no workload depends on the object any more: it goes"
        );
        let finalizers: Vec<_> =
            object.finalizers().iter().map(String::as_str).filter(|f| *f != FINALIZER).collect();
        set(object, &finalizers, context).await?;
        // Without a finalizer it is gone before its next turn.
        context.reports.forget(reference);
        context.poker.forget(reference);
        return Ok(Next::Resync);
    }
    let mut status = object.status.clone().unwrap_or_default();
    let decision =
        Decision::new(ConditionType::Ready, State::False, reason(object), message(object, &users));
    let ready = decision.into_condition(
        &status.conditions,
        object.metadata.generation,
        context.clock.now(),
    );
    status.conditions.retain(|condition| condition.type_ != ConditionType::Ready.as_str());
    status.conditions.insert(0, ready);
    write(object, &status, context).await?;
    Ok(Next::After(Duration::from_secs(5)))
}

fn reason(object: &OAuth2Proxy) -> Reason {
    match object.spec.deletion_policy {
        DeletionPolicy::Block => Reason::DeletionBlocked,
        DeletionPolicy::Remove => Reason::Deleting,
    }
}

fn message(object: &OAuth2Proxy, users: &[String]) -> String {
    let shown = users.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
    let more = users.len().saturating_sub(10);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    match object.spec.deletion_policy {
        DeletionPolicy::Block => format!(
            "the deletion waits for {shown}{more}: remove the annotation oauth2proxy.dev/inject there, or set \
             spec.deletionPolicy to Remove to take the sidecars out and leave the applications open"
        ),
        DeletionPolicy::Remove => format!("the sidecar is being removed from {shown}{more}"),
    }
}

/// Workloads that depend on the object, as the API server lists them now. A failed list is an error, never an empty answer.
async fn users(object: &OAuth2Proxy, context: &Context) -> Result<Vec<String>, Failure> {
    let api: Api<Deployment> =
        Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    let list = api
        .list_metadata(&ListParams::default())
        .await
        .map_err(|error| Failure::api("listing the Deployments of the namespace", &error))?;
    let asks = object.spec.deletion_policy == DeletionPolicy::Block;
    let uid = object.uid().unwrap_or_default();
    Ok(list
        .items
        .iter()
        .filter(|workload| {
            !is_owned(&workload.metadata, &uid)
                && depends(&workload.metadata, &object.name_any(), asks)
        })
        .map(|workload| format!("Deployment {}", workload.name_any()))
        .collect())
}

/// Whether a workload carries the sidecar of the object or, if `asks` counts, wants it.
fn depends(workload: &ObjectMeta, object: &str, asks: bool) -> bool {
    let annotation = |name: &str| workload.annotations.as_ref().and_then(|all| all.get(name));
    let label = |name: &str| workload.labels.as_ref().and_then(|all| all.get(name));
    let carries = annotation(INJECTED).is_some_and(|record| {
        // A record that can not be read may be of this object: better to wait than to take Secrets away.
        serde_json::from_str::<Value>(record)
            .ok()
            .is_none_or(|record| record.get("object").is_none_or(|name| name == object))
    });
    // `true` means whichever object is the only one; only the record says that it was this one.
    let names = |text: &String| matches!(meaning(text), OptIn::Named(name) if name == object);
    carries || (asks && [annotation(INJECT), label(INJECT)].into_iter().flatten().any(names))
}

async fn set(object: &OAuth2Proxy, finalizers: &[&str], context: &Context) -> Result<(), Failure> {
    let api: Api<OAuth2Proxy> =
        Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    // With the version, because a list is replaced as a whole.
    let metadata =
        json!({"finalizers": finalizers, "resourceVersion": object.metadata.resource_version});
    let parameters =
        PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    match api
        .patch_metadata(
            &object.name_any(),
            &parameters,
            &Patch::Merge(json!({"metadata": metadata})),
        )
        .await
    {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(Failure::api("writing the finalizer", &error)),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(metadata: &Value) -> ObjectMeta {
        serde_json::from_value(metadata.clone()).unwrap()
    }

    #[test]
    fn a_workload_that_asks_in_whatever_form_holds_the_object() {
        for metadata in [
            json!({"annotations": {INJECT: "main"}}),
            json!({"annotations": {INJECT: " main "}}),
            json!({"labels": {INJECT: "main"}}),
            json!({"annotations": {INJECT: "other"}, "labels": {INJECT: "main"}}),
            json!({"annotations": {INJECTED: r#"{"object":"main"}"#}}),
            json!({"annotations": {INJECTED: "unreadable"}}),
        ] {
            assert!(depends(&workload(&metadata), "main", true), "{metadata}");
        }
        for metadata in [
            json!({}),
            json!({"annotations": {INJECT: "true"}}),
            json!({"annotations": {INJECT: "other", INJECTED: r#"{"object":"other"}"#}}),
        ] {
            assert!(!depends(&workload(&metadata), "main", true), "{metadata}");
        }
        assert!(!depends(&workload(&json!({"annotations": {INJECT: "main"}})), "main", false));
    }
}
