//! The body of an upstream's answer, in the form in which it came.

use super::abandoned::Abandoned;
use super::http1::{Download, Early, Error};
use super::pool;
use crate::worker::Worker;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
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
    Early(Box<Watched>),
}

impl Reply {
    /// What comes from the upstream `origin`; the connection goes back to its pool when the last byte has come.
    pub(super) fn of(origin: u64, mut download: Download, worker: &Arc<Worker>) -> Self {
        if let Some(bytes) = download.take_whole() {
            give_back(origin, download);
            return Self::Whole(bytes);
        }
        let abandoned = Abandoned::unless_over(Arc::clone(worker));
        Self::Streamed(Box::new(Streamed { origin, download: Some(download), abandoned }))
    }

    /// What comes while its request is still sent.
    pub(super) fn early(early: Early, worker: &Arc<Worker>) -> Self {
        let abandoned = Abandoned::unless_over(Arc::clone(worker));
        Self::Early(Box::new(Watched { early, abandoned }))
    }
}

/// An answer on its way.
pub(crate) struct Streamed {
    origin: u64,
    /// None after the last frame.
    download: Option<Download>,
    abandoned: Abandoned<Arc<Worker>>,
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
        let broken = matches!(frame, Some(Err(_)));
        if broken || frame.is_none() || open.is_end_stream() {
            self.abandoned.over();
            if let Some(ended) = self.download.take().filter(|_| !broken) {
                give_back(origin, ended);
            }
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

/// An early answer, and whether its client waits for its end.
pub(crate) struct Watched {
    early: Early,
    abandoned: Abandoned<Arc<Worker>>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.early).poll_frame(cx));
        let left = matches!(frame, Some(Err(Error::Request(_))));
        if !left && (!matches!(frame, Some(Ok(_))) || self.early.is_end_stream()) {
            self.abandoned.over();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.early.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.early.size_hint()
    }
}

fn give_back(origin: u64, download: Download) {
    if let Some(connection) = download.into_idle() {
        pool::give_back(origin, connection);
    }
}
