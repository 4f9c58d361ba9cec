//! What an object must not go before: workloads that depend on it, and pods that mount its Secrets.

use super::Ending;
use crate::context::Context;
use crate::failure::Failure;
use crate::inject::{INJECT, INJECTED, INJECTED_BY, OptIn, asks_for, meaning};
use crate::object::{OBJECT, is_labelled, is_owned};
use crate::proxy_controller::watches::NAME;
use crate::spec::name;
use crds::DeletionPolicy;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::core::PartialObjectMeta;
use kube::{Api, ResourceExt as _};
use serde_json::Value;

/// Who holds it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Holders {
    /// Workloads, by kind and name.
    Workloads(Vec<String>),
    /// Pods; the oldest of them, which stays the same until it is gone.
    Pod(String),
    /// The collector, which takes the object as owner off what is to be left behind.
    Collector,
}

/// Workloads that depend on the object, as the API server lists them now. A failed list is an error, never an empty answer.
pub(super) async fn workloads(
    ending: &Ending,
    context: &Context,
) -> Result<Option<Holders>, Failure> {
    let (namespace, object) = ending.place();
    // A turn that is under way may have read the object before its deletion, and inject yet. So: first the turns, then the
    // list, which shows what those wrote that have ended. One that begins after that finds the object deleted.
    let busy = context.gate.running.others(NAME);
    let api: Api<Deployment> = Api::namespaced(context.client.clone(), namespace);
    let listed = api.list_metadata(&ListParams::default()).await;
    let listed =
        listed.map_err(|error| Failure::api("listing the Deployments of the namespace", &error))?;
    let holding = names(&listed.items, ending, |workload| {
        asks_for(&workload.metadata, object)
            && busy.contains(&format!("{namespace}/{}", workload.name_any()))
    });
    Ok((!holding.is_empty()).then_some(Holders::Workloads(holding)))
}

fn names(
    workloads: &[PartialObjectMeta<Deployment>],
    ending: &Ending,
    busy: impl Fn(&PartialObjectMeta<Deployment>) -> bool,
) -> Vec<String> {
    let (_, object) = ending.place();
    let asks = ending.policy == DeletionPolicy::Block;
    let others = workloads.iter().filter(|workload| !is_owned(&workload.metadata, ending.uid()));
    others
        .filter(|workload| depends(&workload.metadata, object, asks) || busy(workload))
        .map(|workload| format!("Deployment {}", workload.name_any()))
        .collect()
}

/// The texts by which a workload asks.
fn opt_ins(workload: &ObjectMeta) -> impl Iterator<Item = &String> {
    let annotation = workload.annotations.as_ref().and_then(|all| all.get(INJECT));
    let label = workload.labels.as_ref().and_then(|all| all.get(INJECT));
    [annotation, label].into_iter().flatten()
}

/// Whether a workload carries the sidecar of the object or, if `asks` counts, wants it.
fn depends(workload: &ObjectMeta, object: &str, asks: bool) -> bool {
    let record = workload.annotations.as_ref().and_then(|all| all.get(INJECTED));
    let carries = record.is_some_and(|record| {
        // A record that can not be read may be of this object: better to wait than to take Secrets away.
        serde_json::from_str::<Value>(record)
            .ok()
            .is_none_or(|record| record.get("object").is_none_or(|name| name == object))
    });
    // `true` means whichever object is the only one; only the record says that it was this one.
    let names = |text: &String| matches!(meaning(text), OptIn::Named(name) if name == object);
    carries || (asks && opt_ins(workload).any(names))
}

/// The oldest pod that mounts the Secrets: one that carries the sidecar, by what its template said, or one of the stand-alone
/// proxy, unless that is left behind with its Secrets. One that ends counts, it may be started again; one that has ended does
/// not.
pub(super) async fn pods(ending: &Ending, context: &Context) -> Result<Option<Holders>, Failure> {
    let (namespace, object) = ending.place();
    let api: Api<Pod> = Api::namespaced(context.client.clone(), namespace);
    let alive = ListParams::default().fields("status.phase!=Succeeded,status.phase!=Failed");
    let listed = api.list_metadata(&alive).await;
    let listed =
        listed.map_err(|error| Failure::api("listing the pods of the namespace", &error))?;
    let standalone = !left_behind(ending, context).await?;
    let by = format!("{namespace}/{object}");
    let mounts = |pod: &&PartialObjectMeta<Pod>| {
        pod.annotations().get(INJECTED_BY).is_some_and(|of| *of == by)
            || (standalone && pod.labels().get(OBJECT).is_some_and(|of| of == object))
    };
    let oldest = listed
        .items
        .iter()
        .filter(mounts)
        .min_by_key(|pod| (pod.creation_timestamp().map(|time| time.0), pod.name_any()));
    Ok(oldest.map(|pod| Holders::Pod(pod.name_any())))
}

/// Whether the stand-alone proxy was told to outlive the object, by a deletion that orphans what it owns: then its Deployment
/// has our labels and no owner, and the Secrets that its pods mount stay with it, for the next object of the name.
pub(super) async fn left_behind(ending: &Ending, context: &Context) -> Result<bool, Failure> {
    let (namespace, object) = ending.place();
    let name = name::standalone(object);
    let api: Api<Deployment> = Api::namespaced(context.client.clone(), namespace);
    let live = api.get_metadata_opt(&name).await;
    let live = live.map_err(|error| Failure::api(&format!("reading Deployment {name}"), &error))?;
    Ok(live.is_some_and(|live| {
        live.metadata.owner_references.as_ref().is_none_or(Vec::is_empty)
            && is_labelled(&live.metadata, object)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
