//! The loop that every controller runs: take an object whose turn it is, reconcile it within a time limit and only as the
//! leader, record what happened, and decide when its next turn is.
//!
//! What is watched and what a reconcile does is the caller's. Nothing here knows a kind.

mod backoff;
mod queue;
mod watch;

pub(crate) use queue::{Queue, Requests, queue};
pub(crate) use watch::{Objects, follow};

use crate::failure::Failure;
use crate::leader::Leadership;
use crate::metrics::Metrics;
use crate::scope::Scope;
use crate::tasks::Task;
use backoff::Backoff;
use futures_util::StreamExt as _;
use kube::runtime::controller::{Action, Config, applier};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt as _};
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;
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
    /// At the usual interval.
    Resync,
    /// After this long, because something that no watch reports is awaited.
    After(Duration),
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
}

/// A controller: a name for logs and metrics, the objects, and whose turn it is.
pub(crate) struct Controller<K>
where
    K: Resource + 'static,
    K::DynamicType: Hash + Eq,
{
    /// Label of the controller's metrics.
    pub(crate) name: &'static str,
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
        Task::new(name, self.run(gate, reconcile))
    }

    async fn run<F, R>(self, gate: Gate, reconcile: F)
    where
        F: Fn(Arc<K>) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<Next, Failure>> + Send,
    {
        let Self { name, objects, requests } = self;
        tokio::select! {
            () = objects.listed() => {}
            () = gate.stop.cancelled() => return,
        }
        let backoff = Arc::new(Backoff::default());
        let store = Store::clone(&objects);
        let turn = move |object: Arc<K>, gate: Arc<Gate>| {
            let (objects, reconcile, backoff) =
                (objects.clone(), reconcile.clone(), Arc::clone(&backoff));
            Box::pin(async move {
                let reference = ObjectRef::from_obj(object.as_ref());
                tokio::select! {
                    () = gate.leader.acquired() => {}
                    () = gate.stop.cancelled() => return Ok::<_, Infallible>(Action::await_change()),
                }
                // The wait for leadership may have been long: what is in the store now counts.
                let Some(object) = objects.get(&reference) else {
                    backoff.forget(&reference.to_string());
                    return Ok(Action::await_change());
                };
                // Whatever brought the turn about: what is left out is left alone.
                if !gate.scope.holds(&object.namespace().unwrap_or_default()) {
                    return Ok(Action::await_change());
                }
                Ok(attempt((name, &gate), &object, &backoff, &reconcile).await)
            })
        };
        let config = Config::default()
            .debounce(Duration::from_millis(50))
            .concurrency(gate.pace.concurrency);
        let requests = requests.take_until(gate.stop.clone().cancelled_owned());
        applier(turn, |_, error, _| match *error {}, Arc::new(gate), store, requests, config)
            .for_each(|_| async {})
            .await;
    }
}

/// One turn of one object. Its failures end here.
async fn attempt<K, F, R>(
    (name, gate): (&'static str, &Gate),
    object: &Arc<K>,
    backoff: &Backoff,
    reconcile: &F,
) -> Action
where
    K: Resource,
    K::DynamicType: Default,
    F: Fn(Arc<K>) -> R,
    R: Future<Output = Result<Next, Failure>>,
{
    let key = format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any());
    let start = Instant::now();
    let result = timeout(TIME_LIMIT, reconcile(Arc::clone(object)))
        .await
        .unwrap_or_else(|_| Err(Failure::timeout(TIME_LIMIT)));
    let class = result.as_ref().err().map(|failure| failure.class);
    gate.metrics.reconciled(name, class, start.elapsed());
    match result {
        Ok(next) => {
            backoff.forget(&key);
            Action::requeue(match next {
                Next::Resync => backoff::jittered(gate.pace.resync, &key),
                Next::After(delay) => backoff::jittered(delay, &key),
            })
        }
        Err(failure) => {
            let delay = backoff.failed(&key, failure.class);
            tracing::warn!(controller = name, object = key, reason = failure.class.as_str(), retry_in = ?delay, "{failure}");
            Action::requeue(delay)
        }
    }
}
