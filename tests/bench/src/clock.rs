//! The only place that asks for the time.

use std::time::{Duration, Instant, SystemTime};

/// Monotonic time.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "tokens have real times in them")]
pub(crate) fn unix() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Polls until `ready` or the time is over.
pub(crate) fn within(limit: Duration, pause: Duration, mut ready: impl FnMut() -> bool) -> bool {
    let start = now();
    loop {
        if ready() {
            return true;
        }
        if start.elapsed() > limit {
            return false;
        }
        std::thread::sleep(pause);
    }
}
