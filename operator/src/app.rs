//! Puts the parts together, runs them, and ends them in order: no new turns, running ones end, the lease goes back.

use crate::admin::{self, Health};
use crate::args::RunArguments;
use crate::client::Clients;
use crate::clock::Clock;
use crate::context::Context;
use crate::controller::{Gate, Pace, queue};
use crate::event::Events;
use crate::leader::{Elector, Leadership};
use crate::metrics::Metrics;
use crate::pod;
use crate::poke::Poker;
use crate::report::{Guarded, Reports};
use crate::scope::Scope;
use crate::seen::Seen;
use crate::stop::{self, Stop};
use crate::workload_controller::{self, Wake};
use crate::{excluded, proxy_controller};
use futures_util::future::join_all;
use kube::runtime::reflector::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Time for running reconciles to end. What is cut off is done again by the next leader.
const GRACE: Duration = Duration::from_secs(20);

/// What all scopes share.
struct Shared {
    clients: Clients,
    leader: Leadership,
    metrics: Metrics,
    stop: Stop,
    identity: String,
    proxy: pod::Defaults,
    pace: Pace,
}

/// Runs the operator until it is told to stop.
///
/// # Errors
/// What kept it from starting, or the loss of the lease: in both cases the process ends and is started again.
pub(crate) async fn run(arguments: RunArguments) -> Result<(), String> {
    let scopes = arguments.scope.scopes()?;
    let (times, proxy, pace) = (arguments.times()?, arguments.proxy(), arguments.pace());
    let listener = admin::bind(arguments.admin_address)
        .map_err(|error| format!("--admin-address {}: {error}", arguments.admin_address))?;
    let clients = Clients::infer().await?;
    let identity = arguments.pod_name.unwrap_or_else(|| format!("process-{}", std::process::id()));
    let metrics = Metrics::new();
    let health = Health::new(metrics.clone());
    let (stopper, stop) = Stop::new();
    let (finish, finished) = Stop::new();
    let lease = (arguments.scope.pod_namespace.as_str(), arguments.scope.lease_name.as_str());
    let elector = Elector::new(clients.lease.clone(), lease, &identity, times, Clock::System);
    let (leader, lease) = elector.run(finished.wished());
    let mut lease = tokio::spawn(lease);
    let mut background = JoinSet::new();
    background.spawn(admin::serve(listener, health.clone()));
    let shared = Shared { clients, leader, metrics, stop, identity, proxy, pace };
    tracing::info!(version = env!("CARGO_PKG_VERSION"), identity = shared.identity, "started");

    let controllers = start(&shared, &scopes, &mut background, &health);
    tokio::select! {
        signalled = stop::signalled() => signalled.map_err(|error| format!("signals: {error}"))?,
        lost = &mut lease => return Err(describe(lost)),
    }
    tracing::info!("stopping");
    stopper.stop();
    if tokio::time::timeout(GRACE, join_all(controllers)).await.is_err() {
        tracing::warn!("running reconciles did not end in time");
    }
    background.shutdown().await;
    finish.stop();
    lease.await.map_err(|error| format!("the lease: {error}"))?.map_err(|error| error.to_string())
}

fn describe(lost: Result<Result<(), crate::leader::Lost>, tokio::task::JoinError>) -> String {
    match lost {
        Ok(Ok(())) => "the lease ended".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(error) => format!("the lease: {error}"),
    }
}

/// Starts everything that belongs to the scopes. The controllers' tasks are returned, because they are waited for.
fn start(
    shared: &Shared,
    scopes: &[Scope],
    background: &mut JoinSet<()>,
    health: &Health,
) -> Vec<tokio::task::JoinHandle<()>> {
    let mut controllers = Vec::new();
    let mut synced = Vec::new();
    for scope in scopes {
        let (queue, requests) = queue();
        let (wake, woken) = Wake::new();
        let client = &shared.clients.work;
        let context = Arc::new(Context {
            client: client.clone(),
            gate: Gate {
                leader: shared.leader.clone(),
                stop: shared.stop.clone(),
                metrics: shared.metrics.clone(),
                scope: scope.clone(),
                pace: shared.pace,
            },
            proxy: shared.proxy.clone(),
            events: Events::new(client.clone(), &shared.identity),
            reports: Reports::new(queue.clone()),
            seen: Seen::default(),
            poker: Poker::start(client.clone()),
            metrics: shared.metrics.clone(),
            clock: Clock::System,
        });
        if let Scope::Cluster { except } = scope {
            for namespace in except {
                background.spawn(excluded::watch(namespace.clone(), Arc::clone(&context)));
            }
        }
        let seen = {
            let wake = wake.clone();
            move |object: &Guarded| wake.object_seen(object)
        };
        let objects = proxy_controller::start(scope, client, &queue, seen, background);
        background.spawn(proxy_controller::references::watch(
            Store::clone(&objects),
            queue,
            Arc::clone(&context),
        ));
        let workloads = workload_controller::start(&context, scope, &objects, (wake, woken));
        for watch in workloads.watches {
            background.spawn(watch);
        }
        controllers.extend(workloads.controllers.into_iter().map(tokio::spawn));
        controllers.push(tokio::spawn(proxy_controller::run(objects.clone(), requests, context)));
        synced.push((objects, workloads.synced));
    }
    let (metrics, leader) = (shared.metrics.clone(), shared.leader.clone());
    background.spawn(async move {
        leader.acquired().await;
        metrics.set_leader(true);
    });
    let health = health.clone();
    background.spawn(async move {
        for (objects, workloads) in synced {
            objects.listed().await;
            workloads.await;
        }
        health.set_synced();
    });
    controllers
}
