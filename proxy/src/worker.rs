//! What a worker thread has for the requests that it serves. Nothing that a request touches is shared between workers.

mod busy;

pub(crate) use busy::{Busy, BusyGuard};

use crate::metrics::Shard;
use crate::output::Log;
use std::sync::Arc;

/// One worker, as its requests see it.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Counts from zero.
    pub(crate) index: usize,
    /// This worker's counters.
    pub(crate) shard: Arc<Shard>,
    /// Where access lines go.
    pub(crate) log: Log,
    /// What must end before this worker may.
    pub(crate) busy: Arc<Busy>,
}
