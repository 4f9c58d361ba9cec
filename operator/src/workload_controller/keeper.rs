//! Services that were turned for a workload that is gone, or that select other pods by now: they are restored, since nobody
//! else will.

use super::live::{Kind, Live};
use super::pods::PodFacts;
use super::{neighbour, services};
use crate::context::Context;
use crate::controller::Next;
use crate::failure::Failure;
use crate::traffic;
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt as _;
use kube::core::PartialObjectMeta;
use std::sync::Arc;
use std::time::Duration;

/// Pods that outlive their workload (an orphaning delete) are looked at again after this long.
const OUTLIVED: Duration = Duration::from_secs(15);

/// One turn of one Service that carries our label.
pub(super) async fn reconcile(
    watched: Arc<PartialObjectMeta<Service>>,
    context: Arc<Context>,
) -> Result<Next, Failure> {
    let namespace = watched.namespace().unwrap_or_default();
    let live = Live::new(&context.client, &namespace);
    let api = |doing: &'static str| move |error| Failure::api(doing, &error);
    let Some(service) =
        live.get(Kind::Service, &watched.name_any()).await.map_err(api("reading the Service"))?
    else {
        return Ok(Next::Resync);
    };
    let Some(workload) = traffic::turned_for(&service) else { return Ok(Next::Resync) };
    // Only an answer that says "not found" counts as gone.
    let there =
        live.get(Kind::Deployment, &workload).await.map_err(api("reading the Deployment"))?;
    if there.is_some_and(|there| traffic::selects(&service, &there)) {
        return Ok(Next::Resync);
    }
    // A pod that ends still answers: kube-proxy leads to those where no other is ready.
    let pods = live
        .list(Kind::Pod, &services::selector_of(&service))
        .await
        .map_err(api("listing pods"))?;
    if pods.iter().filter_map(PodFacts::read).any(|pod| pod.sidecar.is_some()) {
        return Ok(Next::After(OUTLIVED));
    }
    let gone = serde_json::json!({"metadata": {"name": workload}});
    if neighbour::relying(&live, &service, &gone, None).await?.is_some() {
        return Ok(Next::Resync);
    }
    if let Some(patch) = traffic::restore(&service) {
        let name = traffic::name_of(&service);
        if live
            .patch(Kind::Service, name, &patch)
            .await
            .map_err(api("restoring the Service"))?
            .is_none()
        {
            return Err(Failure::conflict("the Service changed meanwhile"));
        }
        tracing::info!(
            namespace,
            service = name,
            workload,
            "the workload is gone or no longer behind the Service, so that leads where it did before"
        );
    }
    Ok(Next::Resync)
}
