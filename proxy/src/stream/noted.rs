//! A stream of which is noted that bytes moved on it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// See the module.
pub(crate) struct Noted<T> {
    io: T,
    moved: Arc<AtomicBool>,
    /// What is written counts too.
    writes: bool,
}

impl<T> Noted<T> {
    /// Only what is read counts.
    pub(crate) fn reads(io: T) -> Self {
        Self { io, moved: Arc::default(), writes: false }
    }

    /// What is read and what is written counts.
    pub(crate) fn all(io: T) -> Self {
        Self { writes: true, ..Self::reads(io) }
    }

    /// Where it is noted; whoever looks may take the note away.
    pub(crate) fn noted(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.moved)
    }

    fn note(&self, moved: bool) {
        if moved {
            self.moved.store(true, Ordering::Relaxed);
        }
    }

    fn note_written(&self, written: &Poll<io::Result<usize>>) {
        self.note(self.writes && matches!(written, Poll::Ready(Ok(count)) if *count > 0));
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Noted<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        self.note(buf.filled().len() > before);
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Noted<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.note_written(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.note_written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
