//! The one way to a thread. The system may refuse it: that is an error here, and everybody says what becomes of it. The runtime's
//! own pool would make a panic of it, so nothing that can block goes there (files, names, roots).
//!
//! What lives as long as the process starts with [`spawn`]. Work that ends, and may take long, has a thread of its own where it
//! is rare ([`on_own_thread`]), one for all who want the same ([`One`], [`Made`]), and a few that are shared where requests ask
//! for it ([`in_turn`]): however many ask, and however often they leave, there are no more threads than that.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{Mutex as AsyncMutex, oneshot};

/// Most threads that take work in turns.
const MOST: usize = 16;
/// Most works that wait for one of them.
const WAITING: usize = 10_000;

/// How long such a thread waits for more.
const IDLE: Duration = Duration::from_secs(10);

/// Starts a thread, which goes on by itself.
///
/// # Errors
/// The system gives none.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}

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
fn start<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    let (tell, done) = oneshot::channel();
    let whole = move || {
        let _ = tell.send(work());
    };
    spawn(name, whole)?;
    Ok(done)
}

/// Work of which one goes on at a time: whoever leaves ends nothing, and who comes meanwhile waits for the same.
pub(crate) struct One<T>(Option<oneshot::Receiver<T>>);

impl<T> Default for One<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> One<T> {
    /// None goes on.
    pub(crate) const fn new() -> Self {
        Self(None)
    }
}

impl<T: Send + 'static> One<T> {
    /// What the work gives that goes on, or `work`, which is begun if none does.
    ///
    /// # Errors
    /// As [`on_own_thread`].
    pub(crate) async fn done(
        &mut self,
        name: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let going_on = match &mut self.0 {
            Some(going_on) => going_on,
            none => none.insert(start(name, work)?),
        };
        let done = going_on.await;
        self.0 = None;
        done.map_err(|_| broken_off())
    }
}

/// What is made at the first need, and once. If that fails, the next who needs it tries again.
pub(crate) struct Made<T> {
    made: OnceLock<T>,
    making: AsyncMutex<One<Result<T, String>>>,
}

impl<T> Made<T> {
    /// Not made yet.
    pub(crate) const fn new() -> Self {
        Self { made: OnceLock::new(), making: AsyncMutex::const_new(One::new()) }
    }
}

impl<T: Clone + Send + 'static> Made<T> {
    /// It, which `work` makes.
    ///
    /// # Errors
    /// It can not be made, or as [`on_own_thread`].
    pub(crate) async fn get(
        &self,
        name: &str,
        work: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> io::Result<T> {
        if let Some(made) = self.made.get() {
            return Ok(made.clone());
        }
        let mut making = self.making.lock().await;
        if let Some(made) = self.made.get() {
            return Ok(made.clone());
        }
        let made = making.done(name, work).await?.map_err(io::Error::other)?;
        Ok(self.made.get_or_init(|| made).clone())
    }

    /// The same, which `work` makes here and now: it reads no file, and so needs no thread.
    ///
    /// # Errors
    /// It can not be made.
    pub(crate) fn at_once(&self, work: impl FnOnce() -> Result<T, String>) -> io::Result<T> {
        if let Some(made) = self.made.get() {
            return Ok(made.clone());
        }
        let made = work().map_err(io::Error::other)?;
        Ok(self.made.get_or_init(|| made).clone())
    }
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
            match spawn("files", || self.run()) {
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

    /// A file system that hangs, and requests that come, wait a little and leave.
    #[tokio::test]
    async fn what_is_being_made_is_begun_once_though_all_who_asked_have_left() {
        let (begin, held) = std::sync::mpsc::channel::<()>();
        let starts = Arc::new(AtomicUsize::new(0));
        let roots: Made<usize> = Made::new();
        let mut held = Some(held);
        for _ in 0..20 {
            let (starts, held) = (Arc::clone(&starts), held.take());
            let work = move || {
                starts.fetch_add(1, Ordering::SeqCst);
                held.ok_or("begun anew")?.recv().map_err(|error| error.to_string())?;
                Ok(7)
            };
            let asked = tokio::time::timeout(Duration::from_millis(5), roots.get("test", work));
            assert!(asked.await.is_err());
        }
        begin.send(()).unwrap();
        for _ in 0..2 {
            assert_eq!(roots.get("test", || Err("made anew".to_owned())).await.unwrap(), 7);
        }
        assert_eq!(starts.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn what_could_not_be_made_is_tried_again() {
        let made: Made<usize> = Made::new();
        let error = made.get("test", || Err("not now".to_owned())).await.unwrap_err();
        assert_eq!(error.to_string(), "not now");
        assert!(made.get("test", || panic!("on purpose")).await.is_err());
        assert!(made.at_once(|| Err("nor now".to_owned())).is_err());
        assert_eq!(made.get("test", || Ok(1)).await.unwrap(), 1);
        assert_eq!(made.at_once(|| Ok(2)).unwrap(), 1);
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
