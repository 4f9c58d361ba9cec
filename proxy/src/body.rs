//! The body of every response. Streams pass through untouched and unbuffered,
//! so that back-pressure reaches from one side to the other.

use crate::upstream::{Reply, Streamed};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Why a body broke off.
pub(crate) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A stream made elsewhere, such as a file.
pub(crate) type Foreign = Pin<Box<dyn http_body::Body<Data = Bytes, Error = BodyError> + Send>>;

/// The body of a response.
pub(crate) struct Body(Kind);

enum Kind {
    Empty,
    Full(Option<Bytes>),
    Upstream(Box<Streamed>),
    Stream(Foreign),
    Broken(Option<BodyError>),
}

impl Body {
    /// No bytes at all.
    pub(crate) const fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// All bytes are at hand.
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let kind = if bytes.is_empty() { Kind::Empty } else { Kind::Full(Some(bytes)) };
        Self(kind)
    }

    /// A stream of unknown make; its `size_hint` should be exact where it can.
    pub(crate) fn stream(stream: Foreign) -> Self {
        Self(Kind::Stream(stream))
    }

    /// Leaves nothing to send; who watches over the end of this body still does.
    pub(crate) fn forget_content(&mut self) {
        self.0 = Kind::Empty;
    }

    /// How many bytes are at hand, of a body that is not a stream.
    pub(crate) fn at_hand(&self) -> usize {
        if let Kind::Full(Some(bytes)) = &self.0 { bytes.len() } else { 0 }
    }
}

impl From<Reply> for Body {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Empty => Self::empty(),
            Reply::Whole(bytes) => Self::full(bytes),
            Reply::Streamed(streamed) => Self(Kind::Upstream(streamed)),
            Reply::Early(early) => Self::stream(Box::pin(early.map_err(Into::into))),
        }
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::full(Bytes::from_static(text.as_bytes()))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = match &mut self.0 {
            Kind::Empty => None,
            Kind::Broken(error) => error.take().map(Err),
            Kind::Full(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
            Kind::Stream(stream) => ready!(stream.as_mut().poll_frame(cx)),
            Kind::Upstream(streamed) => ready!(Pin::new(&mut **streamed).poll_frame(cx))
                .map(|frame| frame.map_err(Into::into)),
        };
        let frame = match frame {
            // What came before is sent first, as far as the client takes it in the turn that this gives: it shall see a
            // beginning without an end rather than nothing.
            Some(Err(error)) if !matches!(self.0, Kind::Broken(_)) => {
                self.0 = Kind::Broken(Some(error));
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            frame => frame,
        };
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty | Kind::Full(None) => true,
            Kind::Full(Some(_)) | Kind::Broken(_) => false,
            Kind::Upstream(streamed) => streamed.is_end_stream(),
            Kind::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty | Kind::Full(None) => SizeHint::with_exact(0),
            Kind::Full(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Upstream(streamed) => streamed.size_hint(),
            Kind::Stream(stream) => stream.size_hint(),
            Kind::Broken(_) => SizeHint::default(),
        }
    }
}
