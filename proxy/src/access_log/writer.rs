//! Per-worker buffers and the thread that empties them, at 64 KB or after 100 ms, so that a slow reader of standard output
//! never holds up a request. What does not fit any more is dropped and counted.

use super::line::stamp;
use crate::clock;
use crate::metrics::{Counter, Registry};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

const FULL: usize = 64 * 1024;
/// What one worker may hold while standard output is blocked.
const BOUND: usize = 4 * 1024 * 1024;
const INTERVAL: Duration = Duration::from_millis(100);

/// The buffer of one worker.
#[derive(Debug)]
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
pub(super) struct Second {
    second: Option<i64>,
    text: String,
}

impl Second {
    /// The text of the second in which `time` lies.
    pub(super) fn of(&mut self, time: Timestamp, zone: &TimeZone) -> &str {
        let second = Some(time.as_second());
        if self.second != second {
            *self = Self { second, text: stamp(time.as_second(), zone) };
        }
        &self.text
    }
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    /// Something was appended since the writer last looked.
    pending: AtomicBool,
    dropped: Counter,
    zone: TimeZone,
}

#[derive(Debug, Default)]
struct State {
    buffers: Vec<Arc<Mutex<Buffer>>>,
    awake: bool,
    full: bool,
    stop: bool,
}

/// The writing thread. Dropping it writes what is left and ends it.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread; lines go to `out`.
    ///
    /// # Errors
    /// The thread can not be started.
    pub(crate) fn start(out: impl Write + Send + 'static, registry: &Registry) -> io::Result<Self> {
        let dropped = registry.counter(
            "oauth2_proxy_log_lines_dropped_total",
            "Lines lost because standard output was blocked for too long.",
            &[],
        );
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            wake: Condvar::new(),
            pending: AtomicBool::new(false),
            dropped,
            zone: clock::local_zone(),
        });
        let copy = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("log".to_owned()).spawn(move || run(&copy, out))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// A buffer for one worker.
    pub(crate) fn log(&self) -> Log {
        let buffer = Arc::<Mutex<Buffer>>::default();
        locked(&self.shared.state).buffers.push(Arc::clone(&buffer));
        Log { buffer, shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        locked(&self.shared.state).stop = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the writer has been reported by the panic hook; there is nothing to add here.
            let _ = thread.join();
        }
    }
}

impl Log {
    /// Appends whole lines; `write` must end them with a line feed.
    pub(super) fn append(&self, write: impl FnOnce(&mut Vec<u8>, &mut Second, &TimeZone)) {
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
            let mut state = locked(&self.shared.state);
            state.awake = true;
            state.full |= full;
            drop(state);
            self.shared.wake.notify_one();
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(shared: &Shared, mut out: impl Write) {
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
        let buffers = state.buffers.clone();
        drop(state);
        for buffer in buffers {
            std::mem::swap(&mut locked(&buffer).lines, &mut spare);
            // Standard output that is gone is no reason to stop serving.
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
