//! What can go wrong, in words that say what to do.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// A failure of the harness. The message is shown as it is.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or system call failed.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was tried, to be read after "cannot".
        doing: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A program ended with a failure.
    #[error("`{shown}` failed ({status}):\n{output}")]
    Program {
        /// The command line, shortened.
        shown: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it printed.
        output: String,
    },
    /// The person has to provide something.
    #[error("{0}")]
    Need(String),
    /// A condition did not come true in time.
    #[error("gave up after {} s waiting for {what}; last seen: {seen}{log}", limit.as_secs())]
    Late {
        /// The condition.
        what: String,
        /// The time allowed.
        limit: Duration,
        /// The last observation.
        seen: String,
        /// The end of the log that tells most, with its path; or empty.
        log: String,
    },
    /// A cluster's node reported a failure.
    #[error("{0}")]
    Node(String),
    /// A file of the harness could not be understood.
    #[error("{} is damaged: {reason}; remove it", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Adds what was being done to a plain error.
pub trait Doing<T> {
    /// Wraps the error with `doing`, which is read after "cannot".
    ///
    /// # Errors
    /// The wrapped error.
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Io { doing: doing(), source })
    }
}

impl<T> Doing<T> for nix::Result<T> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(io::Error::from).doing(doing)
    }
}
