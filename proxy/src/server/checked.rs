//! The wrapper through which the HTTP parser reads a client's socket: it checks the framing, and notes what decides whether
//! the connection may be parked.

use super::conn::Conn;
use super::framing::Framing;
use super::preface::{Beginning, Begun};
use crate::stream::Stream;
use bytes::Bytes;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream under the eyes of [`Framing`].
pub(super) struct Checked {
    pub(super) stream: Stream,
    pub(super) framing: Framing,
    conn: Arc<Conn>,
    /// Read and checked in an earlier burst, and not used there.
    prefix: Bytes,
    /// Read behind a request that asks for another protocol: what it is, its answer tells.
    held: Bytes,
    /// How the connection began, while that is not enough to tell what it speaks; all of it once that is HTTP/2.
    beginning: Vec<u8>,
}

impl Checked {
    pub(super) fn new(stream: Stream, framing: Framing, conn: Arc<Conn>, prefix: Bytes) -> Self {
        Self { stream, framing, conn, prefix, held: Bytes::new(), beginning: Vec::new() }
    }

    /// The connection, if HTTP/2 is spoken on it.
    pub(super) fn into_http2(self) -> Begun<Stream> {
        Begun::new(self.beginning.into(), self.stream, self.conn)
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.conn.is_untold() {
            ready!(self.poll_beginning(cx, buf))?;
            if !self.conn.is_untold() {
                return Poll::Ready(Ok(()));
            }
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }

    fn poll_checked(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.conn.is_raw() {
            return self.poll_raw(cx, buf);
        }
        if self.conn.is_refused() {
            // Whoever drives the connection ends it; what still comes is nobody's business.
            return self.conn.wait(cx);
        }
        if self.framing.asks() {
            if !self.conn.has_answered_all() {
                return self.poll_held(cx, buf);
            }
            self.framing.go_on();
        }
        let before = buf.filled().len();
        if !self.held.is_empty() {
            ready!(hand_on(&mut self.held, buf))?;
            return self.check(cx, buf, before);
        }
        let poll = self.poll_stream(cx, buf);
        self.conn.note_read(poll.is_pending());
        ready!(poll)?;
        self.check(cx, buf, before)
    }

    /// Bytes of another protocol, in which a line feed means nothing to us.
    fn poll_raw(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.held.is_empty() {
            return hand_on(&mut self.held, buf);
        }
        if self.conn.is_refused() {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let poll = self.poll_stream(cx, buf);
        self.conn.note_read(poll.is_pending());
        poll
    }

    /// Until it is known what the client speaks, one read is kept, and the end of the connection is seen if it comes before.
    fn poll_held(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.held.is_empty() {
            let before = buf.filled().len();
            let poll = self.poll_stream(cx, buf);
            self.conn.note_read(poll.is_pending());
            ready!(poll)?;
            let read = buf.filled().get(before..).unwrap_or_default();
            if read.is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.hold(read);
            buf.set_filled(before);
        }
        self.conn.wait(cx)
    }

    /// Keeps `read` for later, before what is kept already.
    fn hold(&mut self, read: &[u8]) {
        self.conn.note_start(false);
        self.held = [read, &self.held].concat().into();
    }

    /// Hands on what was read from `before` on, as far as it can be read in one way only.
    fn check(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        before: usize,
    ) -> Poll<io::Result<()>> {
        let read = buf.filled().get(before..).unwrap_or_default();
        if read.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let in_body = self.framing.in_body();
        let fed = self.framing.feed(read);
        self.conn.note_requests(self.framing.requests());
        match fed {
            Ok(count) => {
                self.conn.note_start(self.framing.at_start());
                if let Some(rest @ [_, ..]) = read.get(count..) {
                    self.hold(rest);
                }
                buf.set_filled(before + count);
                Poll::Ready(Ok(()))
            }
            Err(violation) => {
                // Requests that came whole before it are answered first.
                let whole = self.framing.whole();
                self.conn.refuse(violation, in_body && whole == 0);
                buf.set_filled(before + whole);
                self.conn.note_start(true);
                if whole > 0 { Poll::Ready(Ok(())) } else { self.conn.wait(cx) }
            }
        }
    }

    /// Reads once. Of HTTP/1 everything is handed on; of HTTP/2, and of what may become either, nothing.
    fn poll_beginning(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        // The parser's buffer has room for much more than this.
        buf.put_slice(&self.beginning);
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        let read = buf.filled().get(before..).unwrap_or_default();
        let ended = poll.is_ready() && read.len() == self.beginning.len();
        match Beginning::of(read) {
            Beginning::Http1 => self.conn.set_told(),
            Beginning::Unclear if ended => self.conn.set_told(),
            beginning => {
                self.conn.note_start(read.is_empty());
                self.beginning = read.to_vec();
                buf.set_filled(before);
                if beginning == Beginning::Http2 {
                    // Whoever drives the connection takes it from here.
                    self.conn.set_http2();
                    return Poll::Pending;
                }
            }
        }
        poll
    }
}

/// Takes as much off `bytes` as there is room for.
fn hand_on(bytes: &mut Bytes, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
    buf.put_slice(&bytes.split_to(bytes.len().min(buf.remaining())));
    Poll::Ready(Ok(()))
}

impl AsyncRead for Checked {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.prefix.is_empty() {
            this.poll_checked(cx, buf)
        } else {
            hand_on(&mut this.prefix, buf)
        }
    }
}

impl AsyncWrite for Checked {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.conn.note_write(poll.is_pending());
        poll
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.conn.note_write(poll.is_pending());
        poll
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // The parser flushes in each of its turns, whatever it has stopped reading for.
        if this.conn.takes_look() && this.stream.is_left() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let poll = Pin::new(&mut this.stream).poll_flush(cx);
        this.conn.note_flush(poll.is_pending());
        poll
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
