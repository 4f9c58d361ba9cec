//! One request to one upstream and its answer back. Bodies stream both ways; nothing is buffered, and whoever goes away
//! takes the other side's connection along.

use super::headers::{Injection, clean_response, prepare};
use super::http1::{self, Answer, Connection, Early, Upload};
use super::pool;
use super::request_body::RequestBody;
use super::upgrade::Wish;
use super::{Server, UpstreamError};
use crate::body::Body;
use crate::metrics::Event;
use crate::server::{Peer, Worker};
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::sync::Arc;

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
        self.converse(worker, peer, Upload::new(request), wish)
    }

    async fn converse(
        &self,
        worker: &Arc<Worker>,
        peer: &Arc<Peer>,
        upload: Upload,
        wish: Option<Wish>,
    ) -> Result<Response<Body>, UpstreamError> {
        let sent = upload.sent();
        let exchange = self.exchange(worker, upload);
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
            parts.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        Request::from_parts(parts, body)
    }

    /// Asks on a pooled connection if there is one; if that turns out to be closed, once more on a new one.
    async fn exchange(&self, worker: &Worker, upload: Upload) -> Result<Answer, UpstreamError> {
        let Some(connection) = pool::take(self.origin.id) else {
            return Box::pin(self.ask_anew(worker, upload)).await;
        };
        worker.shard.count(Event::UpstreamReused);
        let upload = match http1::ask(connection, upload).await {
            Ok(answer) if answer.was_asked_for() => return Ok(answer),
            Ok(answer) => answer.into_request(),
            Err(unanswered) => unanswered.again().map_err(UpstreamError::Broken)?,
        };
        worker.shard.count(Event::UpstreamRetried);
        Box::pin(self.ask_anew(worker, upload)).await
    }

    /// Its callers box it, because it is rare and large, and every request's future would have room for it.
    async fn ask_anew(&self, worker: &Worker, upload: Upload) -> Result<Answer, UpstreamError> {
        let stream = self.origin.connect().await.map_err(UpstreamError::Connect)?;
        worker.shard.count(Event::UpstreamConnected);
        http1::ask(Connection::new(stream), upload)
            .await
            .map_err(|unanswered| UpstreamError::Broken(unanswered.into_error()))
    }

    fn answer(
        &self,
        answer: Answer,
        wish: Option<Wish>,
        worker: &Arc<Worker>,
        peer: &Arc<Peer>,
    ) -> Result<Response<Body>, UpstreamError> {
        let status = answer.status();
        let (headers, body) = if status == StatusCode::SWITCHING_PROTOCOLS {
            let wish = wish
                .filter(|wish| answer.is_to_all() && wish.is_met_by(answer.headers()))
                .ok_or(UpstreamError::Upgrade)?;
            let (headers, upstream) = answer.into_switched();
            wish.tunnel(upstream, self.stream_idle_timeout, worker, peer);
            // The hop-by-hop headers of an upgrade stay: they are its content.
            (headers, Body::empty())
        } else {
            let (mut headers, download, upload) = answer.into_parts();
            clean_response(&mut headers);
            let body = match upload {
                None => Body::upstream(self.origin.id, download),
                Some(upload) => {
                    Body::stream(Box::pin(Early::new(download, upload).map_err(Into::into)))
                }
            };
            (headers, body)
        };
        // The reason phrase is the upstream's free text; ours is the standard one.
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// Methods for which the lack of a body is worth a `Content-Length: 0` (RFC 9110 section 8.6).
fn expects_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}
