//! Cleans up on Ctrl-C and SIGTERM.
//!
//! The signals are blocked in every thread and taken by one that waits for them,
//! so that cleaning up is ordinary code and not a signal handler.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use crate::error::{Doing as _, Result};
use crate::report::say;

type Action = Box<dyn FnOnce() + Send>;

/// What is to be undone if the command is interrupted.
#[derive(Clone, Default)]
pub struct Interrupts {
    undo: Arc<Mutex<Vec<Option<Action>>>>,
}

impl fmt::Debug for Interrupts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interrupts")
    }
}

impl Interrupts {
    /// Takes over SIGINT, SIGTERM and SIGHUP for this process. Call it before any thread starts.
    ///
    /// # Errors
    /// The system refused to change the signal mask.
    pub fn install() -> Result<Self> {
        let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
        signals.thread_block().doing(|| "block the signals".to_owned())?;
        let interrupts = Self::default();
        let watched = interrupts.clone();
        thread::spawn(move || {
            if let Ok(signal) = signals.wait() {
                watched.stop(signal);
            }
        });
        Ok(interrupts)
    }

    /// Runs `action` when the returned guard is dropped, or when the command is interrupted,
    /// whichever is first; not after [`Undo::keep`].
    pub fn undo(&self, action: impl FnOnce() + Send + 'static) -> Undo {
        let mut list = self.undo.lock().unwrap_or_else(PoisonError::into_inner);
        list.push(Some(Box::new(action)));
        Undo { list: self.clone(), index: list.len() - 1 }
    }

    /// Runs the action while the list is held, so that the other thread waits for its end.
    fn run(&self, index: usize) {
        let mut list = self.undo.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(action) = list.get_mut(index).and_then(Option::take) {
            action();
        }
    }

    /// Ends the process: the main thread may be blocked in a child.
    fn stop(&self, signal: Signal) {
        say(format_args!("{signal}: stopping and cleaning up"));
        terminate_children();
        // Held until the process ends: whoever returns from a child that was ended waits here.
        let mut list = self.undo.lock().unwrap_or_else(PoisonError::into_inner);
        for action in list.iter_mut().rev().filter_map(Option::take) {
            action();
        }
        std::process::exit(128 + signal as i32);
    }
}

/// Undoes something when dropped.
#[derive(Debug)]
#[must_use = "dropping it undoes the work at once"]
pub struct Undo {
    list: Interrupts,
    index: usize,
}

impl Undo {
    /// The work is complete: nothing is to be undone any more.
    pub fn keep(self) {
        let mut list = self.list.undo.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(action) = list.get_mut(self.index) {
            *action = None;
        }
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        self.list.run(self.index);
    }
}

/// Asks the direct children of this process, and no others, to end.
fn terminate_children() {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return;
    };
    let me = std::process::id();
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        if parent_of(pid) == Some(me) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }
}

fn parent_of(pid: i32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(") ")?;
    after_name.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn dropped_guard_undoes_once_and_kept_guard_never() {
        let interrupts = Interrupts::default();
        let undone = Arc::new(AtomicUsize::new(0));
        let count = |undone: &Arc<AtomicUsize>| {
            let undone = Arc::clone(undone);
            move || {
                undone.fetch_add(1, Ordering::SeqCst);
            }
        };
        drop(interrupts.undo(count(&undone)));
        assert_eq!(undone.load(Ordering::SeqCst), 1);
        interrupts.undo(count(&undone)).keep();
        assert_eq!(undone.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn parent_of_this_process_is_found() {
        let me = i32::try_from(std::process::id()).unwrap();
        assert_eq!(parent_of(me), Some(std::os::unix::process::parent_id()));
    }
}
