//! HTTP/2, over TLS or, where a listener has it so, without. Streams, header lists and resets are capped; connections without a
//! stream are told to go, and those on whose streams nothing moves are cut: pings alone would keep them for ever. Each stream
//! that is opened and reset may cost a connection to an upstream, so a client that does hardly anything else has to go as well.

use super::conn::Conn;
use super::preface::Begun;
use super::service::{Handle, Service};
use super::watch::Bounds;
use crate::entry::Answered;
use crate::pace::Paced;
use crate::peer::Peer;
use crate::stream::Stream;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const MAX_STREAMS: u32 = 100;
const MAX_RESETS: usize = 20;
/// What a stream may have of its answer before the socket takes it; whole pieces go in, so that a lone stream is not slowed.
const SEND_BUFFER: usize = 32 * 1024;
const PING_INTERVAL: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(500);
/// Resets that a person may cause: leaving a page of a hundred pictures, or a search that is asked anew with each letter.
const PATIENCE: u32 = 100;
/// That many within this time are a flood,
const FLOOD: Duration = Duration::from_secs(10);
/// or that many of so many streams in a row, whatever time they take.
const ROW: u32 = 2 * PATIENCE;

/// Time for what is under way on a connection that has to go.
const FAREWELL: Duration = Duration::from_secs(2);

/// A stream shares the way with others and is seen to move only when a whole piece of it was taken.
const SHARES: u32 = 5;

/// Serves an HTTP/2 connection to its end.
pub(super) async fn serve<H, F>(handle: Arc<Handle<H>>, stream: Begun<Stream>, conn: Arc<Conn>)
where
    H: Fn(Arc<Peer>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output: Into<Answered>> + Send + 'static,
{
    let _busy = conn.worker.busy.enter();
    let service = Service::new(Arc::clone(&conn), handle.handler.clone());
    let bounds = handle.bounds;
    let paced = Paced::default();
    let mut http = http2::Builder::new(paced.clone())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(u32::try_from(bounds.max_header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(PING_INTERVAL)
        .serve_connection(TokioIo::new(stream), service);
    let mut timer = pin!(sleep(TICK));
    let (mut clock, mut resets) = (Clock::new(bounds), Resets::default());
    poll_fn(|cx| {
        loop {
            if Pin::new(&mut http).poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if !conn.is_leaving() && resets.are_too_many(&conn) {
                conn.leave();
                clock.tell(Instant::now());
                Pin::new(&mut http).graceful_shutdown();
                continue;
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            timer.as_mut().reset(now + TICK);
            paced.cut_stalled(now, bounds.stall_timeout * SHARES);
            match clock.look(&conn, now) {
                Step::Stay => {}
                Step::Tell => Pin::new(&mut http).graceful_shutdown(),
                Step::End => return Poll::Ready(()),
            }
        }
    })
    .await;
}

/// What is to be done with a connection.
enum Step {
    Stay,
    /// The client is told that no more streams are taken.
    Tell,
    End,
}

/// For how long a connection has been idle, or silent.
struct Clock {
    bounds: Bounds,
    idle_since: Instant,
    moved_at: Instant,
    told: bool,
}

impl Clock {
    fn new(bounds: Bounds) -> Self {
        let now = Instant::now();
        Self { bounds, idle_since: now, moved_at: now, told: false }
    }

    fn tell(&mut self, now: Instant) {
        self.told = true;
        self.idle_since = now;
    }

    fn look(&mut self, conn: &Conn, now: Instant) -> Step {
        if conn.peer.take_moved() || !conn.in_flight() {
            self.moved_at = now;
        }
        if conn.in_flight() && !conn.is_leaving() {
            self.idle_since = now;
        }
        let (silent, idle) =
            (now.duration_since(self.moved_at), now.duration_since(self.idle_since));
        let is_idle = idle >= self.bounds.idle_timeout;
        if self.bounds.stream_idle_timeout.is_some_and(|limit| silent >= limit)
            || (conn.is_leaving() && idle >= FAREWELL)
            || (self.told && is_idle)
        {
            return Step::End;
        }
        if !self.told && (is_idle || conn.worker.busy.is_stopping()) {
            self.tell(now);
            return Step::Tell;
        }
        Step::Stay
    }
}

/// How often the client did not wait for an answer, in the present stretch of time and the present row of streams.
struct Resets {
    since: Instant,
    in_time: u32,
    row: u32,
    in_row: u32,
}

impl Default for Resets {
    fn default() -> Self {
        Self { since: Instant::now(), in_time: 0, row: 0, in_row: 0 }
    }
}

impl Resets {
    fn are_too_many(&mut self, conn: &Conn) -> bool {
        let (served, reset) = (conn.served(), conn.resets());
        if reset.wrapping_sub(self.in_time) <= PATIENCE
            && reset.wrapping_sub(self.in_row) <= PATIENCE
        {
            if served.wrapping_sub(self.row) >= ROW {
                (self.row, self.in_row) = (served, reset);
            }
            // Asked for the time only now and then: this is looked at with every frame.
            if reset != self.in_time && self.since.elapsed() >= FLOOD {
                (self.since, self.in_time) = (Instant::now(), reset);
            }
            return false;
        }
        true
    }
}
