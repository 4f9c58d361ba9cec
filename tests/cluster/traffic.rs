//! No request is lost on the way in, while the configuration changes, in a rollout, and on the way out; and a connection
//! past the proxy is named for as long as it lasts.

use crate::load::Load;
use crate::stage::{Stage, object};
use serde_json::Value;
use tests::cluster::{condition, message};

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_lost_through_the_whole_life() {
    let stage = Stage::new("load").await;
    let load = Load::start(&stage.address(), "/healthz");
    stage.protect().await;
    stage.space.apply(&object("main", "^/(healthz|other)"));
    let reloaded = |object: &Value| {
        object.pointer("/status/workloads/0/upToDate") == Some(&Value::from(2))
            && object.pointer("/status/observedGeneration")
                == object.pointer("/metadata/generation")
    };
    stage.space.until("o2p/main", "the change is in force", reloaded).await;
    stage.space.ok(&["rollout", "restart", "deployment/web"], None);
    stage.available().await;
    stage.routed().await;
    stage.give_back().await;
    let outcome = load.stop().await;
    assert!(
        outcome.failures.is_empty(),
        "{} failed: {:#?}",
        outcome.failures.len(),
        outcome.failures.iter().take(20).collect::<Vec<_>>()
    );
    assert!(outcome.rate >= 200.0, "only {} requests a second", outcome.rate);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_another_manager_is_left_alone_and_named() {
    let stage = Stage::new("foreign").await;
    stage.space.ok(&["annotate", "service/web", "meta.helm.sh/release-name=shop"], None);
    stage.space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/inject=main"], None);
    let named = |object: &Value| {
        condition(object, "TrafficRouted") == "False DirectPathOpen"
            && message(object, "TrafficRouted").contains("Helm release \"shop\"")
    };
    stage.space.until("o2p/main", "the Service is named", named).await;
    let target = |service: &Value| service.pointer("/spec/ports/0/targetPort").cloned();
    assert_eq!(target(&stage.space.get("service/web")), Some(Value::from("http")));
    stage.space.ok(&["annotate", "deployment/web", "oauth2proxy.dev/traffic=Retarget"], None);
    stage.routed().await;
    assert_eq!(target(&stage.space.get("service/web")), Some(Value::from(4180)));
    stage.give_back().await;
    assert_eq!(target(&stage.space.get("service/web")), Some(Value::from("http")));
}
