//! Tells the person what is being done and how long it took, on standard error: a line for each step that has ended and, on a
//! terminal, one line below them of what is under way.

use std::fmt::{Display, Write as _};
use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clock;

/// How often a long step says that it still goes on where there is no terminal.
const SIGN_OF_LIFE: Duration = Duration::from_mins(1);

/// How often the line of a terminal is written anew.
const TICK: Duration = Duration::from_secs(1);

/// Columns of the line: a longer one would wrap, and what has wrapped can not be written over.
const COLUMNS: usize = 79;

/// Whether the line is on the terminal, below all that was said.
static SHOWN: AtomicBool = AtomicBool::new(false);

/// Steps of one command, each with the time it took.
#[derive(Debug)]
pub struct Report {
    started: Instant,
    terminal: bool,
    under_way: Mutex<Vec<Step>>,
}

/// A long step that is under way.
#[derive(Debug)]
struct Step {
    what: String,
    /// How far it is; empty if nobody knows.
    at: String,
}

/// How far a long step is.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    report: &'a Report,
    what: &'a str,
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
        Self::since(Duration::ZERO)
    }

    /// A report that counts from as long ago as was `spent` on it before.
    #[must_use]
    pub fn since(spent: Duration) -> Self {
        let now = clock::now();
        Self {
            started: now.checked_sub(spent).unwrap_or(now),
            terminal: std::io::stderr().is_terminal(),
            under_way: Mutex::default(),
        }
    }

    /// Does one step and says how long it took.
    ///
    /// # Errors
    /// What `work` returns.
    pub fn step<T, E>(&self, what: &str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let began = clock::now();
        let result = work();
        let verdict = if result.is_ok() { "" } else { " FAILED" };
        self.took(&format!("{what}{verdict}"), began.elapsed());
        result
    }

    /// As [`Report::step`], shown while it is under way because that may take minutes: on a terminal in the line, elsewhere by
    /// an announcement and a sign of life each minute.
    ///
    /// # Errors
    /// What `work` returns.
    pub fn long_step<T, E>(
        &self,
        what: &str,
        work: impl FnOnce(Progress<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.steps().push(Step { what: what.to_owned(), at: String::new() });
        if !self.terminal {
            self.note(&format!("{what} ..."));
        }
        let (running, ended) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || self.accompany(what, &ended));
            let result = self.step(what, || {
                let result = work(Progress { report: self, what });
                self.steps().retain(|step| step.what != what);
                result
            });
            drop(running);
            result
        })
    }

    fn accompany(&self, what: &str, ended: &mpsc::Receiver<()>) {
        let every = if self.terminal { TICK } else { SIGN_OF_LIFE };
        loop {
            if self.terminal {
                self.paint();
            }
            if ended.recv_timeout(every) != Err(RecvTimeoutError::Timeout) {
                break;
            }
            if !self.terminal {
                let at = self.steps().iter().find(|step| step.what == what).map(Step::line);
                self.note(&format!("still at it: {}", at.unwrap_or_else(|| what.to_owned())));
            }
        }
        if self.terminal && self.steps().is_empty() {
            wipe();
        }
    }

    /// Writes the line of what is under way over the one before.
    fn paint(&self) {
        let line = line(self.started.elapsed(), &self.steps());
        if line.is_empty() {
            return;
        }
        SHOWN.store(true, Ordering::SeqCst);
        let _ = write!(std::io::stderr(), "\r\x1b[2K{line}");
    }

    fn steps(&self) -> MutexGuard<'_, Vec<Step>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a step took `time`.
    pub fn took(&self, what: &str, time: Duration) {
        self.note(&format!("{what} ({:.1} s)", time.as_secs_f64()));
    }

    /// Says something, with the time since the start.
    pub fn note(&self, what: &str) {
        say(format_args!("{} {what}", stamp(self.started.elapsed())));
    }

    /// The time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Step {
    /// What it is, without the remark in brackets, and how far.
    fn line(&self) -> String {
        let what = self.what.split(" (").next().unwrap_or_default();
        if self.at.is_empty() { what.to_owned() } else { format!("{what}: {}", self.at) }
    }
}

impl Progress<'_> {
    /// Says how far the step is.
    pub fn at(&self, at: String) {
        if let Some(step) = self.report.steps().iter_mut().find(|step| step.what == self.what) {
            step.at = at;
        }
    }
}

fn stamp(elapsed: Duration) -> String {
    format!("[{:6.1} s]", elapsed.as_secs_f64())
}

/// The line of these steps, cut to its columns; empty if there are none.
fn line(elapsed: Duration, steps: &[Step]) -> String {
    if steps.is_empty() {
        return String::new();
    }
    let steps: Vec<String> = steps.iter().map(Step::line).collect();
    let mut line = stamp(elapsed);
    let _ = write!(line, " {}", steps.join("; "));
    if line.chars().count() > COLUMNS {
        line = line.chars().take(COLUMNS - 1).collect::<String>() + "…";
    }
    line
}

/// Takes the line off the terminal, if it is there.
fn wipe() {
    if SHOWN.swap(false, Ordering::SeqCst) {
        let _ = write!(std::io::stderr(), "\r\x1b[2K");
    }
}

/// One line on standard error. A closed standard error is no reason to stop.
pub fn say(line: impl Display) {
    wipe();
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// One line on standard output, for what a caller reads.
pub fn print(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(what: &str, at: &str) -> Step {
        Step { what: what.to_owned(), at: at.to_owned() }
    }

    #[test]
    fn line_names_all_that_is_under_way_and_how_far_it_is() {
        let steps =
            [step("build the programs (minutes the first time)", "12 of 340"), step("x", "")];
        let line = line(Duration::from_millis(61_230), &steps);
        assert_eq!(line, "[  61.2 s] build the programs: 12 of 340; x");
        assert_eq!(super::line(Duration::ZERO, &[]), "");
    }

    #[test]
    fn line_never_wraps() {
        let line = line(Duration::ZERO, &[step(&"ä".repeat(200), "")]);
        assert_eq!(line.chars().count(), COLUMNS);
        assert!(line.ends_with('…'));
    }

    #[test]
    fn report_counts_from_what_was_spent_before() {
        assert!(Report::since(Duration::from_secs(100)).elapsed() >= Duration::from_secs(100));
    }

    #[test]
    fn step_that_has_ended_is_not_under_way_any_more() {
        let report = Report::new();
        let seen = report.long_step("a", |progress| {
            progress.at("7 of 9".to_owned());
            Ok::<_, ()>(report.steps().iter().map(Step::line).collect::<Vec<_>>())
        });
        assert_eq!(seen, Ok(vec!["a: 7 of 9".to_owned()]));
        assert!(report.steps().is_empty());
    }
}
