//! The life of one client connection: it waits on the bare socket, and only while requests come does it have an HTTP
//! parser with its buffers. That parser is thrown away again when nothing is going on, so an idle connection costs about a
//! kilobyte (`reference/performance.md` section 4).

use super::checked::Checked;
use super::framing::{Framing, Violation};
use super::goodbye;
use super::load::Slot;
use super::service::{Handle, Service};
use crate::entry::Answered;
use crate::metrics::Event;
use crate::peer::Peer;
use crate::stream::Stream;
use crate::worker::{BusyGuard, Worker};
use bytes::Bytes;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// Above this many connections of a worker, each is parked as soon as it is idle: that bounds the peak of the heap, which
/// would not be given back.
const CROWD: usize = 200;
/// Below it, parking waits this long, because a busy connection should keep its buffers.
const QUIET: Duration = Duration::from_secs(1);

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

/// What a connection, its parser and its requests know of each other. One thread uses it; the atomics are there because
/// futures must be `Send`.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) worker: Arc<Worker>,
    pub(super) peer: Arc<Peer>,
    /// Its place among the connections of its worker, for as long as anything of it lives.
    slot: Slot,
    in_flight: AtomicU32,
    served: AtomicU32,
    read_pending: AtomicBool,
    write_pending: AtomicBool,
    at_start: AtomicBool,
    raw: AtomicBool,
    refused: AtomicBool,
    in_body: AtomicBool,
    too_large: AtomicBool,
    answering: AtomicBool,
    /// Streams of HTTP/2 that the client reset before they were answered to the end.
    reset: AtomicU32,
    /// No stream is answered any more.
    leaving: AtomicBool,
}

impl Conn {
    pub(super) fn new(worker: &Arc<Worker>, peer: Arc<Peer>, slot: Slot) -> Arc<Self> {
        Arc::new(Self {
            worker: Arc::clone(worker),
            peer,
            slot,
            in_flight: AtomicU32::new(0),
            served: AtomicU32::new(0),
            read_pending: AtomicBool::new(false),
            write_pending: AtomicBool::new(false),
            at_start: AtomicBool::new(true),
            raw: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            in_body: AtomicBool::new(false),
            too_large: AtomicBool::new(false),
            answering: AtomicBool::new(false),
            reset: AtomicU32::new(0),
            leaving: AtomicBool::new(false),
        })
    }

    pub(super) fn note_read(&self, pending: bool) {
        self.read_pending.store(pending, Ordering::Relaxed);
        if !pending {
            self.peer.note_moved();
        }
    }

    pub(super) fn note_write(&self, pending: bool) {
        self.write_pending.store(pending, Ordering::Relaxed);
        if !pending {
            self.peer.note_moved();
        }
    }

    /// What was written has been sent, or not yet. Nothing moved by that alone.
    pub(super) fn note_flush(&self, pending: bool) {
        self.write_pending.store(pending, Ordering::Relaxed);
    }

    pub(super) fn note_start(&self, at_start: bool) {
        self.at_start.store(at_start, Ordering::Relaxed);
    }

    /// From now on the bytes are no HTTP.
    pub(super) fn set_raw(&self) {
        self.raw.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_raw(&self) -> bool {
        self.raw.load(Ordering::Relaxed)
    }

    /// Nothing more is read. `in_body`: of the request that is being served, so that this one can not be finished either.
    pub(super) fn refuse(&self, violation: Violation, in_body: bool) {
        self.worker.shard.count(Event::FramingRefused);
        self.refused.store(true, Ordering::Relaxed);
        self.in_body.store(in_body, Ordering::Relaxed);
        self.too_large.store(violation == Violation::TooLarge, Ordering::Relaxed);
    }

    pub(super) fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// The refusal can be told now, because nothing that came before is unanswered.
    fn is_over(&self) -> bool {
        self.is_refused()
            && (self.in_body.load(Ordering::Relaxed) || !self.in_flight() && !self.is_sending())
    }

    /// Bytes of an answer wait for the client to take others.
    pub(super) fn is_sending(&self) -> bool {
        self.write_pending.load(Ordering::Relaxed)
    }

    /// It is the client's turn: to take what was written, or to send the rest of its request.
    fn awaits_client(&self) -> bool {
        self.is_sending()
            || !self.at_start.load(Ordering::Relaxed) && self.read_pending.load(Ordering::Relaxed)
    }

    /// The head of an answer is on its way.
    pub(super) fn set_answering(&self) {
        self.answering.store(true, Ordering::Relaxed);
    }

    pub(super) fn enter(self: &Arc<Self>) -> InFlight {
        self.served.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.peer.note_moved();
        InFlight(Arc::clone(self))
    }

    /// Requests that came, and those of them that the client did not wait for.
    pub(super) fn counts(&self) -> (u32, u32) {
        (self.served.load(Ordering::Relaxed), self.reset.load(Ordering::Relaxed))
    }

    /// A stream ended before its answer did.
    pub(super) fn note_reset(&self) {
        self.reset.fetch_add(1, Ordering::Relaxed);
    }

    /// From now on nothing is asked of anybody for this client.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    pub(super) fn in_flight(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    /// Every request that came has been answered to the last byte, and not one byte of the next one has come.
    fn is_quiet(&self) -> bool {
        !self.in_flight()
            && self.read_pending.load(Ordering::Relaxed)
            && !self.is_sending()
            && self.at_start.load(Ordering::Relaxed)
    }
}

/// A request that has not been answered to the end.
#[derive(Debug)]
pub(super) struct InFlight(pub(super) Arc<Conn>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.0.answering.store(false, Ordering::Relaxed);
    }
}

/// Serves an HTTP/1 connection to its end.
///
/// What a connection keeps while it is idle is as large as this future, so nothing is in it twice.
pub(super) fn serve<H, F>(
    handle: Arc<Handle<H>>,
    stream: Stream,
    conn: Arc<Conn>,
) -> impl Future<Output = ()> + Send
where
    H: Fn(Arc<Peer>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output: Into<Answered>> + Send + 'static,
{
    let framing = Framing::new(handle.bounds.max_header_bytes);
    let mut parked = Parked { stream, framing, prefix: Bytes::new() };
    async move {
        let mut patience = handle.bounds.header_timeout;
        // The first request is most likely there already, and over TLS the handshake may even have read it.
        let mut wait = false;
        loop {
            if wait && !readable(&parked.stream, patience).await {
                return;
            }
            // In a box of its own, because most of the time most connections have none.
            parked = match Box::pin(burst(Arc::clone(&handle), Arc::clone(&conn), parked)).await {
                Some(parked) => parked,
                None => return,
            };
            wait = parked.prefix.is_empty();
            // If the first request was not there after all, it is still awaited.
            let served = conn.served.load(Ordering::Relaxed) > 0;
            patience =
                if served { handle.bounds.idle_timeout } else { handle.bounds.header_timeout };
        }
    }
}

/// A connection without a parser.
struct Parked {
    stream: Stream,
    framing: Framing,
    prefix: Bytes,
}

async fn readable(stream: &Stream, patience: Duration) -> bool {
    let mut timer = pin!(sleep(patience));
    poll_fn(|cx| match stream.poll_read_ready(cx) {
        Poll::Ready(outcome) => Poll::Ready(outcome.is_ok()),
        Poll::Pending => timer.as_mut().poll(cx).map(|()| false),
    })
    .await
}

/// Serves requests until nothing comes any more; returns the connection if it is to be kept.
async fn burst<H, F>(handle: Arc<Handle<H>>, conn: Arc<Conn>, parked: Parked) -> Option<Parked>
where
    H: Fn(Arc<Peer>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output: Into<Answered>> + Send + 'static,
{
    let busy = conn.worker.busy.enter();
    let io = Checked::new(parked.stream, parked.framing, Arc::clone(&conn), parked.prefix);
    let service = Service::new(Arc::clone(&conn), handle.handler.clone());
    let mut http = handle.http1.serve_connection(TokioIo::new(io), service).with_upgrades();
    let mut watch = pin!(Watch::new(handle.bounds));
    let end = poll_fn(|cx| match Pin::new(&mut http).poll(cx) {
        // An answer that broke off must not look like one that ended.
        Poll::Ready(Err(error)) if !error.is_parse() => Poll::Ready(End::Broken),
        Poll::Ready(_) => Poll::Ready(End::Closed),
        Poll::Pending if conn.is_over() => Poll::Ready(End::Refused),
        Poll::Pending => watch.as_mut().poll(cx, &conn),
    })
    .await;
    finish(end, http, &conn, busy).await
}

async fn finish<H, F>(
    end: End,
    http: http1::UpgradeableConnection<TokioIo<Checked>, Service<H>>,
    conn: &Conn,
    busy: BusyGuard,
) -> Option<Parked>
where
    H: Fn(Arc<Peer>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output: Into<Answered>> + Send + 'static,
{
    match end {
        End::Parked => {
            let parts = http.into_parts()?;
            let Checked { stream, framing, .. } = parts.io.into_inner();
            drop(busy);
            // A copy, even of nothing: the buffer itself would keep its eight kilobytes alive.
            Some(Parked { stream, framing, prefix: Bytes::copy_from_slice(&parts.read_buf) })
        }
        // Into the middle of an answer nothing may be written: then the end of the connection says it.
        End::Refused if !conn.answering.load(Ordering::Relaxed) && !conn.is_sending() => {
            let stream = http.into_parts()?.io.into_inner().stream;
            Box::pin(goodbye::refuse(stream, conn.too_large.load(Ordering::Relaxed))).await;
            None
        }
        End::Closed => {
            let Checked { stream, framing, .. } = http.into_parts()?.io.into_inner();
            if !framing.at_start() {
                Box::pin(goodbye::linger(stream)).await;
            }
            None
        }
        End::Refused | End::Late | End::Broken => None,
    }
}

/// How a burst ends.
enum End {
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
    /// The clock of a burst: one timer that looks around once in a while, instead of one that every request has to move.
    struct Watch {
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
    fn new(bounds: Bounds) -> Self {
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

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>, conn: &Conn) -> Poll<End> {
        if conn.is_quiet() && (conn.slot.is_crowded(CROWD) || conn.worker.busy.is_stopping()) {
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
            let mut this = self.as_mut().project();
            this.timer.as_mut().reset(Instant::now() + *this.tick);
            *this.armed = false;
        }
    }

    fn look(self: Pin<&mut Self>, conn: &Conn) -> Option<End> {
        let this = self.project();
        let served = conn.served.load(Ordering::Relaxed);
        let moved = conn.peer.take_moved();
        let progress = std::mem::replace(this.served, served) != served;
        if conn.is_quiet() {
            return (!moved).then_some(End::Parked);
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
