//! The wrapper through which the HTTP parser reads a client's socket: it checks the framing, and notes what decides whether
//! the connection may be parked.

use super::conn::Conn;
use super::framing::Framing;
use super::preface::{Beginning, Begun};
use crate::stream::Stream;
use bytes::{Buf, Bytes};
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
    /// How the connection began, while that is not enough to tell what it speaks; all of it once that is HTTP/2.
    beginning: Vec<u8>,
}

impl Checked {
    pub(super) fn new(stream: Stream, framing: Framing, conn: Arc<Conn>, prefix: Bytes) -> Self {
        Self { stream, framing, conn, prefix, beginning: Vec::new() }
    }

    /// The connection, if HTTP/2 is spoken on it.
    pub(super) fn into_http2(self) -> Begun<Stream> {
        Begun::new(self.beginning.into(), self.stream)
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

impl AsyncRead for Checked {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.prefix.is_empty() {
            let count = this.prefix.len().min(buf.remaining());
            buf.put_slice(this.prefix.get(..count).unwrap_or_default());
            this.prefix.advance(count);
            return Poll::Ready(Ok(()));
        }
        if this.conn.is_refused() {
            // Whoever drives the connection ends it; what still comes is nobody's business.
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let poll = this.poll_stream(cx, buf);
        this.conn.note_read(poll.is_pending());
        if let Poll::Ready(Ok(())) = &poll {
            let read = buf.filled().get(before..).unwrap_or_default();
            if !read.is_empty() && !this.conn.is_raw() {
                let in_body = this.framing.in_body();
                if let Err(violation) = this.framing.feed(read) {
                    // Requests that came whole before it are answered first.
                    let whole = this.framing.whole();
                    this.conn.refuse(violation, in_body && whole == 0);
                    buf.set_filled(before + whole);
                    this.conn.note_start(true);
                    return if whole > 0 { Poll::Ready(Ok(())) } else { Poll::Pending };
                }
                this.conn.note_start(this.framing.at_start());
            }
        }
        poll
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
        let poll = Pin::new(&mut this.stream).poll_flush(cx);
        this.conn.note_flush(poll.is_pending());
        poll
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
