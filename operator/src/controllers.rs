//! The watches and controllers of workloads and Services of one scope, joined: who is woken by what, and with what it works.

use crate::budget::Share;
use crate::context::Context;
use crate::controller::{Change, Controller, Kept, Objects, Queue, Requests, follow, queue};
use crate::inject::INJECT;
use crate::report::Guarded;
use crate::scope::Scope;
use crate::service_controller::{self, Board};
use crate::tasks::Task;
use crate::wake::Wake;
use crate::workload;
use crate::workload_controller::{self, Desk, observe, stage, standalone, unsupported};
use futures_util::future::BoxFuture;
use k8s_openapi::api::apps::v1::{DaemonSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::Pod;
use kube::Resource;
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;

/// Everything that runs for the workloads of one scope.
pub(crate) struct Started {
    /// The watches; they run for ever.
    pub(crate) watches: Vec<Task>,
    /// The controllers; they run until the end is wished.
    pub(crate) controllers: Vec<Task>,
    /// Ends when every watch has delivered its first list.
    pub(crate) synced: BoxFuture<'static, ()>,
}

/// The ends of the queues that the controllers read.
pub(crate) struct Woken {
    workloads: Requests<workload::Watched>,
    services: Requests<service_controller::Watched>,
    objects: Requests<Guarded>,
    observed: Requests<workload::Watched>,
    observe: Queue<workload::Watched>,
    turns: Queue<workload::Watched>,
    judged: Requests<workload::Watched>,
    stages: Queue<workload::Watched>,
}

/// A way to ask for turns, and the other ends for [`start`].
pub(crate) fn wake() -> (Wake, Woken) {
    let (workload_queue, workloads) = queue();
    let (service_queue, services) = queue();
    let (object_queue, objects) = queue();
    let (observe, observed) = queue();
    let (stages, judged) = queue();
    let turns = workload_queue.clone();
    let wake = Wake::new(workload_queue, service_queue, object_queue);
    (wake, Woken { workloads, services, objects, observed, observe, turns, judged, stages })
}

/// Sets up the watches and controllers of one scope. Nothing runs before the parts are driven.
pub(crate) fn start(
    context: &Arc<Context>,
    scope: &Scope,
    objects: &Objects<Guarded>,
    (wake, woken): (Wake, Woken),
) -> Started {
    let (workloads, workload_watch) =
        follow(scope.api(&context.client), scope.watch(), Kept::ours(), {
            let wake = wake.clone();
            move |workload, _| wake.workload_seen(workload)
        });
    let (services, service_watch) =
        follow(scope.api(&context.client), scope.watch(), Kept::ours(), {
            let wake = wake.clone();
            move |service, _| wake.service_seen(service)
        });
    let reports = context.reports.clone();
    let desk = Arc::new(Desk::new(
        scope.to_string(),
        workloads.clone(),
        reports,
        (woken.turns, woken.observe.clone(), woken.stages),
    ));
    let board =
        Arc::new(Board::new(workloads.clone(), services.clone(), objects.clone(), woken.observe));
    wake.place(Arc::clone(&board), Arc::clone(&desk));
    let all = Stores { workloads, services, objects: objects.clone() };
    let mut controllers = vec![
        run_workloads(context, &desk, &all, woken.workloads),
        run_observers(context, (&desk, &board), &all, woken.observed),
        run_stages(context, &desk, &all, woken.judged),
        run_services(context, &board, &all, woken.services),
        run_standalone(context, &desk, &all, woken.objects),
    ];
    let mut watches = vec![workload_watch, service_watch];
    for (watch, controller) in [
        refusing::<StatefulSet>((context, &desk), scope, scope.watch()),
        refusing::<DaemonSet>((context, &desk), scope, scope.watch()),
        refusing::<Job>((context, &desk), scope, scope.watch()),
        refusing::<CronJob>((context, &desk), scope, scope.watch()),
        refusing::<Pod>((context, &desk), scope, scope.watch().labels(INJECT)),
    ] {
        watches.push(watch);
        controllers.push(controller);
    }
    let synced = Box::pin(async move { all.listed().await });
    Started { watches, controllers, synced }
}

#[derive(Clone)]
struct Stores {
    workloads: Objects<workload::Watched>,
    services: Objects<service_controller::Watched>,
    objects: Objects<Guarded>,
}

impl Stores {
    /// Waits until all have their first list. Before that an empty answer would mean nothing.
    async fn listed(&self) {
        self.workloads.listed().await;
        self.services.listed().await;
        self.objects.listed().await;
    }
}

fn run_workloads(
    context: &Arc<Context>,
    desk: &Arc<Desk>,
    all: &Stores,
    requests: Requests<workload::Watched>,
) -> Task {
    let (context, desk) = (Arc::clone(context), Arc::clone(desk));
    let (gate, all) = (context.gate.clone(), all.clone());
    let controller = Controller {
        name: "workload",
        share: Share::Workloads,
        objects: all.workloads.clone(),
        requests,
    };
    controller.task(gate, move |object| {
        let (context, desk, all) = (Arc::clone(&context), Arc::clone(&desk), all.clone());
        async move {
            all.listed().await;
            desk.set_listed();
            workload_controller::reconcile(object, context, desk).await
        }
    })
}

fn run_observers(
    context: &Arc<Context>,
    (desk, board): (&Arc<Desk>, &Arc<Board>),
    all: &Stores,
    requests: Requests<workload::Watched>,
) -> Task {
    let (context, desk, board) = (Arc::clone(context), Arc::clone(desk), Arc::clone(board));
    let controller = Controller {
        name: "observe",
        share: Share::Observers,
        objects: all.workloads.clone(),
        requests,
    };
    controller.task(context.gate.clone(), move |object| {
        let places = (Arc::clone(&desk), Arc::clone(&board));
        observe::reconcile(object, Arc::clone(&context), places)
    })
}

fn run_stages(
    context: &Arc<Context>,
    desk: &Arc<Desk>,
    all: &Stores,
    requests: Requests<workload::Watched>,
) -> Task {
    let (context, desk) = (Arc::clone(context), Arc::clone(desk));
    let objects = all.workloads.clone();
    let controller = Controller { name: "stage", share: Share::Told, objects, requests };
    controller.task(context.gate.clone(), move |workload| {
        stage::reconcile(workload, Arc::clone(&context), Arc::clone(&desk))
    })
}

fn run_services(
    context: &Arc<Context>,
    board: &Arc<Board>,
    all: &Stores,
    requests: Requests<service_controller::Watched>,
) -> Task {
    let (context, board) = (Arc::clone(context), Arc::clone(board));
    let (gate, all) = (context.gate.clone(), all.clone());
    let controller = Controller {
        name: "service",
        share: Share::Services,
        objects: all.services.clone(),
        requests,
    };
    controller.task(gate, move |object| {
        let (context, board, all) = (Arc::clone(&context), Arc::clone(&board), all.clone());
        async move {
            all.listed().await;
            service_controller::reconcile(object, context, board).await
        }
    })
}

fn run_standalone(
    context: &Arc<Context>,
    desk: &Arc<Desk>,
    all: &Stores,
    requests: Requests<Guarded>,
) -> Task {
    let (context, desk) = (Arc::clone(context), Arc::clone(desk));
    let (gate, all) = (context.gate.clone(), all.clone());
    let controller = Controller {
        name: "fleet",
        share: Share::Standalone,
        objects: all.objects.clone(),
        requests,
    };
    controller.task(gate, move |object| {
        let (context, desk, all) = (Arc::clone(&context), Arc::clone(&desk), all.clone());
        async move {
            all.listed().await;
            standalone::reconcile(object, context, desk).await
        }
    })
}

/// Watches a kind that gets no sidecar, to say so where one asks for it.
fn refusing<K>(
    (context, desk): (&Arc<Context>, &Arc<Desk>),
    scope: &Scope,
    which: watcher::Config,
) -> (Task, Task)
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
    let seen = {
        let desk = Arc::clone(desk);
        move |workload: &PartialObjectMeta<K>, change| {
            let key = unsupported::reference(workload);
            let known = key.as_ref().is_some_and(|key| desk.is_known(key));
            match (change, key) {
                (Change::Deleted, Some(key)) if known => desk.forget(&key),
                (Change::Applied, _) if known || unsupported::asks(workload).is_some() => {
                    queue.push(ObjectRef::from_obj(workload));
                }
                _ => {}
            }
        }
    };
    // Jobs come and go by the thousand, and hardly one asks.
    let kept = Kept::only({
        let desk = Arc::clone(desk);
        move |workload: &PartialObjectMeta<K>| {
            let known = || unsupported::reference(workload).is_some_and(|key| desk.is_known(&key));
            unsupported::asks(workload).is_some() || known()
        }
    });
    let (objects, watch) = follow(scope.api(&context.client), which, kept, seen);
    let controller = Controller { name: "unsupported", share: Share::Told, objects, requests };
    let (context, desk) = (Arc::clone(context), Arc::clone(desk));
    let run = controller.task(context.gate.clone(), move |workload| {
        unsupported::reconcile(workload, Arc::clone(&context), Arc::clone(&desk))
    });
    (watch, run)
}

#[cfg(test)]
mod tests;
