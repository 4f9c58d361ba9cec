//! The time of day, as a parameter, so that a test decides what time it is. Monotonic time is tokio's `Instant`, which
//! tests can pause. Nothing else in this crate asks the operating system for the time of day.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::fmt::Debug;
use std::sync::atomic::{AtomicI64, Ordering};

/// Something that knows the time of day.
pub trait Clock: Debug + Send + Sync {
    /// The time now, in UTC.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The time zone of log lines. `TZ` counts if it is set; else the machine's zone is read from its one file, because
/// looking it up by name would list the whole database of zones at every start.
pub(crate) fn local_zone() -> TimeZone {
    if std::env::var_os("TZ").is_some() {
        return TimeZone::system();
    }
    match std::fs::read("/etc/localtime") {
        Ok(file) => TimeZone::tzif("Local", &file).unwrap_or(TimeZone::UTC),
        Err(_) => TimeZone::UTC,
    }
}

/// A clock for tests: it stands still until it is moved. Resolution: milliseconds.
#[derive(Debug)]
pub struct TestClock(AtomicI64);

impl TestClock {
    /// A clock that stands at `start`.
    #[must_use]
    pub fn at(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.as_millisecond()))
    }

    /// Moves the clock, backwards for a negative duration.
    pub fn advance(&self, by: SignedDuration) {
        let milliseconds = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.0.fetch_add(milliseconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
    }
}
