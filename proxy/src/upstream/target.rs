//! One request to one upstream and its answer back. Bodies stream both ways; nothing is buffered, and whoever goes away
//! takes the other side's connection along.

use super::abandoned::Abandoned;
use super::headers::{Injection, Outgoing, clean_response, is_of_connection};
use super::http1::{self, Answer, Early, Upload};
use super::request_body::RequestBody;
use super::upgrade::Wish;
use super::{Origin, OriginError, Reply, UpstreamError};
use crate::metrics::Event;
use crate::peer::Peer;
use crate::worker::Worker;
use http::header::{PROXY_AUTHENTICATE, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode, Version};
use hyper::body::Incoming;
use proxy_config::Target as Config;
use std::sync::Arc;
use std::time::Duration;

/// One HTTP server, ready to be asked.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(super) origin: Arc<Origin>,
    pass_host_header: bool,
    upgrades: bool,
    reuse_after_body: bool,
    pub(super) timeout: Option<Duration>,
    stream_idle_timeout: Option<Duration>,
}

/// What an upstream is asked: the head of a request, whose target is the one that it gets, and what follows.
pub(crate) struct Question<'a> {
    pub(crate) head: &'a mut Parts,
    pub(crate) body: Option<Incoming>,
}

impl Target {
    /// Compiles an `http`, `https` or `unix` target. Returns `None` for the others, which are no servers.
    ///
    /// # Errors
    /// What is wrong with the URI, in words.
    pub(crate) fn compile(
        upstream: &proxy_config::Upstream,
        stream_idle_timeout: Option<Duration>,
    ) -> Result<Option<Self>, OriginError> {
        let (origin, pass_host_header, upgrades, timeout) = match &upstream.target {
            Config::Http {
                uri,
                insecure_skip_tls_verify,
                pass_host_header,
                proxy_web_sockets,
                timeout,
            } => (
                Origin::parse(uri, *insecure_skip_tls_verify, &upstream.id)?,
                *pass_host_header,
                *proxy_web_sockets,
                *timeout,
            ),
            Config::Unix { socket, pass_host_header, proxy_web_sockets, timeout } => (
                Origin::unix(socket, &upstream.id),
                *pass_host_header,
                *proxy_web_sockets,
                *timeout,
            ),
            Config::File { .. } | Config::Static { .. } => return Ok(None),
        };
        Ok(Some(Self {
            origin: Arc::new(origin),
            pass_host_header,
            upgrades,
            reuse_after_body: upstream.reuse_after_body,
            timeout: (!timeout.is_zero()).then(|| timeout.get()),
            stream_idle_timeout,
        }))
    }

    /// Asks the question, whose target and path stay as they are, and returns the head of the answer with its body still to
    /// come.
    ///
    /// # Errors
    /// Anything that leaves us without an answer; nothing has been sent to the client then.
    pub(crate) fn forward<'a>(
        &'a self,
        worker: &'a Arc<Worker>,
        peer: &'a Arc<Peer>,
        question: Question<'_>,
        injection: &Injection<'_>,
    ) -> impl Future<Output = Result<Response<Reply>, UpstreamError>> + use<'a> {
        // What follows an upgrade's head is the other protocol's: a body before it would be read by one as the other.
        let plain = question.body.as_ref().is_none_or(http_body::Body::is_end_stream);
        let wish = if self.upgrades && plain { Wish::of(question.head) } else { None };
        let version = question.head.version;
        let upload = self.outgoing(peer, question, injection, wish.as_ref());
        async move {
            let mut abandoned = Abandoned::unless_over(&**worker);
            let answer = self.attempt(worker, upload, version).await;
            abandoned.over();
            let response = answer.and_then(|answer| self.answer(answer, wish, worker, peer));
            if let Err(error) = &response {
                // A request that broke off is its client's doing.
                let left = matches!(error, UpstreamError::Broken(http1::Error::Request(_)));
                let event = if left { Event::UpstreamAbandoned } else { Event::UpstreamFailed };
                worker.shard.count(event);
            }
            response
        }
    }

    /// The request as the upstream gets it.
    fn outgoing(
        &self,
        peer: &Arc<Peer>,
        question: Question<'_>,
        injection: &Injection<'_>,
        wish: Option<&Wish>,
    ) -> Box<Upload> {
        let Question { head, body } = question;
        let body = RequestBody::new(body, injection.names, &head.headers, peer);
        let outgoing = Outgoing {
            method: &head.method,
            target: head.uri.path_and_query(),
            headers: &head.headers,
            peer: peer.ip(),
            upgrade: wish.map(|wish| &wish.protocol),
            host: &self.origin.host,
            pass_host: self.pass_host_header,
            has_body: !body.is_empty(),
        };
        let written = outgoing.write(injection);
        // The answer may take long.
        head.headers = HeaderMap::new();
        let close = !body.is_empty() && self.closes_after_body(&head.method, injection);
        // Over HTTP/2 a client can not be told to go on.
        let waits = !body.is_empty() && head.version == Version::HTTP_11 && written.continues;
        let mut upload = Box::new(Upload::new(written.head, body));
        if written.binds {
            upload.be_last();
        }
        if close {
            upload.close_after();
        }
        if waits {
            upload.wait_for_continue();
        }
        upload
    }

    /// A server that leaves a body unread takes it for the next request on its connection, past every rule and with what its
    /// sender wants to be. So nothing comes next where that is likely: by methods whose bodies mean nothing (RFC 9110 section
    /// 9.3), for strangers, and for servers that are known for it. `Upload` looks at the others' bodies.
    fn closes_after_body(&self, method: &Method, injection: &Injection<'_>) -> bool {
        let meaningless = matches!(
            *method,
            Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS | Method::TRACE
        );
        meaningless
            || injection.stranger
            || !self.reuse_after_body
            || self.origin.known.ignores_bodies()
    }

    fn answer(
        &self,
        answer: Answer,
        wish: Option<Wish>,
        worker: &Arc<Worker>,
        peer: &Arc<Peer>,
    ) -> Result<Response<Reply>, UpstreamError> {
        let status = answer.status();
        let (headers, body) = if status == StatusCode::SWITCHING_PROTOCOLS {
            let wish = wish
                .filter(|wish| answer.is_to_all() && wish.is_met_by(answer.headers()))
                .ok_or(UpstreamError::Upgrade)?;
            let (headers, upstream) = answer.into_switched();
            wish.tunnel(upstream, self.stream_idle_timeout, worker, peer);
            // The hop-by-hop headers of an upgrade stay: they are its content.
            (headers, Reply::Empty)
        } else {
            let (mut headers, mut download, upload) = answer.into_parts();
            if binds_connection(status, &headers) {
                download.be_last();
            }
            clean_response(&mut headers);
            let body = match upload {
                None => Reply::of(self.origin.known.id(), download, worker),
                Some(upload) => Reply::early(Early::new(download, upload), worker),
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

/// Whether the server may tie what it learns of its client to the connection.
fn binds_connection(status: StatusCode, headers: &HeaderMap) -> bool {
    let name = match status {
        StatusCode::UNAUTHORIZED => WWW_AUTHENTICATE,
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => PROXY_AUTHENTICATE,
        _ => return false,
    };
    headers.get_all(name).iter().any(is_of_connection)
}
