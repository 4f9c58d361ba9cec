//! What a node tells the command that starts it: one JSON document per line.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::error::Result;

/// A message from the node.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase")]
pub(crate) enum Event {
    /// A step is done.
    Step { what: String, milliseconds: u64 },
    /// The cluster works.
    Ready,
    /// It does not, and the node ends.
    Failed { message: String },
}

impl Event {
    /// Sends the event. Nobody may be listening any more, which is no failure.
    pub(crate) fn send(&self) {
        if let Ok(text) = serde_json::to_string(self) {
            let mut out = std::io::stdout().lock();
            let _ = writeln!(out, "{text}");
            let _ = out.flush();
        }
    }
}

/// Does a step and reports it.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let began: Instant = clock::now();
    let result = work()?;
    let took: Duration = began.elapsed();
    Event::Step {
        what: what.to_owned(),
        milliseconds: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    }
    .send();
    Ok(result)
}
