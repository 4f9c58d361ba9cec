//! One request to one upstream and its answer back. Bodies stream both ways through hyper's own channels; nothing is
//! buffered, and whoever goes away takes the other side's connection along.

use super::headers::{Injection, Names, clean_response, prepare, trailer_may_pass};
use super::pool::{self, Lease};
use super::upgrade::Wish;
use super::{Server, UpstreamError};
use crate::body::Body;
use crate::metrics::Event;
use crate::server::{Peer, Worker};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, TRAILER, TRANSFER_ENCODING};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::Notify;

impl Server {
    /// Sends `request`, whose target and path stay as they are, and returns the head of the answer with its body still
    /// to come.
    ///
    /// # Errors
    /// Anything that leaves us without an answer; nothing has been sent to the client then.
    pub(crate) fn forward<'a>(
        &'a self,
        worker: &'a Arc<Worker>,
        peer: &'a Arc<Peer>,
        mut request: Request<Incoming>,
        injection: &Injection<'_>,
    ) -> impl Future<Output = Result<Response<Body>, UpstreamError>> + use<'a> {
        let wish = if self.upgrades { Wish::of(&mut request) } else { None };
        let request = self.outgoing(peer, request, injection, wish.as_ref());
        self.converse(worker, peer, request, wish)
    }

    async fn converse(
        &self,
        worker: &Arc<Worker>,
        peer: &Arc<Peer>,
        request: Request<RequestBody>,
        wish: Option<Wish>,
    ) -> Result<Response<Body>, UpstreamError> {
        let sent = request.body().sent();
        let exchange = self.exchange(worker, request);
        let outcome = match self.timeout {
            None => exchange.await,
            // The upstream's time starts when it has all of the request, so that a long upload is no fault of its.
            Some(limit) => tokio::select! {
                biased;
                outcome = exchange => outcome,
                () = async { sent.wait().await; tokio::time::sleep(limit).await; } => Err(UpstreamError::Timeout(limit)),
            },
        };
        let answer = outcome.and_then(|outcome| self.answer(outcome, wish, worker, peer));
        if answer.is_err() {
            worker.shard.count(Event::UpstreamFailed);
        }
        answer
    }

    /// The request as the upstream gets it.
    fn outgoing(
        &self,
        peer: &Arc<Peer>,
        request: Request<Incoming>,
        injection: &Injection<'_>,
        wish: Option<&Wish>,
    ) -> Request<RequestBody> {
        let (mut parts, body) = request.into_parts();
        let body = RequestBody::new(body, injection.names, &parts.headers, peer);
        let protocol = wish.map(|wish| wish.protocol.clone());
        prepare(&mut parts.headers, injection, peer.address.map(|address| address.ip()), protocol);
        if !self.pass_host_header || !parts.headers.contains_key(HOST) {
            parts.headers.insert(HOST, self.origin.host.clone());
        }
        if body.is_empty() {
            if expects_body(&parts.method) {
                parts.headers.entry(CONTENT_LENGTH).or_insert_with(|| 0.into());
            }
        } else if !parts.headers.contains_key(CONTENT_LENGTH) {
            // Without being told, hyper sends no body of unknown length with GET and HEAD.
            parts.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        parts.version = Version::HTTP_11;
        parts.extensions.clear();
        Request::from_parts(parts, body)
    }

    /// Sends on a pooled connection if there is one; if that turns out to be closed, once more on a new one.
    async fn exchange(
        &self,
        worker: &Worker,
        request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Lease), UpstreamError> {
        let Some(mut lease) = pool::take(self.origin.id) else {
            return Box::pin(self.send_anew(worker, request)).await;
        };
        worker.shard.count(Event::UpstreamReused);
        let copy = Copy::of(&request);
        match lease.sender().try_send_request(request).await {
            Ok(answer) => Ok((answer, lease)),
            Err(error) => Box::pin(self.send_again(worker, error, copy)).await,
        }
    }

    async fn send_again(
        &self,
        worker: &Worker,
        mut error: TrySendError<Request<RequestBody>>,
        copy: Option<Copy>,
    ) -> Result<(Response<Incoming>, Lease), UpstreamError> {
        let again = error
            .take_message()
            .or_else(|| copy.filter(|_| was_closed(&error)).map(Copy::into_request));
        let Some(request) = again else {
            return Err(UpstreamError::Broken(error.into_error()));
        };
        worker.shard.count(Event::UpstreamRetried);
        self.send_anew(worker, request).await
    }

    /// Its callers box it, because it is rare and large, and every request's future would have room for it.
    async fn send_anew(
        &self,
        worker: &Worker,
        request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Lease), UpstreamError> {
        let sender = self.origin.connect().await.map_err(UpstreamError::Connect)?;
        worker.shard.count(Event::UpstreamConnected);
        let mut lease = Lease::new(self.origin.id, sender);
        let answer = lease.sender().send_request(request).await.map_err(UpstreamError::Broken)?;
        Ok((answer, lease))
    }

    fn answer(
        &self,
        (mut answer, lease): (Response<Incoming>, Lease),
        wish: Option<Wish>,
        worker: &Arc<Worker>,
        peer: &Arc<Peer>,
    ) -> Result<Response<Body>, UpstreamError> {
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            let wish = wish
                .filter(|wish| wish.is_met_by(answer.headers()))
                .ok_or(UpstreamError::Upgrade)?;
            let upstream = hyper::upgrade::on(&mut answer);
            wish.tunnel(upstream, self.stream_idle_timeout, worker, peer);
            let (parts, _) = answer.into_parts();
            // The hop-by-hop headers of an upgrade stay: they are its content.
            return Ok(Response::from_parts(parts, Body::empty()));
        }
        let (mut parts, body) = answer.into_parts();
        clean_response(&mut parts.headers)?;
        parts.version = Version::HTTP_11;
        // The reason phrase is the upstream's free text; ours is the standard one.
        parts.extensions.clear();
        Ok(Response::from_parts(parts, Body::upstream(body, lease)))
    }
}

/// Methods for which the lack of a body is worth a `Content-Length: 0` (RFC 9110 section 8.6).
fn expects_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

/// The connection was closed before any answer: the usual end of an idle one.
fn was_closed<T>(error: &TrySendError<T>) -> bool {
    let error = error.error();
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return true;
    }
    let source =
        std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    source.is_some_and(|error| {
        use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
        matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected)
    })
}

/// What is needed to send a request again: only of those without a body that may be repeated (RFC 9110 section 9.2.2).
struct Copy {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Copy {
    fn of(request: &Request<RequestBody>) -> Option<Self> {
        let repeatable = request.body().is_empty() && request.method().is_idempotent();
        repeatable.then(|| Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        })
    }

    fn into_request(self) -> Request<RequestBody> {
        let mut request = Request::new(RequestBody::Empty);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        request
    }
}

/// The body of a request on its way to the upstream.
pub(super) enum RequestBody {
    Empty,
    Streaming(Box<Streaming>),
}

/// A body still to come.
pub(super) struct Streaming {
    body: Incoming,
    /// Present if trailers may follow.
    names: Option<Names>,
    sent: Arc<Notify>,
    /// Who sends it; HTTP/2 sees no other sign of life.
    peer: Arc<Peer>,
}

/// Tells when a request has been sent to its last byte.
struct Sent(Option<Arc<Notify>>);

impl Sent {
    async fn wait(&self) {
        if let Some(notify) = &self.0 {
            notify.notified().await;
        }
    }
}

impl RequestBody {
    fn new(body: Incoming, names: &Names, headers: &HeaderMap, peer: &Arc<Peer>) -> Self {
        if http_body::Body::is_end_stream(&body) {
            return Self::Empty;
        }
        let names = headers.contains_key(TRAILER).then(|| names.clone());
        let peer = Arc::clone(peer);
        Self::Streaming(Box::new(Streaming { body, names, sent: Arc::default(), peer }))
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    fn sent(&self) -> Sent {
        match self {
            Self::Empty => Sent(None),
            Self::Streaming(streaming) => Sent(Some(Arc::clone(&streaming.sent))),
        }
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.sent.notify_one();
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Self::Streaming(streaming) = &mut *self else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut streaming.body).poll_frame(cx));
        streaming.peer.note_moved();
        if frame.is_none() || http_body::Body::is_end_stream(&streaming.body) {
            streaming.sent.notify_one();
        }
        Poll::Ready(match frame {
            Some(Ok(frame)) if frame.is_trailers() => {
                streaming.names.as_ref().map(|names| Ok(filtered(frame, names)))
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

fn filtered(frame: Frame<Bytes>, names: &Names) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(trailers) => {
            let mut kept = HeaderMap::with_capacity(trailers.len());
            for (name, value) in trailers.iter().filter(|(name, _)| trailer_may_pass(names, name)) {
                kept.append(name, value.clone());
            }
            Frame::trailers(kept)
        }
        Err(frame) => frame,
    }
}
