//! What makes an object's turn come: the object itself, what we made for it, and the Secrets that it names.

use super::reconcile;
use crate::context::Context;
use crate::controller::{Controller, Objects, Queue, Requests, follow};
use crate::object::{MANAGED_BY, OBJECT};
use crate::report::Guarded;
use crate::scope::Scope;
use crate::tasks::{Task, Tasks};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Resource, ResourceExt as _};
use std::sync::Arc;

/// The objects of a scope, and the watches that feed the queue. Spawned on `tasks`; they run until the process ends. `seen` is told
/// of every object that is listed, changed or deleted.
pub(crate) fn start(
    scope: &Scope,
    client: &kube::Client,
    queue: &Queue<Guarded>,
    seen: impl Fn(&Guarded) + Send + 'static,
    tasks: &mut Tasks,
) -> Objects<Guarded> {
    let own = queue.clone();
    let (objects, watch) = follow::<Guarded>(scope.api(client), scope.watch(), move |object, _| {
        own.push(ObjectRef::from_obj(object));
        seen(object);
    });
    tasks.spawn(watch);
    let ours = scope.watch().labels(&format!("{}={},{OBJECT}", MANAGED_BY.0, MANAGED_BY.1));
    tasks.spawn(owned::<PartialObjectMeta<Deployment>>(scope, client, ours.clone(), queue));
    tasks.spawn(owned::<PartialObjectMeta<Service>>(scope, client, ours, queue));
    objects
}

/// Gives the turn to the object that something of ours was made for.
fn owned<K>(
    scope: &Scope,
    client: &kube::Client,
    config: watcher::Config,
    queue: &Queue<Guarded>,
) -> Task
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
    let (_, watch) = follow::<K>(scope.api(client), config, move |made, _| {
        if let (Some(object), Some(namespace)) = (made.labels().get(OBJECT), made.namespace()) {
            queue.push(ObjectRef::new(object).within(&namespace));
        }
    });
    watch
}

/// The controller.
pub(crate) fn controller(
    objects: Objects<Guarded>,
    requests: Requests<Guarded>,
    context: Arc<Context>,
) -> Task {
    let gate = context.gate.clone();
    Controller { name: "oauth2proxy", objects, requests }
        .task(gate, move |object| reconcile(object, Arc::clone(&context)))
}
