//! Standard output and standard error: buffers, and for each of the two a thread that empties them, at 64 KB or after 100 ms,
//! an event that is told alone at once. So a slow reader never holds up a request or a probe, whoever made it slow. What does
//! not fit any more is dropped and counted.
//!
//! Nothing else in a running proxy writes to the two.

use crate::clock;
use crate::metrics::{Counter, Registry};
use crate::thread;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const FULL: usize = 64 * 1024;
/// What one worker, or the events of all, may hold while the output is blocked.
const BOUND: usize = 4 * 1024 * 1024;
const INTERVAL: Duration = Duration::from_millis(100);
/// How long the end of the process waits for its last lines to be taken.
const FLUSH: Duration = Duration::from_secs(1);
/// Name of the threads. A panic of theirs can not be told through them.
const THREAD: &str = "output";

/// Lines on their way: those of one worker, or the events of the process.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    buffer: Arc<Mutex<Buffer>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Buffer {
    lines: Vec<u8>,
    second: Second,
}

/// The text of a second, in the local time zone; made once a second.
#[derive(Debug, Default)]
pub(crate) struct Second {
    second: Option<i64>,
    text: String,
}

impl Second {
    /// The text of the second in which `time` lies.
    pub(crate) fn of(&mut self, time: Timestamp, zone: &TimeZone) -> &str {
        let second = Some(time.as_second());
        if self.second != second {
            *self = Self { second, text: stamp(time.as_second(), zone) };
        }
        &self.text
    }
}

/// The second in the form of oauth2-proxy's text lines.
fn stamp(second: i64, zone: &TimeZone) -> String {
    let time = Timestamp::UNIX_EPOCH
        .saturating_add(SignedDuration::from_secs(second))
        .unwrap_or(Timestamp::UNIX_EPOCH);
    time.to_zoned(zone.clone()).strftime("%Y/%m/%d %H:%M:%S").to_string()
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    ended: Condvar,
    /// Something was appended since the thread last looked.
    pending: AtomicBool,
    /// The same of something that does not wait.
    urgent: AtomicBool,
    dropped: Counter,
    zone: TimeZone,
}

#[derive(Default)]
struct State {
    buffers: Vec<Arc<Mutex<Buffer>>>,
    /// Where lines go, until the thread takes it along.
    out: Option<Box<dyn Write + Send>>,
    running: bool,
    awake: bool,
    full: bool,
    stop: bool,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("running", &self.running).finish_non_exhaustive()
    }
}

/// One output. Dropping it writes what is left, if somebody takes it, and ends the thread.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
}

impl Writer {
    /// Lines go to `out`. The thread starts with the first of them: on standard error there is rarely one.
    pub(crate) fn new(out: impl Write + Send + 'static, registry: &Registry) -> Self {
        let dropped = registry.counter(
            "oauth2_proxy_log_lines_dropped_total",
            "Lines lost because standard output or standard error was blocked for too long.",
            &[],
        );
        let state = State { out: Some(Box::new(out)), ..State::default() };
        let shared = Shared {
            state: Mutex::new(state),
            wake: Condvar::new(),
            ended: Condvar::new(),
            pending: AtomicBool::new(false),
            urgent: AtomicBool::new(false),
            dropped,
            zone: clock::local_zone(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// A buffer for one worker, or for events.
    pub(crate) fn log(&self) -> Log {
        let buffer = Arc::<Mutex<Buffer>>::default();
        locked(&self.shared.state).buffers.push(Arc::clone(&buffer));
        Log { buffer, shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut state = locked(&self.shared.state);
        state.stop = true;
        if state.awake {
            start(&self.shared, &mut state);
        }
        self.shared.wake.notify_one();
        // Whoever does not read can not keep the process from ending; the thread ends with it.
        let waited =
            self.shared.ended.wait_timeout_while(state, FLUSH, |state: &mut State| state.running);
        drop(waited);
    }
}

impl Log {
    /// Appends whole lines; `write` must end them with a line feed.
    pub(crate) fn append(&self, write: impl FnOnce(&mut Vec<u8>, &mut Second, &TimeZone)) {
        let mut buffer = locked(&self.buffer);
        let Buffer { lines, second } = &mut *buffer;
        if lines.len() > BOUND {
            self.shared.dropped.increment();
            return;
        }
        let before = lines.len();
        write(lines, second, &self.shared.zone);
        let full = before < FULL && lines.len() >= FULL;
        drop(buffer);
        if full || !self.shared.pending.swap(true, Ordering::AcqRel) {
            self.wake(full);
        }
    }

    /// Appends one whole line that is not held back to be written together with others. It is made before, so that what
    /// goes wrong while it is made can itself be told.
    pub(crate) fn event(&self, line: &str) {
        let mut buffer = locked(&self.buffer);
        if buffer.lines.len() > BOUND {
            self.shared.dropped.increment();
            return;
        }
        buffer.lines.extend_from_slice(line.as_bytes());
        drop(buffer);
        if !self.shared.urgent.swap(true, Ordering::AcqRel) {
            self.wake(true);
        }
    }

    /// The zone in which lines tell the time.
    pub(crate) fn zone(&self) -> &TimeZone {
        &self.shared.zone
    }

    fn wake(&self, full: bool) {
        let mut state = locked(&self.shared.state);
        state.awake = true;
        state.full |= full;
        start(&self.shared, &mut state);
        drop(state);
        self.shared.wake.notify_one();
    }
}

/// Whether this thread is one of those that write.
pub(crate) fn is_own_thread() -> bool {
    std::thread::current().name() == Some(THREAD)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells [`Writer::drop`] that the thread has ended, however it did.
struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        locked(&self.0.state).running = false;
        self.0.ended.notify_all();
    }
}

/// Starts the thread, if nothing was written yet. Where the system gives none, lines wait, or are dropped and counted, and the
/// next one asks again.
fn start(shared: &Arc<Shared>, state: &mut State) {
    if state.out.is_none() || state.running {
        return;
    }
    let own = Arc::clone(shared);
    state.running = thread::spawn(THREAD, move || run(&own)).is_ok();
    if !state.running {
        shared.pending.store(false, Ordering::Release);
        shared.urgent.store(false, Ordering::Release);
    }
}

fn run(shared: &Shared) {
    let _running = Running(shared);
    let Some(mut out) = locked(&shared.state).out.take() else { return };
    let mut spare = Vec::new();
    loop {
        let mut state = locked(&shared.state);
        while !state.awake && !state.stop {
            state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if !state.full && !state.stop {
            let wait = |state: &mut State| !state.full && !state.stop;
            let (woken, _) = shared
                .wake
                .wait_timeout_while(state, INTERVAL, wait)
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
        }
        (state.awake, state.full) = (false, false);
        let stop = state.stop;
        shared.pending.store(false, Ordering::Release);
        shared.urgent.store(false, Ordering::Release);
        let buffers = state.buffers.clone();
        drop(state);
        for buffer in buffers {
            std::mem::swap(&mut locked(&buffer).lines, &mut spare);
            // An output that is gone is no reason to stop serving.
            let _ = out.write_all(&spare);
            spare.clear();
            spare.shrink_to(2 * FULL);
        }
        let _ = out.flush();
        if stop {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
