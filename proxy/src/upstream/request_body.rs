//! The body of a request on its way to the upstream: passed on as it comes, but for trailers that nobody may send.

use super::headers::{Names, tokens, trailer_may_pass};
use crate::pace;
use crate::peer::Peer;
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue, TRAILER, TRANSFER_ENCODING};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::Notify;

/// Announced trailers beyond these stay here; no head has as many lines.
const MAX_ANNOUNCED: usize = 100;

/// What follows the head of a request.
pub(super) enum RequestBody {
    Empty,
    Streaming(Box<Streaming>),
}

/// A body still to come.
pub(super) struct Streaming {
    body: Incoming,
    /// Present if trailers may follow.
    trailers: Option<Trailers>,
    sent: Arc<Notify>,
    /// Who sends it; HTTP/2 sees no other sign of life.
    peer: Arc<Peer>,
}

/// The trailers that may pass: those that were announced, but for what could be merged into the head.
struct Trailers {
    names: Names,
    announced: HeaderValue,
}

/// Tells when a request has been sent to its last byte; at once if there is no body.
#[derive(Default)]
pub(super) struct Sent(Option<Arc<Notify>>);

impl Sent {
    pub(super) async fn wait(&self) {
        if let Some(notify) = &self.0 {
            notify.notified().await;
        }
    }
}

impl RequestBody {
    pub(super) fn new(
        body: Option<Incoming>,
        names: &Names,
        headers: &HeaderMap,
        peer: &Arc<Peer>,
    ) -> Self {
        let Some(body) = body.filter(|body| !body.is_end_stream()) else { return Self::Empty };
        let trailers = headers
            .get(TRAILER)
            .filter(|_| headers.contains_key(TRANSFER_ENCODING))
            .map(|announced| Trailers { names: names.clone(), announced: announced.clone() });
        let peer = Arc::clone(peer);
        Self::Streaming(Box::new(Streaming { body, trailers, sent: Arc::default(), peer }))
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    pub(super) fn sent(&self) -> Sent {
        match self {
            Self::Empty => Sent::default(),
            Self::Streaming(streaming) => Sent(Some(Arc::clone(&streaming.sent))),
        }
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.sent.notify_one();
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Self::Streaming(streaming) = &mut *self else { return Poll::Ready(None) };
        let poll = Pin::new(&mut streaming.body).poll_frame(cx);
        pace::note(poll.is_pending(), poll.is_ready());
        let frame = ready!(poll);
        streaming.peer.note_moved();
        if frame.is_none() || streaming.body.is_end_stream() {
            streaming.sent.notify_one();
        }
        Poll::Ready(match frame {
            Some(Ok(frame)) if frame.is_trailers() => {
                streaming.trailers.as_ref().map(|trailers| Ok(trailers.filter(frame)))
            }
            other => other,
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Streaming(streaming) => streaming.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Streaming(streaming) => streaming.body.size_hint(),
        }
    }
}

impl Trailers {
    fn filter(&self, frame: Frame<Bytes>) -> Frame<Bytes> {
        match frame.into_trailers() {
            Ok(trailers) => {
                let announced: Vec<_> = tokens(&self.announced).take(MAX_ANNOUNCED).collect();
                let may_pass = |name: &HeaderName| {
                    let is_it =
                        |token: &&[u8]| token.eq_ignore_ascii_case(name.as_str().as_bytes());
                    announced.iter().any(is_it) && trailer_may_pass(&self.names, name)
                };
                let mut kept = HeaderMap::with_capacity(trailers.len());
                for (name, value) in trailers.iter().filter(|(name, _)| may_pass(name)) {
                    kept.append(name, value.clone());
                }
                Frame::trailers(kept)
            }
            Err(frame) => frame,
        }
    }
}
