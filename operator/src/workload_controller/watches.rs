//! What brings a workload's turn about, and the controllers that take the turns.
//!
//! Watches carry metadata only; a turn reads what it needs. A Deployment that has nothing to do with us costs no request.

use super::desk::{Desk, Key};
use super::{keeper, reconcile, standalone, unsupported};
use crate::context::Context;
use crate::controller::{Controller, Objects, Queue, Requests, follow, queue};
use crate::inject::{INJECT, INJECTED};
use crate::report::Guarded;
use crate::scope::Scope;
use crate::tasks::Task;
use crate::traffic::{ORIGINALS, TRAFFIC, WORKLOAD, workload_of};
use futures_util::future::BoxFuture;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

type DeploymentMeta = PartialObjectMeta<Deployment>;
type ServiceMeta = PartialObjectMeta<Service>;

/// Everything that runs for the workloads of one scope.
pub(crate) struct Workloads {
    /// The watches; they run for ever.
    pub(crate) watches: Vec<Task>,
    /// The controllers; they run until the end is wished.
    pub(crate) controllers: Vec<Task>,
    /// Ends when every watch has delivered its first list.
    pub(crate) synced: BoxFuture<'static, ()>,
}

/// The end by which other parts ask for turns.
#[derive(Clone)]
pub(crate) struct Wake {
    desk: Arc<OnceLock<Arc<Desk>>>,
    deployments: Queue<DeploymentMeta>,
    services: Queue<ServiceMeta>,
    objects: Queue<Guarded>,
    /// Workloads without opt-in and record to which a Service of ours belongs.
    attached: Arc<Mutex<HashSet<Key>>>,
    service_store: Arc<OnceLock<Store<ServiceMeta>>>,
}

/// The ends that the controllers read.
pub(crate) struct Woken(Requests<DeploymentMeta>, Requests<ServiceMeta>, Requests<Guarded>);

impl Wake {
    /// A way to ask for turns, and the other ends for [`start`].
    pub(crate) fn new() -> (Self, Woken) {
        let (deployments, deployment_requests) = queue();
        let (services, service_requests) = queue();
        let (objects, object_requests) = queue();
        let wake = Self {
            desk: Arc::default(),
            deployments,
            services,
            objects,
            attached: Arc::default(),
            service_store: Arc::default(),
        };
        (wake, Woken(deployment_requests, service_requests, object_requests))
    }

    /// An object was listed, changed or deleted: so its workloads and its own pods are looked at.
    pub(crate) fn object_seen(&self, object: &Guarded) {
        let namespace = object.namespace().unwrap_or_default();
        self.objects.push(ObjectRef::from_obj(object));
        for name in self
            .desk
            .get()
            .map(|desk| desk.asking(&namespace, &object.name_any()))
            .unwrap_or_default()
        {
            self.deployments.push(ObjectRef::new(&name).within(&namespace));
        }
    }

    fn deployment_seen(&self, deployment: &DeploymentMeta) {
        let key = (deployment.namespace().unwrap_or_default(), deployment.name_any());
        let has = |name: &str| {
            deployment.annotations().contains_key(name) || deployment.labels().contains_key(name)
        };
        let attached =
            || self.attached.lock().unwrap_or_else(PoisonError::into_inner).contains(&key);
        if !(has(INJECT) || has(INJECTED) || attached() || self.is_known(&key)) {
            return;
        }
        let reference = ObjectRef::from_obj(deployment);
        if let Some(desk) = self.desk.get().filter(|desk| !desk.is_watched(&reference)) {
            desk.forget(&key);
            self.services_of(&key.0, |_| true)
                .into_iter()
                .for_each(|service| self.services.push(service));
        }
        self.deployments.push(reference);
    }

    fn service_seen(&self, service: &ServiceMeta) {
        let namespace = service.namespace().unwrap_or_default();
        if service.labels().contains_key(TRAFFIC) {
            let annotations = service.annotations();
            let named = annotations.get(WORKLOAD).cloned();
            if let Some(workload) = named.or_else(|| workload_of(annotations.get(ORIGINALS)?)) {
                let key = (namespace.clone(), workload.clone());
                self.attached.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
                self.deployments.push(ObjectRef::new(&workload).within(&namespace));
            }
            self.services.push(ObjectRef::from_obj(service));
        }
        for name in self.desk.get().map(|desk| desk.known(&namespace)).unwrap_or_default() {
            self.deployments.push(ObjectRef::new(&name).within(&namespace));
        }
    }

    fn is_known(&self, key: &Key) -> bool {
        self.desk.get().is_some_and(|desk| desk.known(&key.0).contains(&key.1))
    }

    fn services_of(
        &self,
        namespace: &str,
        wanted: impl Fn(&ServiceMeta) -> bool,
    ) -> Vec<ObjectRef<ServiceMeta>> {
        let services = self.service_store.get().map(Store::state).unwrap_or_default();
        let here = services
            .iter()
            .filter(|service| service.metadata.namespace.as_deref() == Some(namespace));
        here.filter(|service| service.labels().contains_key(TRAFFIC) && wanted(service))
            .map(|service| ObjectRef::from_obj(service.as_ref()))
            .collect()
    }
}

/// Sets up the watches and controllers of one scope. Nothing runs before the parts are driven.
pub(crate) fn start(
    context: &Arc<Context>,
    scope: &Scope,
    objects: &Objects<Guarded>,
    (wake, woken): (Wake, Woken),
) -> Workloads {
    let (deployments, deployment_watch) = follow(scope.api(&context.client), scope.watch(), {
        let wake = wake.clone();
        move |deployment| wake.deployment_seen(deployment)
    });
    let (services, service_watch) = follow(scope.api(&context.client), scope.watch(), {
        let wake = wake.clone();
        move |service| wake.service_seen(service)
    });
    let desk =
        Arc::new(Desk::new(scope.to_string(), Store::clone(&deployments), context.reports.clone()));
    let _ = wake.desk.set(Arc::clone(&desk));
    let _ = wake.service_store.set(Store::clone(&services));
    let all = (deployments, services, objects.clone());
    let mut controllers = controllers(context, &desk, all.clone(), woken);
    let mut watches = vec![deployment_watch, service_watch];
    let every = || scope.watch();
    for (watch, controller) in [
        refusing::<StatefulSet>(context, scope, every()),
        refusing::<DaemonSet>(context, scope, every()),
        refusing::<Job>(context, scope, every()),
        refusing::<CronJob>(context, scope, every()),
        refusing::<Pod>(context, scope, every().labels(INJECT)),
    ] {
        watches.push(watch);
        controllers.push(controller);
    }
    let synced = Box::pin(async move {
        all.0.listed().await;
        all.1.listed().await;
    });
    Workloads { watches, controllers, synced }
}

/// Watches a kind that gets no sidecar, to say so where one asks for it.
fn refusing<K>(context: &Arc<Context>, scope: &Scope, which: watcher::Config) -> (Task, Task)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let (queue, requests) = queue::<PartialObjectMeta<K>>();
    let (objects, watch) =
        follow(scope.api(&context.client), which, move |workload: &PartialObjectMeta<K>| {
            if unsupported::asks(workload).is_some() {
                queue.push(ObjectRef::from_obj(workload));
            }
        });
    let controller = Controller { name: "unsupported", objects, requests };
    let told = unsupported::Told::default();
    let owned = Arc::clone(context);
    let run = controller.task(context.gate.clone(), move |workload| {
        unsupported::reconcile(workload, Arc::clone(&owned), Arc::clone(&told))
    });
    (watch, run)
}

type All = (Objects<DeploymentMeta>, Objects<ServiceMeta>, Objects<Guarded>);

fn controllers(
    context: &Arc<Context>,
    desk: &Arc<Desk>,
    (deployments, services, objects): All,
    requests: Woken,
) -> Vec<Task> {
    let workload =
        Controller { name: "workload", objects: deployments.clone(), requests: requests.0 };
    let keeper = Controller { name: "service", objects: services, requests: requests.1 };
    let standalone = Controller { name: "fleet", objects, requests: requests.2 };
    let gate = || context.gate.clone();
    let parts = || (Arc::clone(context), Arc::clone(desk));
    vec![
        workload.task(gate(), {
            let (context, desk) = parts();
            move |object| reconcile(object, Arc::clone(&context), Arc::clone(&desk))
        }),
        keeper.task(gate(), {
            let (context, _) = parts();
            move |object| keeper::reconcile(object, Arc::clone(&context))
        }),
        standalone.task(gate(), {
            let (context, desk) = parts();
            move |object| {
                let (context, desk) = (Arc::clone(&context), Arc::clone(&desk));
                let deployments = deployments.clone();
                async move {
                    // Without the first list "no workload" would mean nothing.
                    deployments.listed().await;
                    standalone::reconcile(object, context, desk).await
                }
            }
        }),
    ]
}
