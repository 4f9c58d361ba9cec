//! Notices that a Secret or config map that an object names has changed, without the right to list or watch any.
//!
//! A watch of Secrets, even of a single one, needs a right that shows all of them. So the version of each is asked for by
//! its name, the contents left out as long as it is the same, in turn and at a bounded rate: within 5 seconds for up to 100 references, more slowly
//! for more. Only the leader asks.

use super::dereference;
use crate::context::Context;
use crate::controller::Queue;
use crate::report::Guarded;
use crate::seen::{Kind, Reference, Version};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, ResourceExt as _};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Time between two rounds at least.
const ROUND: Duration = Duration::from_secs(5);
/// Time between two requests at least.
const INTERVAL: Duration = Duration::from_millis(50);

/// Time for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks round after round, until the process ends.
pub(crate) async fn watch(store: Store<Guarded>, queue: Queue<Guarded>, context: Arc<Context>) {
    context.gate.leader.acquired().await;
    loop {
        let start = Instant::now();
        let mut named: HashMap<Reference, Vec<ObjectRef<Guarded>>> = HashMap::new();
        for (object, reference) in references(&store) {
            named.entry(reference).or_default().push(object);
        }
        context.seen.retain(&named);
        for (reference, objects) in named {
            sleep(INTERVAL).await;
            // No answer says nothing about the Secret.
            let Ok(Ok(resource)) = timeout(PATIENCE, resource(&reference, &context)).await else {
                continue;
            };
            let differ = |object: &ObjectRef<Guarded>| {
                context.seen.may_differ(object, &reference, resource.as_deref())
            };
            if !objects.iter().any(differ) {
                continue;
            }
            // Its metadata has changed: whether anything else has, its contents tell.
            let Ok(Ok(version)) = timeout(PATIENCE, version(&reference, &context)).await else {
                continue;
            };
            for object in objects {
                if context.seen.differs(&object, &reference, version.as_ref()) {
                    queue.push(object);
                }
            }
        }
        sleep(ROUND.saturating_sub(start.elapsed())).await;
    }
}

/// The resource version; none if it does not exist.
async fn resource(
    Reference { kind, namespace, name }: &Reference,
    context: &Context,
) -> Result<Option<String>, kube::Error> {
    let client = context.client.clone();
    let metadata = match kind {
        Kind::Secret => Api::<Secret>::namespaced(client, namespace)
            .get_metadata_opt(name)
            .await?
            .map(|live| live.resource_version()),
        Kind::ConfigMap => Api::<ConfigMap>::namespaced(client, namespace)
            .get_metadata_opt(name)
            .await?
            .map(|live| live.resource_version()),
    };
    Ok(metadata.flatten())
}

/// What is there; none if it does not exist.
async fn version(
    Reference { kind, namespace, name }: &Reference,
    context: &Context,
) -> Result<Option<Version>, kube::Error> {
    let (client, seen) = (context.client.clone(), &context.seen);
    Ok(match kind {
        Kind::Secret => {
            let live = Api::<Secret>::namespaced(client, namespace).get_opt(name).await?;
            live.map(|live| dereference::secret_version(&live, seen))
        }
        Kind::ConfigMap => {
            let live = Api::<ConfigMap>::namespaced(client, namespace).get_opt(name).await?;
            live.map(|live| dereference::map_version(&live, seen))
        }
    })
}

/// Every Secret and config map that the objects of a store name. The objects are taken as they are: looking at all of them
/// every few seconds has to be cheap.
fn references(store: &Store<Guarded>) -> Vec<(ObjectRef<Guarded>, Reference)> {
    let mut references = Vec::new();
    for guarded in store.state() {
        let Ok(object) = &guarded.0 else { continue };
        let namespace = object.namespace().unwrap_or_default();
        let to = |kind, name| {
            let reference = Reference { kind, namespace: namespace.clone(), name };
            (ObjectRef::from_obj(guarded.as_ref()), reference)
        };
        let secrets = dereference::secret_names(&object.name_any(), &object.spec);
        references.extend(secrets.into_iter().map(|name| to(Kind::Secret, name)));
        references.extend(
            dereference::emails_map(&object.spec).map(|map| to(Kind::ConfigMap, map.name.clone())),
        );
    }
    references
}
