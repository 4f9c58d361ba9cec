//! What a connection, its parser and its requests know of each other, and by which it is told what may be done with it.

use super::framing::Violation;
use super::heads::Heads;
use super::load::Slot;
use crate::metrics::Event;
use crate::peer::Peer;
use crate::worker::Worker;
use futures_util::task::AtomicWaker;
use http::{HeaderMap, StatusCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};

/// One connection. One thread uses it; the atomics are there because futures must be `Send`.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) worker: Arc<Worker>,
    pub(super) peer: Arc<Peer>,
    /// Its place among the connections of its worker, for as long as anything of it lives.
    slot: Slot,
    in_flight: AtomicU32,
    served: AtomicU32,
    requests: AtomicU32,
    look: AtomicBool,
    read_pending: AtomicBool,
    write_pending: AtomicBool,
    at_start: AtomicBool,
    raw: AtomicBool,
    refused: AtomicBool,
    in_body: AtomicBool,
    too_large: AtomicBool,
    answering: AtomicBool,
    /// Whoever was told to wait for the end of an answer before more is read.
    reader: AtomicWaker,
    /// Streams of HTTP/2 that the client reset before they were answered to the end.
    reset: AtomicU32,
    /// No stream is answered any more.
    leaving: AtomicBool,
    /// Nothing has come that tells HTTP/1 from HTTP/2, and both are spoken.
    untold: AtomicBool,
    http2: AtomicBool,
    /// Those of HTTP/2.
    pub(super) heads: Heads,
}

impl Conn {
    /// `untold`: whether the client speaks HTTP/1 or HTTP/2 is seen by how it begins.
    pub(super) fn new(
        worker: &Arc<Worker>,
        peer: Arc<Peer>,
        slot: Slot,
        untold: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            worker: Arc::clone(worker),
            peer,
            slot,
            in_flight: AtomicU32::new(0),
            served: AtomicU32::new(0),
            requests: AtomicU32::new(0),
            look: AtomicBool::new(false),
            read_pending: AtomicBool::new(false),
            write_pending: AtomicBool::new(false),
            at_start: AtomicBool::new(true),
            raw: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            in_body: AtomicBool::new(false),
            too_large: AtomicBool::new(false),
            answering: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            reset: AtomicU32::new(0),
            leaving: AtomicBool::new(false),
            untold: AtomicBool::new(untold),
            http2: AtomicBool::new(false),
            heads: Heads::default(),
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

    /// Nothing more is read before the request in flight has been answered, and the client has nothing to do with that.
    pub(super) fn wait<T>(&self, cx: &mut Context<'_>) -> Poll<T> {
        self.read_pending.store(false, Ordering::Relaxed);
        self.reader.register(cx.waker());
        Poll::Pending
    }

    /// So many requests have come whole; it wraps.
    pub(super) fn note_requests(&self, count: u32) {
        self.requests.store(count, Ordering::Relaxed);
    }

    /// Whether all requests that have come whole have been answered.
    pub(super) fn has_answered_all(&self) -> bool {
        self.served() == self.requests.load(Ordering::Relaxed) && !self.in_flight()
    }

    /// An answer is awaited, its request has come whole, and something else stands behind it, for which reason nothing is read
    /// and nobody would see the client leave.
    pub(super) fn is_deaf(&self) -> bool {
        // The difference is small, whatever has wrapped.
        let behind = self.requests.load(Ordering::Relaxed).wrapping_sub(self.served());
        self.in_flight() && !self.read_pending.load(Ordering::Relaxed) && behind <= u32::MAX / 2
    }

    /// Has the socket asked, in the parser's next turn, whether the client is still there.
    pub(super) fn look(&self) {
        self.look.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_looking(&self) -> bool {
        self.look.load(Ordering::Relaxed)
    }

    pub(super) fn takes_look(&self) -> bool {
        self.is_looking() && self.look.swap(false, Ordering::Relaxed)
    }

    pub(super) fn note_start(&self, at_start: bool) {
        self.at_start.store(at_start, Ordering::Relaxed);
    }

    pub(super) fn is_untold(&self) -> bool {
        self.untold.load(Ordering::Relaxed)
    }

    /// The client speaks HTTP/1.
    pub(super) fn set_told(&self) {
        self.untold.store(false, Ordering::Relaxed);
    }

    /// The client speaks HTTP/2 on a connection that is not encrypted.
    pub(super) fn set_http2(&self) {
        self.http2.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_http2(&self) -> bool {
        self.http2.load(Ordering::Relaxed)
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

    /// The head was larger than it may be; else the framing is wrong.
    pub(super) fn is_too_large(&self) -> bool {
        self.too_large.load(Ordering::Relaxed)
    }

    /// The refusal can be told now, because nothing that came before is unanswered.
    pub(super) fn is_over(&self) -> bool {
        self.is_refused()
            && (self.in_body.load(Ordering::Relaxed) || !self.in_flight() && !self.is_sending())
    }

    /// Bytes of an answer wait for the client to take others.
    pub(super) fn is_sending(&self) -> bool {
        self.write_pending.load(Ordering::Relaxed)
    }

    /// It is the client's turn: to take what was written, or to send the rest of its request.
    pub(super) fn awaits_client(&self) -> bool {
        self.is_sending()
            || !self.at_start.load(Ordering::Relaxed) && self.read_pending.load(Ordering::Relaxed)
    }

    /// The head of an answer is on its way.
    pub(super) fn set_answering(&self) {
        self.answering.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_answering(&self) -> bool {
        self.answering.load(Ordering::Relaxed)
    }

    pub(super) fn enter(self: &Arc<Self>) -> InFlight {
        self.served.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.peer.note_moved();
        InFlight { conn: Arc::clone(self), head: 0 }
    }

    /// Requests that came.
    pub(super) fn served(&self) -> u32 {
        self.served.load(Ordering::Relaxed)
    }

    /// Those of them that the client did not wait for.
    pub(super) fn resets(&self) -> u32 {
        self.reset.load(Ordering::Relaxed)
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
    pub(super) fn is_quiet(&self) -> bool {
        !self.in_flight()
            && self.read_pending.load(Ordering::Relaxed)
            && !self.is_sending()
            && self.at_start.load(Ordering::Relaxed)
    }

    /// The worker has more than `limit` connections.
    pub(super) fn is_crowded(&self, limit: usize) -> bool {
        self.slot.is_crowded(limit)
    }
}

/// A request that has not been answered to the end.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) conn: Arc<Conn>,
    /// What its head takes of [`Conn::heads`].
    head: usize,
}

impl InFlight {
    /// Takes room for its head over HTTP/2.
    pub(super) fn hold(&mut self, headers: &HeaderMap) -> Result<(), StatusCode> {
        self.head = self.conn.heads.take(headers)?;
        Ok(())
    }

    /// Its head is no longer needed.
    pub(super) fn let_go(&mut self) {
        self.conn.heads.give_back(std::mem::take(&mut self.head));
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.let_go();
        self.conn.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.conn.answering.store(false, Ordering::Relaxed);
        self.conn.reader.wake();
    }
}
