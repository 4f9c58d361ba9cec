//! The time that an upstream has for its answer, without a timer for each request: almost none of them ever rings.

use crate::peer::LOOKED_AFTER;
use http::Version;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// Ends when the time is over that begins with the first look at it.
pub(super) struct Patience {
    limit: Duration,
    /// Somebody looks at it often enough without being woken.
    looked_after: bool,
    end: Option<Instant>,
    /// For the last part of the time, or for all of it.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// For a request of this version of HTTP. All that waits for a client of HTTP/1 is looked after by its connection; a
    /// stream of HTTP/2 is a task of its own, and needs a timer.
    pub(super) fn new(limit: Duration, version: Version) -> Self {
        let looked_after = version <= Version::HTTP_11;
        Self { limit, looked_after, end: None, timer: None }
    }
}

impl Future for Patience {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.timer.is_none() {
            let now = Instant::now();
            let limit = self.limit;
            let end = *self.end.get_or_insert_with(|| now + limit);
            // The next look may come after the end.
            if self.looked_after && end.saturating_duration_since(now) > 2 * LOOKED_AFTER {
                return Poll::Pending;
            }
            self.timer = Some(Box::pin(sleep_until(end)));
        }
        self.timer.as_mut().map_or(Poll::Ready(()), |timer| timer.as_mut().poll(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    fn look(patience: &mut Patience) -> bool {
        Pin::new(patience).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_in_time_if_it_is_looked_at_now_and_then() {
        let start = Instant::now();
        let mut patience = Patience::new(Duration::from_secs(30), Version::HTTP_11);
        while start.elapsed() < Duration::from_millis(29_900) {
            assert!(!look(&mut patience), "{:?}", start.elapsed());
            assert_eq!(patience.timer.is_some(), start.elapsed() >= Duration::from_secs(28));
            tokio::time::advance(LOOKED_AFTER.mul_f32(0.9)).await;
        }
        // Nobody looks any more: the timer wakes.
        patience.await;
        assert_eq!(start.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn without_looks_or_with_little_time_there_is_a_timer_at_once() {
        for (seconds, version) in [(30, Version::HTTP_2), (1, Version::HTTP_11)] {
            let start = Instant::now();
            let mut patience = Patience::new(Duration::from_secs(seconds), version);
            assert!(!look(&mut patience) && patience.timer.is_some());
            patience.await;
            assert_eq!(start.elapsed().as_secs(), seconds);
        }
    }
}
