//! Tells the person what is being done and how long it took, on standard error.

use std::fmt::Display;
use std::io::Write as _;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::clock;
use crate::error::Result;

/// How often a long step says that it still goes on.
const SIGN_OF_LIFE: Duration = Duration::from_mins(1);

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

    /// As [`Report::step`], announced beforehand because it may take minutes, and with a sign of life each minute.
    ///
    /// # Errors
    /// What `work` returns.
    pub fn long_step<T>(&self, what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.note(&format!("{what} ..."));
        let (running, ended) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                while ended.recv_timeout(SIGN_OF_LIFE) == Err(RecvTimeoutError::Timeout) {
                    self.note(&format!("still at it: {what} ..."));
                }
            });
            let result = self.step(what, work);
            drop(running);
            result
        })
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
