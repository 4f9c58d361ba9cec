//! Who takes the sidecar away gets it back, in a fight later each time.

use crate::object;
use crate::objects::{alone, ready};
use crate::services::{carries, deployment};
use std::time::Duration;
use tests::eventually::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_that_is_replaced_again_and_again_is_called_flapping() {
    let (namespace, _operator) = alone("replaced").await;
    namespace.apply(&object("main", ""));
    namespace.until("o2p/main", "the object is ready", ready).await;
    let manifest = deployment("web", "app: web", "main");
    namespace.apply(&manifest);
    // The record goes with everything else, and the sidecar comes back, sooner than anybody deploys.
    for _ in 0..5 {
        namespace.until("deployment/web", "the sidecar is there", carries).await;
        let companion = |service: &serde_json::Value| {
            service.pointer("/metadata/annotations/oauth2proxy.dev~1opted-in").is_some()
        };
        namespace.until("service/web-oauth2-proxy", "the opt-in is remembered", companion).await;
        namespace.ok(&["replace", "-f", "-"], Some(&manifest));
    }
    eventually("it is called flapping", Duration::from_secs(30), || async {
        let selector = "--field-selector=reason=Flapping,involvedObject.kind=Deployment";
        let events = namespace.ok(&["get", "events", selector, "-o", "json"], None);
        if events.contains("again and again") { Ok(()) } else { Err(events) }
    })
    .await;
    namespace.until("deployment/web", "the sidecar comes back all the same", carries).await;
}
