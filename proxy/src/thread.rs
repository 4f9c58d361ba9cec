//! Work that may take long, off the threads that serve. A system that gives no more threads makes an error of it here; the
//! runtime's own pool would make a panic of it.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Most threads that take work in turns.
const MOST: usize = 16;
/// Most works that wait for one of them.
const WAITING: usize = 10_000;

/// How long such a thread waits for more.
const IDLE: Duration = Duration::from_secs(10);

/// What `work` gives, which is rare and may take any time: on a thread of its own, so that it holds up nothing else.
///
/// # Errors
/// There is no thread for it, or it panicked, which has been told.
pub(crate) async fn on_own_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    start(name, work)?.await.map_err(|_| broken_off())
}

/// Will hold what `work` gives: it goes on if nobody waits for it any more. An error: it panicked.
///
/// # Errors
/// There is no thread for it.
pub(crate) fn start<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    let (tell, done) = oneshot::channel();
    let whole = move || {
        let _ = tell.send(work());
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(whole)?;
    Ok(done)
}

/// Will hold what `work` gives, which requests ask for: in its turn, on one of a few threads that are shared, unless whoever
/// asked has left by then. An error: it panicked.
///
/// # Errors
/// There is no thread for it, or too much waits already.
pub(crate) fn in_turn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    static POOL: Pool = Pool::new();
    let (tell, done) = oneshot::channel();
    POOL.take(Box::new(move || {
        if !tell.is_closed() {
            let _ = tell.send(work());
        }
    }))?;
    Ok(done)
}

/// What becomes of whoever waited for work that panicked.
pub(crate) fn broken_off() -> io::Error {
    io::Error::other("the work broke off")
}

type Job = Box<dyn FnOnce() + Send>;

struct Pool {
    state: Mutex<State>,
    more: Condvar,
}

struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

impl Pool {
    const fn new() -> Self {
        let state = State { jobs: VecDeque::new(), threads: 0, idle: 0 };
        Self { state: Mutex::new(state), more: Condvar::new() }
    }

    fn take(&'static self, job: Job) -> io::Result<()> {
        let mut state = self.locked();
        if state.jobs.len() >= WAITING {
            return Err(io::Error::other("too many files are to be read"));
        }
        if state.jobs.len() >= state.idle && state.threads < MOST {
            let thread = std::thread::Builder::new().name("files".to_owned());
            match thread.spawn(|| self.run()) {
                Ok(_) => state.threads += 1,
                // Those that are there will come to it.
                Err(_) if state.threads > 0 => {}
                Err(error) => return Err(error),
            }
        }
        state.jobs.push_back(job);
        drop(state);
        self.more.notify_one();
        Ok(())
    }

    fn run(&self) {
        let mut state = self.locked();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                let _ = catch_unwind(AssertUnwindSafe(job));
                state = self.locked();
                continue;
            }
            state.idle += 1;
            let (woken, waited) =
                self.more.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if waited.timed_out() && state.jobs.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn work_is_done_elsewhere_and_a_panic_is_an_error() {
        let here = std::thread::current().id();
        let there = on_own_thread("test", || std::thread::current().id()).await.unwrap();
        assert_ne!(there, here);
        assert!(on_own_thread("test", move || assert!(here == there)).await.is_err());
    }

    #[tokio::test]
    async fn work_in_turn_is_all_done_by_a_few_threads_and_a_panic_ends_none_of_them() {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let works: Vec<_> = (0..200)
            .map(|number| {
                let (now, most) = (Arc::clone(&now), Arc::clone(&most));
                let work = move || {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(1));
                    now.fetch_sub(1, Ordering::SeqCst);
                    assert!(number % 10 != 0);
                    number
                };
                in_turn(work).unwrap()
            })
            .collect();
        for (number, work) in works.into_iter().enumerate() {
            assert_eq!(work.await.ok(), (number % 10 != 0).then_some(number));
        }
        assert!(most.load(Ordering::SeqCst) <= MOST, "{most:?}");
    }

    #[tokio::test]
    async fn nothing_is_done_for_who_has_left() {
        let (begin, held) = std::sync::mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        let busy: Vec<_> = (0..MOST)
            .map(|_| {
                let held = Arc::clone(&held);
                in_turn(move || held.lock().unwrap().recv().unwrap()).unwrap()
            })
            .collect();
        let done = Arc::new(AtomicUsize::new(0));
        let count = || {
            let done = Arc::clone(&done);
            in_turn(move || done.fetch_add(1, Ordering::SeqCst)).unwrap()
        };
        let (left, stays) = (count(), count());
        drop(left);
        for _ in 0..MOST {
            begin.send(()).unwrap();
        }
        for work in busy {
            work.await.unwrap();
        }
        assert_eq!(stays.await.unwrap(), 0);
    }
}
