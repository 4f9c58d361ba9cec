//! Puts the parts together, runs them, and ends them in order: no new turns, running ones end, the lease goes back.

use crate::admin::{self, Health};
use crate::args::RunArguments;
use crate::budget::Budget;
use crate::client::Clients;
use crate::clock::Clock;
use crate::context::Context;
use crate::controller::{Change, Gate, Pace, Queue, Running, queue};
use crate::event::Events;
use crate::leader::{Elector, Leadership, Lost};
use crate::metrics::Metrics;
use crate::past::Past;
use crate::pod;
use crate::poke::Poker;
use crate::random;
use crate::report::{Guarded, Reports};
use crate::scope::Scope;
use crate::seen::Seen;
use crate::tasks::{Task, Tasks};
use crate::{controllers, excluded, proxy_controller};
use kube::Client;
use kube::runtime::reflector::{ObjectRef, Store};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

/// Time for running reconciles to end. What is cut off is done again by the next leader.
pub(crate) const GRACE: Duration = Duration::from_secs(20);

/// What all scopes share.
struct Shared {
    client: Client,
    events: Events,
    leader: Leadership,
    metrics: Metrics,
    stop: CancellationToken,
    /// Who we are in records: namespace and name of the lease.
    writer: String,
    proxy: pod::Defaults,
    pace: Pace,
    budget: Budget,
}

impl Shared {
    fn context(&self, scope: &Scope, queue: &Queue<Guarded>, poker: Poker) -> Context {
        Context {
            client: self.client.clone(),
            gate: Gate {
                leader: self.leader.clone(),
                stop: self.stop.clone(),
                metrics: self.metrics.clone(),
                scope: scope.clone(),
                pace: self.pace,
                running: Running::default(),
                budget: self.budget.clone(),
            },
            proxy: self.proxy.clone(),
            writer: self.writer.clone(),
            events: self.events.clone(),
            reports: Reports::new(queue.clone()),
            seen: Seen::default(),
            poker,
            metrics: self.metrics.clone(),
            clock: Clock::System,
            past: Past::default(),
        }
    }
}

/// Everything that runs, and what ends it.
struct Process {
    /// Wishes that the controllers end.
    stop: CancellationToken,
    /// They end when it is wished.
    controllers: Tasks,
    /// Everything else that is cut off at the end.
    background: Tasks,
    /// Wishes that the lease goes back.
    finish: CancellationToken,
    lease: JoinHandle<Result<(), Lost>>,
}

/// Runs the operator until it is told to stop.
///
/// # Errors
/// What kept it from starting, the loss of the lease, or a part that has ended by itself: the process ends and is started
/// again.
pub(crate) async fn run(arguments: RunArguments) -> Result<(), String> {
    let scopes = arguments.scope.scopes()?;
    let (times, proxy, pace) = (arguments.times()?, arguments.proxy(), arguments.pace());
    let listener = admin::bind(arguments.admin_address)
        .map_err(|error| format!("--admin-address {}: {error}", arguments.admin_address))?;
    let clients = Clients::infer().await?;
    let identity = identity(arguments.pod_name);
    let metrics = Metrics::new();
    let health = Health::new(metrics.clone());
    let (stop, finish) = (CancellationToken::new(), CancellationToken::new());
    let lease = (arguments.scope.pod_namespace.as_str(), arguments.scope.lease_name.as_str());
    let elector = Elector::new(clients.lease.clone(), lease, &identity, times, Clock::System);
    let (leader, lease) = elector.run(finish.clone().cancelled_owned());
    let client = clients.work(&leader)?;
    let lease = tokio::spawn(lease);
    let (controllers, background) = (Tasks::default(), Tasks::default());
    let mut process = Process { stop: stop.clone(), controllers, background, finish, lease };
    let admin = Task::new("the admin server", admin::serve(listener, health.clone()));
    process.background.spawn(admin);
    let events = Events::new(client.clone(), &identity, Clock::System);
    let writer = format!("{}/{}", arguments.scope.pod_namespace, arguments.scope.lease_name);
    let budget = Budget::default();
    let shared = Shared { client, events, leader, metrics, stop, writer, proxy, pace, budget };
    tracing::info!(version = env!("CARGO_PKG_VERSION"), identity, "started");

    start(&shared, &scopes, &mut process, &health);
    process.run(signalled()).await
}

/// Who this replica is, for the lease and events. Without the name of a pod no other process is called so: in containers all have
/// the same number, and who is called like the holder takes itself for it.
fn identity(pod_name: Option<String>) -> String {
    pod_name
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| format!("process-{:016x}", random::number()))
}

/// Waits for SIGTERM or SIGINT.
async fn signalled() -> Result<(), String> {
    let caught = |kind| signal(kind).map_err(|error| format!("signals can not be caught: {error}"));
    let (mut terminate, mut interrupt) =
        (caught(SignalKind::terminate())?, caught(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

impl Process {
    /// Waits until the end is wished, or until something ends that should not, and ends the rest in order.
    async fn run(mut self, wished: impl Future<Output = Result<(), String>>) -> Result<(), String> {
        let cause = tokio::select! {
            wished = wished => wished,
            ended = self.controllers.ended() => Err(ended),
            ended = self.background.ended() => Err(ended),
            lost = &mut self.lease => return Err(describe(lost)),
        };
        if let Err(error) = &cause {
            tracing::error!(error, "ending, to be started anew");
        }
        tracing::info!("stopping");
        self.stop.cancel();
        tokio::select! {
            finished = self.controllers.finish(GRACE) => {
                if let Err(running) = finished {
                    tracing::warn!(running, "running reconciles did not end in time");
                }
            }
            // Somebody else may write from now on.
            lost = &mut self.lease => return Err(describe(lost)),
        }
        self.background.shutdown().await;
        self.finish.cancel();
        let returned = self.lease.await.map_err(|error| format!("the lease: {error}"))?;
        cause?;
        returned.map_err(|error| error.to_string())
    }
}

fn describe(lost: Result<Result<(), Lost>, JoinError>) -> String {
    match lost {
        Ok(Ok(())) => "the lease ended".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(error) => format!("the lease: {error}"),
    }
}

/// Starts everything that belongs to the scopes.
fn start(shared: &Shared, scopes: &[Scope], process: &mut Process, health: &Health) {
    let Process { controllers, background, .. } = process;
    let mut synced = Vec::new();
    for scope in scopes {
        let (queue, requests) = queue();
        let (wake, woken) = controllers::wake();
        let client = &shared.client;
        let (poker, sender) = Poker::new(client.clone());
        background.spawn(sender);
        let context = Arc::new(shared.context(scope, &queue, poker));
        if let Scope::Cluster { except } = scope {
            for namespace in except {
                for task in excluded::watch(namespace, &context) {
                    background.spawn(task);
                }
            }
        }
        let seen = {
            let (wake, context) = (wake.clone(), Arc::clone(&context));
            move |object: &Guarded, change| {
                if change == Change::Deleted {
                    // Its finalizer may have been taken away by hand.
                    context.forget(&ObjectRef::from_obj(object));
                }
                wake.object_seen(object);
            }
        };
        let changed = proxy_controller::Changed::new(queue, context.past.clone());
        let (objects, made) = proxy_controller::start(scope, client, &changed, seen, background);
        background.spawn(Task::new(
            format!("the watch of references of {scope}"),
            proxy_controller::references::watch(
                Store::clone(&objects),
                changed,
                Arc::clone(&context),
            ),
        ));
        let workloads = controllers::start(&context, scope, &objects, (wake, woken));
        workloads.watches.into_iter().for_each(|task| background.spawn(task));
        workloads.controllers.into_iter().for_each(|task| controllers.spawn(task));
        let known = (objects.clone(), made);
        controllers.spawn(proxy_controller::controller(known, requests, context));
        synced.push((objects, workloads.synced));
    }
    let (metrics, leader) = (shared.metrics.clone(), shared.leader.clone());
    background.spawn(Task::once("the metric of the leader", async move {
        leader.acquired().await;
        metrics.set_leader(true);
    }));
    let health = health.clone();
    background.spawn(Task::once("readiness", async move {
        for (objects, workloads) in synced {
            objects.listed().await;
            workloads.await;
        }
        health.set_synced();
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tokio::time::{Instant, sleep};

    type Log = Arc<Mutex<Vec<&'static str>>>;

    /// A process of one controller, one loop and the lease, and what they did.
    fn process(log: &Log) -> Process {
        let (stop, finish) = (CancellationToken::new(), CancellationToken::new());
        let mut process = Process {
            stop: stop.clone(),
            controllers: Tasks::default(),
            background: Tasks::default(),
            lease: tokio::spawn({
                let (log, finish) = (Arc::clone(log), finish.clone());
                async move {
                    finish.cancelled().await;
                    log.lock().unwrap().push("the lease goes back");
                    Ok(())
                }
            }),
            finish,
        };
        let own = Arc::clone(log);
        process.controllers.spawn(Task::new("controller a", async move {
            stop.cancelled().await;
            sleep(Duration::from_secs(3)).await;
            own.lock().unwrap().push("a turn ends");
        }));
        process.background.spawn(Task::once("readiness", async {}));
        process
    }

    #[test]
    fn replicas_without_a_name_are_two() {
        assert_eq!(identity(Some("operator-1".to_owned())), "operator-1");
        for none in [None, Some(String::new())] {
            let one = identity(none.clone());
            assert!(one.starts_with("process-") && one != identity(none), "{one}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_runs_ends_before_the_lease_goes_back() {
        let log = Log::default();
        process(&log).run(sleep_then_ok()).await.unwrap();
        assert_eq!(*log.lock().unwrap(), ["a turn ends", "the lease goes back"]);
    }

    async fn sleep_then_ok() -> Result<(), String> {
        sleep(Duration::from_mins(1)).await;
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_ends_or_panics_ends_the_process_by_its_name_and_in_order() {
        for controller in [true, false] {
            for panics in [true, false] {
                let log = Log::default();
                let mut process = process(&log);
                let part = Task::new("the watch of pods", async move {
                    sleep(Duration::from_secs(1)).await;
                    assert!(!panics, "boom");
                });
                let tasks =
                    if controller { &mut process.controllers } else { &mut process.background };
                tasks.spawn(part);
                let error = process.run(std::future::pending()).await.unwrap_err();
                assert!(error.starts_with("the watch of pods has ended"), "{error}");
                assert_eq!(error.contains("boom"), panics, "{error}");
                assert_eq!(*log.lock().unwrap(), ["a turn ends", "the lease goes back"]);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_loses_the_lease_waits_for_nothing_even_at_the_end() {
        for stopping in [false, true] {
            let mut process = process(&Log::default());
            process.controllers.spawn(Task::new("a long turn", std::future::pending()));
            process.lease = tokio::spawn(async {
                sleep(Duration::from_secs(2)).await;
                Err(Lost::Taken("another".to_owned()))
            });
            let start = Instant::now();
            let wished = async {
                if !stopping {
                    std::future::pending::<()>().await;
                }
                Ok(())
            };
            let error = process.run(wished).await.unwrap_err();
            assert!(error.contains("another"), "{error}");
            assert_eq!(start.elapsed(), Duration::from_secs(2));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_does_not_end_is_cut_off() {
        let log = Log::default();
        let mut process = process(&log);
        process.controllers.spawn(Task::new("a long turn", std::future::pending()));
        let start = Instant::now();
        process.run(async { Ok(()) }).await.unwrap();
        assert_eq!(start.elapsed(), GRACE);
        assert_eq!(*log.lock().unwrap(), ["a turn ends", "the lease goes back"]);
    }
}
