//! Streams of one HTTP/2 connection, each in a task of its own that is ended when its client takes nothing of what is there
//! for it, or sends nothing of what it announced: the connection as a whole may move all the while. What is read for them at
//! once is shared among them, so that many of which nobody takes anything cost no more than a few.

use futures_util::task::AtomicWaker;
use hyper::rt::Executor;
use std::cell::RefCell;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// Bytes that the streams of one connection together read at once for their answers,
const TOGETHER: usize = 1 << 20;
/// and what each may read in any case: a frame.
const LEAST: usize = 16 * 1024;

thread_local! {
    /// The stream whose task runs now.
    static PRESENT: RefCell<Option<Arc<Pace>>> = const { RefCell::new(None) };
}

/// What is known of one stream.
#[derive(Debug)]
struct Pace {
    /// It has a piece of its answer and did not come back for the next one, or waits for a piece of its request.
    clients_turn: AtomicBool,
    moved: AtomicBool,
    cut: AtomicBool,
    waker: AtomicWaker,
    /// The streams of its connection that live.
    streams: Arc<AtomicUsize>,
}

impl Pace {
    fn new(streams: Arc<AtomicUsize>) -> Self {
        streams.fetch_add(1, Ordering::Relaxed);
        let [clients_turn, moved, cut] = [(); 3].map(|()| AtomicBool::new(false));
        Self { clients_turn, moved, cut, waker: AtomicWaker::new(), streams }
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How much may be read at once for the answer of the request whose task runs. Only streams have to share.
pub(crate) fn share() -> usize {
    PRESENT.with_borrow(|present| {
        let Some(pace) = present else { return usize::MAX };
        (TOGETHER / pace.streams.load(Ordering::Relaxed).max(1)).max(LEAST)
    })
}

/// Notes of the stream whose task runs, if it is one, whose turn it is, and whether something has moved.
pub(crate) fn note(clients_turn: bool, moved: bool) {
    PRESENT.with_borrow(|present| {
        if let Some(pace) = present {
            pace.clients_turn.store(clients_turn, Ordering::Relaxed);
            pace.moved.fetch_or(moved, Ordering::Relaxed);
        }
    });
}

/// A stream, and since when it is its client's turn.
type Stream = (Weak<Pace>, Option<Instant>);

/// Starts the tasks of one connection, and knows those that live.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paced {
    streams: Arc<Mutex<Vec<Stream>>>,
    count: Arc<AtomicUsize>,
}

impl Paced {
    /// Ends the streams that have waited for their client for `limit`.
    pub(crate) fn cut_stalled(&self, now: Instant, limit: Duration) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.retain_mut(|(pace, since)| {
            let Some(pace) = pace.upgrade() else { return false };
            let moved = pace.moved.swap(false, Ordering::Relaxed);
            if moved || !pace.clients_turn.load(Ordering::Relaxed) {
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
        let pace = Arc::new(Pace::new(Arc::clone(&self.count)));
        let entry = (Arc::downgrade(&pace), None);
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    #[tokio::test]
    async fn streams_share_what_is_read_at_once_and_a_lone_one_has_all_of_it() {
        let (paced, (tell, mut told)) = (Paced::default(), mpsc::unbounded_channel());
        let stream = |stays: bool| {
            let tell = tell.clone();
            paced.execute(async move {
                tell.send(share()).unwrap();
                if stays {
                    std::future::pending::<()>().await;
                }
            });
        };
        assert_eq!(share(), usize::MAX, "nobody shares with a request over HTTP/1");
        stream(false);
        assert_eq!(told.recv().await, Some(TOGETHER));
        // The first is over, so that four are there.
        tokio::task::yield_now().await;
        for _ in 0..3 {
            stream(true);
            told.recv().await;
        }
        stream(false);
        assert_eq!(told.recv().await, Some(TOGETHER / 4));
        for _ in 0..100 {
            stream(true);
        }
        stream(false);
        for _ in 0..101 {
            assert_eq!(told.recv().await, Some(LEAST));
        }
    }
}
