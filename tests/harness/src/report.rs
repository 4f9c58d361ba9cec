//! Tells the person what is being done and how long it took, on standard error.

use std::fmt::Display;
use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::clock;
use crate::error::Result;

/// Steps of one command, each with the time it took.
#[derive(Debug)]
pub struct Report {
    started: Instant,
}

impl Default for Report {
    fn default() -> Self {
        Self::new()
    }
}

impl Report {
    /// A report that counts from now.
    #[must_use]
    pub fn new() -> Self {
        Self { started: clock::now() }
    }

    /// Does one step and says how long it took.
    ///
    /// # Errors
    /// What `work` returns.
    pub fn step<T>(&self, what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let began = clock::now();
        let result = work();
        let verdict = if result.is_ok() { "" } else { " FAILED" };
        self.took(&format!("{what}{verdict}"), began.elapsed());
        result
    }

    /// As [`Report::step`], announced beforehand because it may take minutes.
    ///
    /// # Errors
    /// What `work` returns.
    pub fn long_step<T>(&self, what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.note(&format!("{what} ..."));
        self.step(what, work)
    }

    /// Says that a step took `time`.
    pub fn took(&self, what: &str, time: Duration) {
        self.note(&format!("{what} ({:.1} s)", time.as_secs_f64()));
    }

    /// Says something, with the time since the start.
    pub fn note(&self, what: &str) {
        say(format_args!("[{:6.1} s] {what}", self.started.elapsed().as_secs_f64()));
    }

    /// The time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// One line on standard error. A closed standard error is no reason to stop.
pub fn say(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// One line on standard output, for what a caller reads.
pub fn print(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
