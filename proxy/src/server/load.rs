//! How many connections each worker has, so that the total is bounded and nobody sits idle beside a busy one.

use crate::metrics::Event;
use crate::worker::Worker;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Connections that a worker may have above the least loaded one before it hands new ones over. Handing over costs a few
/// microseconds and only long-lived connections are worth it, so small differences stay.
const SLACK: usize = 1;

/// The connections of all workers.
#[derive(Debug)]
pub(super) struct Loads {
    workers: Vec<AtomicUsize>,
    total: AtomicUsize,
    limit: usize,
}

impl Loads {
    pub(super) fn new(workers: usize, limit: usize) -> Arc<Self> {
        let workers = (0..workers).map(|_| AtomicUsize::new(0)).collect();
        Arc::new(Self { workers, total: AtomicUsize::new(0), limit })
    }

    /// The worker that should serve a connection that `own` has accepted.
    pub(super) fn target(&self, own: usize) -> usize {
        let count = |index: usize| {
            self.workers.get(index).map_or(usize::MAX, |count| count.load(Ordering::Relaxed))
        };
        let least = (0..self.workers.len()).min_by_key(|index| count(*index)).unwrap_or(own);
        if count(own) > count(least).saturating_add(SLACK) { least } else { own }
    }

    /// A place for one more connection of `worker`, if there is one.
    pub(super) fn enter(self: &Arc<Self>, worker: usize) -> Option<Slot> {
        let count = self.workers.get(worker)?;
        if self.total.fetch_add(1, Ordering::Relaxed) >= self.limit {
            self.total.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        count.fetch_add(1, Ordering::Relaxed);
        Some(Slot { loads: Arc::clone(self), index: worker, worker: None })
    }
}

/// The place of one connection; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    loads: Arc<Loads>,
    index: usize,
    worker: Option<Arc<Worker>>,
}

impl Slot {
    /// The connection has arrived at its worker, on whose thread this is.
    pub(super) fn take(&mut self, worker: &Arc<Worker>) {
        worker.shard.count(Event::ConnectionOpened);
        self.worker = Some(Arc::clone(worker));
    }

    /// Whether the worker has more than `limit` connections.
    pub(super) fn is_crowded(&self, limit: usize) -> bool {
        self.loads
            .workers
            .get(self.index)
            .is_some_and(|count| count.load(Ordering::Relaxed) > limit)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(count) = self.loads.workers.get(self.index) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
        self.loads.total.fetch_sub(1, Ordering::Relaxed);
        if let Some(worker) = &self.worker {
            worker.shard.count(Event::ConnectionClosed);
        }
    }
}
