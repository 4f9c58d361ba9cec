//! What makes an object's turn come: the object itself, what we made for it, and the Secrets that it names.

use super::reconcile;
use crate::budget::Share;
use crate::context::Context;
use crate::controller::{Change, Controller, Fingerprints, Kept, Objects, Queue, Requests, follow};
use crate::object::{MANAGED_BY, OBJECT};
use crate::past::Past;
use crate::report::Guarded;
use crate::scope::Scope;
use crate::tasks::{Task, Tasks};
use futures_util::FutureExt as _;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Service, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Resource, ResourceExt as _};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

/// What was made for stand-alone proxies, as far as the watches know: that something is there may be believed, that it is not
/// only if nothing follows from it but to leave everything as it is.
#[derive(Clone)]
pub(crate) struct Made(Arc<Known>);

/// Whether something of a namespace and name is there.
type Known = dyn Fn(&str, &str) -> bool + Send + Sync;

impl Made {
    /// What is known by `known`.
    pub(super) fn by(known: impl Fn(&str, &str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(known))
    }

    /// Whether anything of this name may be there. What comes later is reported by its watch, and the object gets its turn.
    pub(super) fn may_hold(&self, namespace: &str, name: &str) -> bool {
        (self.0)(namespace, name)
    }
}

/// The name of the controller in logs and metrics.
pub(super) const NAME: &str = "oauth2proxy";

/// Gives turns to objects of which something changed that their turns are derived from.
#[derive(Clone)]
pub(crate) struct Changed {
    queue: Queue<Guarded>,
    past: Past,
}

impl Changed {
    /// Asks for turns by this queue.
    pub(crate) const fn new(queue: Queue<Guarded>, past: Past) -> Self {
        Self { queue, past }
    }

    /// Asks for a turn that goes by nothing that an earlier one found.
    pub(super) fn push(&self, object: ObjectRef<Guarded>) {
        self.past.changed(&object);
        self.queue.push(object);
    }
}

/// The objects of a scope, and the watches that give them turns. Spawned on `tasks`; they run until the process ends. `seen` is told
/// of every object that is listed, changed or deleted.
pub(crate) fn start(
    scope: &Scope,
    client: &kube::Client,
    changed: &Changed,
    seen: impl Fn(&Guarded, Change) + Send + 'static,
    tasks: &mut Tasks,
) -> (Objects<Guarded>, Made) {
    let (own, known) = (changed.clone(), Fingerprints::default());
    // Whole, so that any annotation can bring a turn about.
    let (objects, watch) = follow::<Guarded>(
        scope.api(client),
        scope.watch(),
        Kept::whole(),
        move |object, change| {
            let reference = ObjectRef::from_obj(object);
            let now = (change == Change::Applied).then(|| wished(object.meta()));
            if known.is_news(&reference, now) {
                own.push(reference);
            }
            seen(object, change);
        },
    );
    tasks.spawn(watch);
    let ours = scope.watch().labels(&format!("{}={},{OBJECT}", MANAGED_BY.0, MANAGED_BY.1));
    let (deployments, watch) = owned::<Deployment>(scope, client, ours.clone(), changed);
    tasks.spawn(watch);
    let (services, watch) = owned::<Service>(scope, client, ours.clone(), changed);
    tasks.spawn(watch);
    let (accounts, watch) = owned::<ServiceAccount>(scope, client, ours, changed);
    tasks.spawn(watch);
    let made = Made::by(move |namespace, name| {
        holds(&deployments, namespace, name)
            || holds(&services, namespace, name)
            || holds(&accounts, namespace, name)
    });
    (objects, made)
}

/// A number that changes with all of an object that its own turn is derived from. The status is written by that turn.
pub(super) fn wished(object: &ObjectMeta) -> u64 {
    let mut hasher = DefaultHasher::new();
    let ObjectMeta { uid, generation, deletion_timestamp, labels, annotations, finalizers, .. } =
        object;
    (uid, generation, deletion_timestamp.is_some()).hash(&mut hasher);
    (labels, annotations, finalizers).hash(&mut hasher);
    hasher.finish()
}

/// Whether a watch knows of something. Before its first list has arrived, anything may be there.
fn holds<K>(objects: &Objects<PartialObjectMeta<K>>, namespace: &str, name: &str) -> bool
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    objects.listed().now_or_never().is_none()
        || objects.get(&ObjectRef::new(name).within(namespace)).is_some()
}

/// Gives the turn to the object that something of ours was made for.
fn owned<K>(
    scope: &Scope,
    client: &kube::Client,
    config: watcher::Config,
    changed: &Changed,
) -> (Objects<PartialObjectMeta<K>>, Task)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + Send
        + Sync
        + 'static,
{
    let changed = changed.clone();
    follow(scope.api::<PartialObjectMeta<K>>(client), config, Kept::ours(), move |made, _| {
        if let (Some(object), Some(namespace)) = (made.labels().get(OBJECT), made.namespace()) {
            changed.push(ObjectRef::new(object).within(&namespace));
        }
    })
}

/// The controller.
pub(crate) fn controller(
    (objects, made): (Objects<Guarded>, Made),
    requests: Requests<Guarded>,
    context: Arc<Context>,
) -> Task {
    let gate = context.gate.clone();
    Controller { name: NAME, share: Share::Objects, objects, requests }
        .task(gate, move |object| reconcile(object, made.clone(), Arc::clone(&context)))
}
