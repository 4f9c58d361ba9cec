//! The loop that every controller runs: take an object whose turn it is, reconcile it within a time limit and only as the
//! leader, record what happened, and decide when its next turn is.
//!
//! What is watched and what a reconcile does is the caller's. Nothing here knows a kind.

mod backoff;
mod fingerprint;
mod index;
mod queue;
mod running;
mod watch;

pub(crate) use fingerprint::{Expected, Fingerprints};
pub(crate) use queue::{Queue, Requests, queue};
pub(crate) use running::Running;
pub(crate) use watch::{Change, Kept, Objects, follow};

use crate::budget::{Budget, Share};
use crate::failure::Failure;
use crate::jitter::jittered;
use crate::leader::Leadership;
use crate::metrics::Metrics;
use crate::scope::Scope;
use crate::tasks::Task;
use backoff::Backoff;
use futures_util::{FutureExt as _, StreamExt as _};
use kube::runtime::controller::{Action, Config, Error, applier};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt as _};
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::{Future, ready};
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// No reconcile takes longer: one that hangs must not hold its slot for ever.
const TIME_LIMIT: Duration = Duration::from_mins(1);

/// How much a controller does at a time, and how often without cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Reconciles at a time of each controller. Enough to hide the API server's latency, few enough not to bury it.
    pub(crate) concurrency: u16,
    /// Every object gets a turn this often, because a watch can lose an event.
    pub(crate) resync: Duration,
}

/// When an object that was reconciled gets its next turn, if nothing happens before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// At the usual interval, longer where there are many.
    Resync,
    /// At this interval, longer where there are many: what a watch reports does not wait for it.
    Settled(Duration),
    /// At the usual interval, and as if it were not there: the turn asked nobody anything.
    Idle,
    /// After this long, because something that no watch reports is awaited.
    After(Duration),
    /// Soon, because something that no watch reports is under way, and later each time that the same was found, which this
    /// number stands for.
    Soon(u64),
}

/// When controllers may work, and where they are counted. Clones are one.
#[derive(Clone)]
pub(crate) struct Gate {
    /// Whether this replica may write.
    pub(crate) leader: Leadership,
    /// Cancelled when the process is to stop.
    pub(crate) stop: CancellationToken,
    /// Counts reconciles.
    pub(crate) metrics: Metrics,
    /// The namespaces that are looked after.
    pub(crate) scope: Scope,
    /// How much is done at a time, and how often.
    pub(crate) pace: Pace,
    /// Which turns are under way.
    pub(crate) running: Running,
    /// How often what is settled has a turn.
    pub(crate) budget: Budget,
}

/// A controller: a name for logs and metrics, the objects, and whose turn it is.
pub(crate) struct Controller<K>
where
    K: Resource + 'static,
    K::DynamicType: Hash + Eq,
{
    /// Label of the controller's metrics.
    pub(crate) name: &'static str,
    /// What its turns are counted as.
    pub(crate) share: Share,
    /// The objects, kept current by a watch.
    pub(crate) objects: Objects<K>,
    /// Whose turn it is.
    pub(crate) requests: Requests<K>,
}

impl<K> Controller<K>
where
    K: Resource + Clone + Debug + Send + Sync + 'static,
    K::DynamicType: Debug + Default + Eq + Hash + Clone + Unpin,
{
    /// Runs until the end is wished, then lets running reconciles end.
    pub(crate) fn task<F, R>(self, gate: Gate, reconcile: F) -> Task
    where
        F: Fn(Arc<K>) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<Next, Failure>> + Send + 'static,
    {
        let name = format!("controller {} of {}", self.name, gate.scope);
        Task::new(name, self.run(gate, Arc::default(), reconcile))
    }

    async fn run<F, R>(self, gate: Gate, backoff: Arc<Backoff>, reconcile: F)
    where
        F: Fn(Arc<K>) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<Next, Failure>> + Send,
    {
        let Self { name, share, objects, requests } = self;
        gate.metrics.queue(name, requests.waiting.counter());
        tokio::select! {
            () = objects.listed() => {}
            () = gate.stop.cancelled() => return,
        }
        let (store, waiting) = (Store::clone(&objects), requests.waiting.clone());
        let requests = requests.take_until(gate.stop.clone().cancelled_owned());
        let config = Config::default()
            .debounce(Duration::from_millis(50))
            .concurrency(gate.pace.concurrency);
        let gone = (Arc::clone(&backoff), waiting.clone(), gate.budget.clone());
        let turn = move |object: Arc<K>, gate: Arc<Gate>| {
            let (objects, reconcile, backoff, waiting) =
                (objects.clone(), reconcile.clone(), Arc::clone(&backoff), waiting.clone());
            Box::pin(async move {
                let reference = ObjectRef::from_obj(object.as_ref());
                tokio::select! {
                    () = gate.leader.acquired() => {}
                    () = gate.stop.cancelled() => return Ok::<_, Infallible>(Action::await_change()),
                }
                waiting.remove(&reference);
                // The wait for leadership may have been long: what is in the store now counts.
                let Some(object) = objects.get(&reference) else {
                    backoff.forget(&key(&reference));
                    gate.budget.forget(share, key(&reference));
                    return Ok(Action::await_change());
                };
                // Whatever brought the turn about: what is left out is left alone.
                if !gate.scope.holds(&object.namespace().unwrap_or_default()) {
                    return Ok(Action::await_change());
                }
                Ok(Action::requeue(
                    attempt((name, share, &gate), &object, &backoff, &reconcile).await,
                ))
            })
        };
        applier(turn, |_, error, _| match *error {}, Arc::new(gate), store, requests, config)
            .for_each(|turn| {
                // No turn is given to what is gone, so this is all that is heard of it.
                if let Err(Error::ObjectNotFound(reference)) = turn {
                    let (backoff, waiting, budget) = &gone;
                    let namespace = reference.namespace.as_deref().unwrap_or_default();
                    let reference = ObjectRef::new(&reference.name).within(namespace);
                    backoff.forget(&key(&reference));
                    budget.forget(share, key(&reference));
                    waiting.remove(&reference);
                }
                ready(())
            })
            .await;
    }
}

/// What an object is called in logs, and remembered by.
fn key<K>(reference: &ObjectRef<K>) -> String
where
    K: Resource,
    K::DynamicType: Hash + Eq,
{
    format!("{}/{}", reference.namespace.as_deref().unwrap_or_default(), reference.name)
}

/// One turn of one object, and when the next one is. Its failures end here, its panics too: what one object brings about stops
/// no other.
async fn attempt<K, F, R>(
    (name, share, gate): (&'static str, Share, &Gate),
    object: &Arc<K>,
    backoff: &Backoff,
    reconcile: &F,
) -> Duration
where
    K: Resource,
    K::DynamicType: Default + Hash + Eq,
    F: Fn(Arc<K>) -> R,
    R: Future<Output = Result<Next, Failure>>,
{
    let key = key(&ObjectRef::from_obj(object.as_ref()));
    let start = Instant::now();
    let _turn = gate.running.enter(name, &key);
    let turn = timeout(TIME_LIMIT, async { reconcile(Arc::clone(object)).await });
    // Nothing that a turn shares is taken for true afterwards: what to write is read anew from the cluster.
    let result = match AssertUnwindSafe(turn).catch_unwind().await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(Failure::timeout(TIME_LIMIT)),
        Err(panic) => Err(Failure::defect(panic.as_ref())),
    };
    let class = result.as_ref().err().map(|failure| failure.class);
    gate.metrics.reconciled(name, class, start.elapsed());
    let settled = |usual| gate.budget.settled(share, &key, usual);
    match result {
        Ok(Next::Soon(state)) => match backoff.soon(&key, state) {
            delay if delay < backoff::LAST => delay,
            delay => settled(delay),
        },
        Ok(next) => {
            backoff.forget(&key);
            let delay = match next {
                Next::After(delay) => delay,
                Next::Settled(usual) => settled(usual),
                Next::Idle => {
                    gate.budget.forget(share, &key);
                    gate.pace.resync
                }
                Next::Resync | Next::Soon(_) => settled(gate.pace.resync),
            };
            jittered(delay, &key)
        }
        Err(failure) => {
            let delay = backoff.failed(&key, &failure);
            tracing::warn!(controller = name, object = key, reason = failure.class.as_str(), retry_in = ?delay, "{failure}");
            delay
        }
    }
}

#[cfg(test)]
mod tests;
