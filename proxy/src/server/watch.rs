//! How a burst of requests on an HTTP/1 connection ends: the client takes too long, or nothing more comes.

use super::conn::Conn;
use crate::peer::LOOKED_AFTER;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// Above this many connections of a worker, each is parked as soon as it is idle: that bounds the peak of the heap, which
/// would not be given back.
const CROWD: usize = 200;
/// Below it, parking waits this long, because a busy connection should keep its buffers.
const QUIET: Duration = LOOKED_AFTER;

/// Times and sizes for connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) header_timeout: Duration,
    pub(super) idle_timeout: Duration,
    /// While the upstream is silent; `None`: for ever.
    pub(super) stream_idle_timeout: Option<Duration>,
    /// While the client takes nothing, or sends nothing of what it announced.
    pub(super) stall_timeout: Duration,
    pub(super) max_header_bytes: usize,
}
/// How a burst ends.
pub(super) enum End {
    /// HTTP/2 is spoken, which is for another parser.
    Http2,
    /// The parser is done: closed, or taken over by an upgrade.
    Closed,
    /// The client is gone, or what answered it.
    Broken,
    /// The framing can be read in two ways.
    Refused,
    /// The client took too long.
    Late,
    /// Idle.
    Parked,
}

pin_project_lite::pin_project! {
    /// The clock of a burst: one timer that looks around once in a while, instead of one that every request has to move. Its
    /// task polls the requests then as well, so that they need none of their own either.
    pub(super) struct Watch {
        #[pin]
        timer: Sleep,
        armed: bool,
        tick: Duration,
        bounds: Bounds,
        served: u32,
        waited: Duration,
        stalled: Duration,
    }
}

impl Watch {
    pub(super) fn new(bounds: Bounds) -> Self {
        let tick = QUIET
            .min(bounds.header_timeout.min(bounds.stall_timeout) / 4)
            .max(Duration::from_millis(1));
        let timer = sleep(tick);
        Self {
            timer,
            armed: false,
            tick,
            bounds,
            served: 0,
            waited: Duration::ZERO,
            stalled: Duration::ZERO,
        }
    }

    pub(super) fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>, conn: &Conn) -> Poll<End> {
        if conn.is_quiet() && (conn.is_crowded(CROWD) || conn.worker.busy.is_stopping()) {
            return Poll::Ready(End::Parked);
        }
        loop {
            let mut this = self.as_mut().project();
            // The task's waker never changes, so the timer needs to see it only once.
            if *this.armed && !this.timer.is_elapsed() {
                return Poll::Pending;
            }
            *this.armed = true;
            ready!(this.timer.as_mut().poll(cx));
            if let Some(end) = self.as_mut().look(conn) {
                return Poll::Ready(end);
            }
            if conn.is_looking() {
                cx.waker().wake_by_ref();
            }
            let mut this = self.as_mut().project();
            this.timer.as_mut().reset(Instant::now() + *this.tick);
            *this.armed = false;
        }
    }

    fn look(self: Pin<&mut Self>, conn: &Conn) -> Option<End> {
        let this = self.project();
        let served = conn.served();
        let moved = conn.peer.take_moved();
        let progress = std::mem::replace(this.served, served) != served;
        if conn.is_quiet() {
            return (!moved).then_some(End::Parked);
        }
        if !moved && conn.is_deaf() {
            conn.look();
        }
        if conn.in_flight() || conn.is_sending() {
            *this.waited = Duration::ZERO;
            *this.stalled = if moved { Duration::ZERO } else { *this.stalled + *this.tick };
            let limit = if conn.awaits_client() {
                Some(this.bounds.stall_timeout)
            } else {
                this.bounds.stream_idle_timeout
            };
            return limit.is_some_and(|limit| *this.stalled >= limit).then_some(End::Late);
        }
        // The head of a request has begun. That bytes trickle in does not help.
        *this.waited = if progress { Duration::ZERO } else { *this.waited + *this.tick };
        (*this.waited >= this.bounds.header_timeout).then_some(End::Late)
    }
}
