//! The only place of launcher and harness that reads a clock.
//!
//! They measure how long their own steps take and give up at deadlines;
//! nothing they decide depends on the date.

use std::time::{Duration, Instant};

/// A moment after which waiting is given up.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    started: Instant,
    limit: Duration,
}

impl Deadline {
    /// A deadline `limit` from now.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        Self { started: now(), limit }
    }

    /// Whether the time is up.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.started.elapsed() >= self.limit
    }

    /// The time that was allowed.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.limit
    }
}

/// The monotonic clock.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the one clock of the harness; it times real processes"
)]
pub fn now() -> Instant {
    Instant::now()
}
