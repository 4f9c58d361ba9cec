//! Stopping without losing a request: what is in flight is counted, and whoever waits learns when nothing is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Notify;

/// What one worker is busy with: bursts of requests and upgraded connections. Parked connections are not among them.
#[derive(Debug, Default)]
pub(crate) struct Busy {
    count: AtomicUsize,
    stopping: AtomicBool,
    idle: Notify,
}

impl Busy {
    /// Counts until the guard is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> BusyGuard {
        self.count.fetch_add(1, Ordering::Relaxed);
        BusyGuard(Arc::clone(self))
    }

    /// From now on every answer closes its connection.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether this server is on its way out.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// How many are going on.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Returns when nothing is going on.
    pub(crate) async fn idle(&self) {
        loop {
            let idle = self.idle.notified();
            if self.count.load(Ordering::Relaxed) == 0 {
                return;
            }
            idle.await;
        }
    }
}

/// See [`Busy::enter`].
#[derive(Debug)]
pub(crate) struct BusyGuard(Arc<Busy>);

impl Drop for BusyGuard {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::Relaxed) == 1 && self.0.is_stopping() {
            self.0.idle.notify_one();
        }
    }
}
