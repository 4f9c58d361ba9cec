//! Cleans up on Ctrl-C and SIGTERM.
//!
//! The signals are blocked in every thread and taken by one that waits for them,
//! so that cleaning up is ordinary code and not a signal handler.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::clock::Deadline;
use crate::error::{Doing as _, Result};
use crate::report::say;

type Action = Box<dyn FnOnce() + Send>;

/// What is to be undone if the command is interrupted.
#[derive(Clone, Default)]
pub struct Interrupts {
    undo: Arc<Mutex<Vec<Option<Action>>>>,
    stopping: Arc<AtomicBool>,
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

    /// Whether this process is about to end, so that nothing new is to be started.
    #[must_use]
    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
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
        self.stopping.store(true, Ordering::SeqCst);
        let children = terminate_children();
        // Held until the process ends: whoever returns from a child that was ended waits here.
        let mut list = self.undo.lock().unwrap_or_else(PoisonError::into_inner);
        for action in list.iter_mut().rev().filter_map(Option::take) {
            action();
        }
        reap(&children);
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

/// Asks the direct children of this process, and no others, to end; returns them.
fn terminate_children() -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let me = std::process::id();
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let children: Vec<Pid> =
        pids.filter(|pid| parent_of(*pid) == Some(me)).map(Pid::from_raw).collect();
    for child in &children {
        let _ = kill(*child, Signal::SIGTERM);
    }
    children
}

/// Waits for the end of these children, which is forced after a moment: what nobody waits for stays behind where process 1
/// does not either.
fn reap(children: &[Pid]) {
    let deadline = Deadline::after(Duration::from_secs(1));
    let runs = |child: &Pid| {
        matches!(waitpid(*child, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive))
    };
    while children.iter().any(runs) && !deadline.passed() {
        thread::sleep(Duration::from_millis(20));
    }
    for child in children.iter().filter(|child| runs(child)) {
        let _ = kill(*child, Signal::SIGKILL);
        let _ = waitpid(*child, None);
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
