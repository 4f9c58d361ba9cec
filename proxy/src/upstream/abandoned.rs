//! Counts requests whose clients did not wait for the end of an answer: each costs its connection to the upstream.

use crate::metrics::Event;
use crate::worker::Worker;
use std::ops::Deref;

/// Dropped before it is [`over`](Self::over) it counts.
pub(super) struct Abandoned<W: Deref<Target = Worker>>(Option<W>);

impl<W: Deref<Target = Worker>> Abandoned<W> {
    pub(super) fn unless_over(worker: W) -> Self {
        Self(Some(worker))
    }

    /// It came to its end, whichever that was.
    pub(super) fn over(&mut self) {
        self.0 = None;
    }
}

impl<W: Deref<Target = Worker>> Drop for Abandoned<W> {
    fn drop(&mut self) {
        if let Some(worker) = &self.0 {
            worker.shard.count(Event::UpstreamAbandoned);
        }
    }
}
