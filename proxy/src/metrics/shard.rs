//! The counters of one worker. Only that worker writes them, so a load and a store are enough; a reader may miss the
//! last few, never see half a value.

use super::event::{ALL, Event};
use super::histogram::{Buckets, Snapshot};
use http::Method;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Method labels; the last one stands for all others.
pub(super) const METHODS: [&str; 10] =
    ["get", "put", "head", "post", "delete", "connect", "options", "trace", "patch", "unknown"];

const STATUSES: usize = 600;

/// One worker's counters, on cache lines of their own.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Shard {
    begun: AtomicU64,
    ended: AtomicU64,
    events: [AtomicU64; ALL.len()],
    statuses: Box<[AtomicU64]>,
    durations: [Buckets; METHODS.len()],
}

/// Adds to a counter that only this thread writes.
pub(super) fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
}

impl Shard {
    pub(super) fn new() -> Self {
        Self {
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            events: std::array::from_fn(|_| AtomicU64::new(0)),
            statuses: (0..STATUSES).map(|_| AtomicU64::new(0)).collect(),
            durations: std::array::from_fn(|_| Buckets::default()),
        }
    }

    /// Counts `event`.
    pub(crate) fn count(&self, event: Event) {
        if let Some(counter) = self.events.get(event as usize) {
            bump(counter, 1);
        }
    }

    /// How often `event` was counted here.
    pub(crate) fn counted(&self, event: Event) -> u64 {
        self.events.get(event as usize).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    /// A request is in flight.
    pub(crate) fn begin(&self) {
        bump(&self.begun, 1);
    }

    /// It no longer is.
    pub(crate) fn end(&self) {
        bump(&self.ended, 1);
    }

    /// Counts a request that ended with `status`.
    pub(crate) fn record(&self, status: u16, method: &Method, duration: Duration) {
        if let Some(counter) = self.statuses.get(usize::from(status)) {
            bump(counter, 1);
        }
        if let Some(buckets) = self.durations.get(label_of(method)) {
            buckets.observe_alone(duration);
        }
    }

    pub(super) fn in_flight(&self) -> u64 {
        // Read the ended ones first: a request that ends in between then counts as in flight, and never as minus one.
        let ended = self.ended.load(Ordering::Relaxed);
        self.begun.load(Ordering::Relaxed).saturating_sub(ended)
    }

    pub(super) fn statuses(&self) -> impl Iterator<Item = u64> {
        self.statuses.iter().map(|counter| counter.load(Ordering::Relaxed))
    }

    pub(super) fn durations(&self) -> impl Iterator<Item = Snapshot> {
        self.durations.iter().map(Buckets::snapshot)
    }
}

fn label_of(method: &Method) -> usize {
    match *method {
        Method::GET => 0,
        Method::PUT => 1,
        Method::HEAD => 2,
        Method::POST => 3,
        Method::DELETE => 4,
        Method::CONNECT => 5,
        Method::OPTIONS => 6,
        Method::TRACE => 7,
        Method::PATCH => 8,
        _ => METHODS.len() - 1,
    }
}
