//! What makes an object's turn come: the object itself, what we made for it, and the Secrets that it names.

use super::{dereference, reconcile};
use crate::context::Context;
use crate::controller::{Controller, Objects, Queue, Requests, follow};
use crate::object::{MANAGED_BY, OBJECT};
use crate::references::{Kind, Reference};
use crate::report::Guarded;
use crate::scope::Scope;
use crate::workload_controller::Wake;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Resource, ResourceExt as _};
use std::future::Future;
use std::sync::Arc;
use tokio::task::JoinSet;

/// The objects of a scope, and the watches that feed the queue. Spawned on `tasks`; they run until the process ends.
pub(crate) fn start(
    scope: &Scope,
    client: &kube::Client,
    (queue, wake): (&Queue<Guarded>, &Wake),
    tasks: &mut JoinSet<()>,
) -> Objects<Guarded> {
    let (own, wake) = (queue.clone(), wake.clone());
    let (objects, watch) = follow::<Guarded>(scope.api(client), scope.watch(), move |object| {
        own.push(ObjectRef::from_obj(object));
        wake.object_seen(object);
    });
    tasks.spawn(watch);
    let ours = scope.watch().labels(&format!("{}={},{OBJECT}", MANAGED_BY.0, MANAGED_BY.1));
    tasks.spawn(owned::<Deployment>(scope, client, ours.clone(), queue));
    tasks.spawn(owned::<PartialObjectMeta<Service>>(scope, client, ours, queue));
    objects
}

/// Gives the turn to the object that something of ours was made for.
fn owned<K>(
    scope: &Scope,
    client: &kube::Client,
    config: watcher::Config,
    queue: &Queue<Guarded>,
) -> impl Future<Output = ()> + Send + 'static + use<K>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let queue = queue.clone();
    let (_, watch) = follow::<K>(scope.api(client), config, move |made| {
        if let (Some(object), Some(namespace)) = (made.labels().get(OBJECT), made.namespace()) {
            queue.push(ObjectRef::new(object).within(&namespace));
        }
    });
    watch
}

/// Runs the controller until its queue is closed.
pub(crate) async fn run(
    objects: Objects<Guarded>,
    requests: Requests<Guarded>,
    context: Arc<Context>,
) {
    Controller { name: "oauth2proxy", objects, requests }.run(context, reconcile).await;
}

/// Every Secret and config map that the objects of a store name. The objects are taken as they are: looking at all of them
/// every few seconds has to be cheap.
pub(crate) fn references(store: &Store<Guarded>) -> Vec<(ObjectRef<Guarded>, Reference)> {
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
