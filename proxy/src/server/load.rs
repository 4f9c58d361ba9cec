//! How many connections each worker has, so that the total is bounded and nobody sits idle beside a busy one.

use crate::metrics::Event;
use crate::worker::Worker;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Connections that a worker may have above the least loaded one before it hands new ones over. Handing over costs a few
/// microseconds and only long-lived connections are worth it, so small differences stay.
const SLACK: usize = 1;

/// The connections of all workers.
#[derive(Debug)]
pub(super) struct Loads {
    workers: Vec<AtomicUsize>,
    total: AtomicUsize,
    limit: usize,
    /// There may be a place again.
    room: Notify,
}

impl Loads {
    pub(super) fn new(workers: usize, limit: usize) -> Arc<Self> {
        let workers = (0..workers).map(|_| AtomicUsize::new(0)).collect();
        Arc::new(Self { workers, total: AtomicUsize::new(0), limit, room: Notify::new() })
    }

    /// The worker that should serve a connection that `own` has accepted.
    fn target(&self, own: usize) -> usize {
        let count = |index: usize| {
            self.workers.get(index).map_or(usize::MAX, |count| count.load(Ordering::Relaxed))
        };
        let least = (0..self.workers.len()).min_by_key(|index| count(*index)).unwrap_or(own);
        if count(own) > count(least).saturating_add(SLACK) { least } else { own }
    }

    /// A place for a connection that `own` has accepted, as soon as there is one. Whoever accepts waits with it, so that others
    /// stay in the backlog.
    pub(super) async fn place(self: &Arc<Self>, own: &Worker) -> Slot {
        let mut delayed = false;
        loop {
            let mut room = pin!(self.room.notified());
            room.as_mut().enable();
            if let Some(slot) = self.enter(self.target(own.index)) {
                return slot;
            }
            if !std::mem::replace(&mut delayed, true) {
                own.shard.count(Event::ConnectionDelayed);
            }
            room.await;
        }
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

    /// The worker that has it.
    pub(super) fn index(&self) -> usize {
        self.index
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
        self.loads.room.notify_one();
        if let Some(worker) = &self.worker {
            worker.shard.count(Event::ConnectionClosed);
        }
    }
}
