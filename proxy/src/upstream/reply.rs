//! The body of an upstream's answer, in the form in which it came.

use super::http1::{Download, Early, Error};
use super::pool;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// What an upstream answers, behind the head.
pub(crate) enum Reply {
    /// Nothing, or it goes another way.
    Empty,
    /// All of it came with the head, which most often it does.
    Whole(Bytes),
    /// It is still to come.
    Streamed(Box<Streamed>),
    /// It began before its request had ended.
    Early(Box<Early>),
}

impl Reply {
    /// What comes from the upstream `origin`; the connection goes back to its pool when the last byte has come.
    pub(super) fn of(origin: u64, mut download: Download) -> Self {
        if let Some(bytes) = download.take_whole() {
            give_back(origin, download);
            return Self::Whole(bytes);
        }
        Self::Streamed(Box::new(Streamed { origin, download: Some(download) }))
    }
}

/// An answer on its way.
pub(crate) struct Streamed {
    origin: u64,
    /// None after the last frame.
    download: Option<Download>,
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let origin = self.origin;
        let Some(open) = &mut self.download else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *open).poll_frame(cx));
        if !matches!(frame, Some(Err(_)))
            && (frame.is_none() || open.is_end_stream())
            && let Some(ended) = self.download.take()
        {
            give_back(origin, ended);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.download.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.download.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

fn give_back(origin: u64, download: Download) {
    if let Some(connection) = download.into_idle() {
        pool::give_back(origin, connection);
    }
}
