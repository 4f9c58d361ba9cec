//! Streams of one HTTP/2 connection, each in a task of its own that is ended when its client takes nothing of what is there
//! for it: the connection as a whole may move all the while.

use futures_util::task::AtomicWaker;
use hyper::rt::Executor;
use std::cell::RefCell;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

thread_local! {
    /// The stream whose task runs now.
    static PRESENT: RefCell<Option<Arc<Pace>>> = const { RefCell::new(None) };
}

/// What is known of one stream.
#[derive(Debug, Default)]
struct Pace {
    /// It was given a piece and did not come back for the next one.
    has_piece: AtomicBool,
    moved: AtomicBool,
    cut: AtomicBool,
    waker: AtomicWaker,
}

/// Notes that the stream whose task runs was asked for: it got a piece of its answer, or there was none yet.
pub(super) fn note(has_piece: bool) {
    PRESENT.with_borrow(|present| {
        if let Some(pace) = present {
            pace.has_piece.store(has_piece, Ordering::Relaxed);
            pace.moved.store(true, Ordering::Relaxed);
        }
    });
}

/// Starts the tasks of one connection, and knows those that live.
#[derive(Clone, Debug, Default)]
pub(super) struct Paced(Arc<Mutex<Vec<(Weak<Pace>, Option<Instant>)>>>);

impl Paced {
    /// Ends the streams that have had a piece in hand for `limit`.
    pub(super) fn cut_stalled(&self, now: Instant, limit: Duration) {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        streams.retain_mut(|(pace, since)| {
            let Some(pace) = pace.upgrade() else { return false };
            let moved = pace.moved.swap(false, Ordering::Relaxed);
            if moved || !pace.has_piece.load(Ordering::Relaxed) {
                *since = None;
            } else if now.duration_since(*since.get_or_insert(now)) >= limit {
                pace.cut.store(true, Ordering::Relaxed);
                pace.waker.wake();
            }
            true
        });
    }
}

impl<F> Executor<F> for Paced
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        let pace = Arc::new(Pace::default());
        let entry = (Arc::downgrade(&pace), None);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        drop(tokio::spawn(Task { future, pace }));
    }
}

pin_project_lite::pin_project! {
    struct Task<F> {
        #[pin]
        future: F,
        pace: Arc<Pace>,
    }
}

impl<F: Future<Output = ()>> Future for Task<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        this.pace.waker.register(cx.waker());
        if this.pace.cut.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        PRESENT.set(Some(Arc::clone(this.pace)));
        let poll = this.future.poll(cx);
        PRESENT.set(None);
        poll
    }
}
