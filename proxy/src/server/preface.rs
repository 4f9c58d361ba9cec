//! HTTP/2 without TLS: a client that knows that we speak it begins with a fixed text (RFC 9113 section 3.4), by which it is
//! told from HTTP/1. That costs HTTP/1 one comparison for each connection and no system call.

use super::conn::Conn;
use bytes::Bytes;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// Too few to tell.
    Unclear,
    /// Anything but HTTP/2.
    Http1,
    Http2,
}

impl Beginning {
    pub(super) fn of(bytes: &[u8]) -> Self {
        if bytes.starts_with(PREFACE) {
            Self::Http2
        } else if PREFACE.starts_with(bytes) {
            Self::Unclear
        } else {
            Self::Http1
        }
    }
}

/// A stream of which the beginning was read already.
pub(super) struct Begun<S> {
    read: Bytes,
    stream: S,
    conn: Arc<Conn>,
}

impl<S> Begun<S> {
    pub(super) fn new(read: Bytes, stream: S, conn: Arc<Conn>) -> Self {
        Self { read, stream, conn }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (this, before) = (self.get_mut(), buf.filled().len());
        if this.read.is_empty() {
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        } else {
            buf.put_slice(&this.read.split_to(this.read.len().min(buf.remaining())));
        }
        this.conn.heads.note_sent(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Begun<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    /// Over TLS too: the head of a frame and its content are handed over as two pieces, and become one record and one write.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_like_http_2_is_unclear_until_it_is_told_from_http_1() {
        for count in 0..PREFACE.len() {
            let (begun, next) = PREFACE.split_at(count);
            assert_eq!(Beginning::of(begun), Beginning::Unclear, "{count}");
            let other = [begun, &[next[0] ^ 1]].concat();
            assert_eq!(Beginning::of(&other), Beginning::Http1, "{count}");
        }
        assert_eq!(Beginning::of(PREFACE), Beginning::Http2);
        assert_eq!(Beginning::of(&[PREFACE, b"\0"].concat()), Beginning::Http2);
    }
}
