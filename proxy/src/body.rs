//! The body of every response. Streams pass through untouched and unbuffered,
//! so that back-pressure reaches from one side to the other.

use crate::upstream::{self, Download};
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Why a body broke off.
pub(crate) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A stream made elsewhere, such as a file.
pub(crate) type Stream = Pin<Box<dyn http_body::Body<Data = Bytes, Error = BodyError> + Send>>;

/// The body of a response.
pub(crate) struct Body(Kind);

enum Kind {
    Empty,
    Full(Option<Bytes>),
    Upstream { origin: u64, download: Option<Box<Download>> },
    Stream(Stream),
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
    pub(crate) fn stream(stream: Stream) -> Self {
        Self(Kind::Stream(stream))
    }

    /// What the upstream `origin` answers; the connection goes back to its pool when the last byte has come, which most often
    /// is at once.
    pub(crate) fn upstream(origin: u64, mut download: Download) -> Self {
        if let Some(bytes) = download.take_whole() {
            give_back(origin, download);
            return Self::full(bytes);
        }
        Self(Kind::Upstream { origin, download: Some(Box::new(download)) })
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

/// The next frame; after the last one `download` is none, and its connection is back in its pool.
fn poll_download(
    origin: u64,
    download: &mut Option<Box<Download>>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
    let Some(open) = download else { return Poll::Ready(None) };
    let frame = ready!(Pin::new(&mut **open).poll_frame(cx));
    if !matches!(frame, Some(Err(_)))
        && (frame.is_none() || open.is_end_stream())
        && let Some(ended) = download.take()
    {
        give_back(origin, *ended);
    }
    Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
}

fn give_back(origin: u64, download: Download) {
    if let Some(connection) = download.into_idle() {
        upstream::give_back(origin, connection);
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
            Kind::Upstream { origin, download } => ready!(poll_download(*origin, download, cx)),
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
            Kind::Upstream { download, .. } => {
                download.as_deref().is_none_or(http_body::Body::is_end_stream)
            }
            Kind::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty | Kind::Full(None) => SizeHint::with_exact(0),
            Kind::Full(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Upstream { download, .. } => download
                .as_deref()
                .map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint),
            Kind::Stream(stream) => stream.size_hint(),
            Kind::Broken(_) => SizeHint::default(),
        }
    }
}
