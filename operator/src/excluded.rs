//! Tells whoever asks for something in a namespace that is left out that nothing happens there. Nothing else is done in it:
//! its objects are in no store, and no controller gives them a turn.
//!
//! Watched by metadata, each such namespace by itself, and told once for each change of what is asked.

use crate::context::Context;
use crate::controller::{Change, Kept, follow};
use crate::event::{Note, Tone};
use crate::inject::{INJECT, INJECTED, OptIn, meaning};
use crate::tasks::Task;
use crds::{OAuth2Proxy, Reason};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::watcher;
use kube::{Api, Resource, ResourceExt as _};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What is to be told of what; nothing: it asks for nothing any more, or is gone.
type Told = (ObjectReference, Option<String>);

/// Watches one of the namespaces that are left out.
pub(crate) fn watch(namespace: &str, context: &Arc<Context>) -> [Task; 3] {
    let (tell, told) = unbounded_channel();
    let name = format!("the events of namespace {namespace}, which is left out");
    [
        asking::<Deployment>(namespace, context, &tell, of_deployment),
        asking::<OAuth2Proxy>(namespace, context, &tell, |_| Some(of_object())),
        Task::new(name, publish(told, Arc::clone(context))),
    ]
}

fn asking<K>(
    namespace: &str,
    context: &Context,
    tell: &UnboundedSender<Told>,
    say: fn(&PartialObjectMeta<K>) -> Option<String>,
) -> Task
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + Send
        + Sync
        + 'static,
{
    let (name, tell) = (namespace.to_owned(), tell.clone());
    let api = Api::<PartialObjectMeta<K>>::namespaced(context.client.clone(), namespace);
    let nothing = Kept::only(|_| false);
    let (_, watch) = follow(api, watcher::Config::default(), nothing, move |asking, change| {
        let consequence = match change {
            Change::Applied => say(asking),
            Change::Deleted => None,
        };
        let reference = ObjectReference {
            api_version: Some(K::api_version(&()).into_owned()),
            kind: Some(K::kind(&()).into_owned()),
            name: Some(asking.name_any()),
            namespace: Some(name.clone()),
            uid: asking.uid(),
            ..ObjectReference::default()
        };
        let text = consequence.map(|consequence| format!(
            "namespace {name} is left out (scope.excludeNamespaces of the chart), so {consequence}: take the namespace off that list"
        ));
        // A closed channel means that the process stops.
        let _ = tell.send((reference, text));
    });
    watch
}

fn of_deployment(deployment: &PartialObjectMeta<Deployment>) -> Option<String> {
    if deployment.annotations().contains_key(INJECTED) {
        return Some("its sidecar stays, and so do its Services, but nobody looks after them or takes them away".to_owned());
    }
    let asked = deployment.annotations().get(INJECT).or_else(|| deployment.labels().get(INJECT))?;
    (meaning(asked) != OptIn::No)
        .then(|| format!("{INJECT}={asked} has no effect and the application is open"))
}

fn of_object() -> String {
    "nothing is done for this object, and if it was in use before its deletion waits".to_owned()
}

/// Publishes what is new. A replica in reserve keeps the latest of each until it leads.
async fn publish(mut told: UnboundedReceiver<Told>, context: Arc<Context>) {
    let (mut known, mut pending) = (HashMap::new(), HashMap::new());
    let mut leads = false;
    loop {
        tokio::select! {
            () = context.gate.leader.acquired(), if !leads => leads = true,
            news = told.recv() => match news {
                Some((reference, Some(text))) => {
                    let uid = reference.uid.clone();
                    if known.insert(uid.clone(), text.clone()).as_ref() != Some(&text) {
                        pending.insert(uid, (reference, text));
                    }
                }
                Some((reference, None)) => {
                    known.remove(&reference.uid);
                    pending.remove(&reference.uid);
                }
                // Whoever tells has ended with the process.
                None => return,
            },
        }
        if !leads {
            continue;
        }
        for (_, (reference, text)) in pending.drain() {
            let note =
                Note { tone: Tone::Warning, reason: Reason::Unsupported, action: "Exclude", text };
            context.events.publish(&note, &reference, None).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(annotations: &serde_json::Value) -> Option<String> {
        let deployment = json!({"metadata": {"name": "web", "annotations": annotations}});
        of_deployment(&serde_json::from_value(deployment).unwrap())
    }

    #[test]
    fn who_asks_for_nothing_is_told_nothing() {
        assert_eq!(said(&json!({})), None);
        assert_eq!(said(&json!({INJECT: "false"})), None);
        assert!(said(&json!({INJECT: "main"})).unwrap().contains("is open"));
        assert!(said(&json!({INJECT: "false", INJECTED: "{}"})).unwrap().contains("stays"));
    }
}
