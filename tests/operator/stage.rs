//! A workload says of itself how far it is.

use crate::object;
use crate::objects::{alone, ready};
use crate::services::{carries, deployment};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_says_of_itself_how_far_it_is() {
    let (namespace, _operator) = alone("stage").await;
    let says = |stage: Option<&'static str>| {
        move |live: &Value| {
            let said = live.pointer("/metadata/annotations/oauth2proxy.dev~1status");
            said.and_then(Value::as_str) == stage
        }
    };
    namespace.apply(&deployment("web", "app: web", "main"));
    namespace.until("deployment/web", "it waits for its object", says(Some("Waiting"))).await;
    namespace.apply(&object("main", ""));
    namespace.until("o2p/main", "the object is ready", ready).await;
    let before =
        namespace.until("deployment/web", "it has no pods to wait for", says(Some("Routed"))).await;
    assert!(carries(&before), "{before:#}");

    namespace
        .ok(&["annotate", "deployment/web", "oauth2proxy.dev/status=Waiting", "--overwrite"], None);
    let after = namespace.until("deployment/web", "it is put right", says(Some("Routed"))).await;
    assert_eq!(after["spec"], before["spec"], "no rollout");

    namespace.ok(&["annotate", "deployment/web", "oauth2proxy.dev/inject-"], None);
    let gone = |live: &Value| !carries(live) && says(None)(live);
    namespace.until("deployment/web", "nothing is left", gone).await;

    let template = r#"{"spec": {"template": {"metadata": {"annotations": {"oauth2proxy.dev/inject": "main"}}}}}"#;
    namespace.ok(&["patch", "deployment/web", "-p", template], None);
    namespace.until("deployment/web", "it is in the wrong place", says(Some("Refused"))).await;
}
