//! One request and its response, as they are remembered: a line in the access log and the counts of the metrics. It ends
//! when the response's body does, or when the client is gone, whichever comes first. It never sees a body's content.

use crate::access_log::{AccessLine, Rules};
use crate::body::Body;
use crate::peer::Peer;
use crate::request_id::RequestId;
use crate::worker::Worker;
use http::{HeaderValue, Request, Response, StatusCode};
use jiff::Timestamp;
use std::sync::Arc;
use tokio::time::Instant;

/// What nginx writes for a client that left before there was a status; it is never sent.
const CLIENT_GONE: u16 = 499;

/// A request on its way.
pub(crate) struct Entry {
    worker: Arc<Worker>,
    start: Instant,
    method: http::Method,
    counted: bool,
    status: u16,
    bytes: u64,
    line: Option<AccessLine>,
}

impl Entry {
    /// Starts to watch `request`, which came `now`. `rules` decide by its path whether there will be a line.
    pub(crate) fn begin<B>(
        worker: &Arc<Worker>,
        peer: &Arc<Peer>,
        request: &Request<B>,
        rules: &Rules,
        now: Timestamp,
    ) -> Box<Self> {
        let start = Instant::now();
        worker.shard.begin();
        let line =
            rules.wants(request.uri().path()).then(|| AccessLine::begin(peer, request, rules, now));
        Box::new(Self {
            worker: Arc::clone(worker),
            start,
            method: request.method().clone(),
            counted: true,
            status: CLIENT_GONE,
            bytes: 0,
            line,
        })
    }

    /// Leaves this request out of the request metrics, as health checks are.
    pub(crate) fn uncounted(&mut self) {
        if self.counted {
            self.counted = false;
            self.worker.shard.end();
        }
    }

    /// Leaves this request out of the log, as redirects to `https` are.
    pub(crate) fn unlogged(&mut self) {
        self.line = None;
    }

    /// The id of this request.
    pub(crate) fn set_request_id(&mut self, id: RequestId) {
        if let Some(line) = &mut self.line {
            line.request_id = Some(id);
        }
    }

    /// E-mail or else user of the session.
    pub(crate) fn set_user(&mut self, user: HeaderValue) {
        if let Some(line) = &mut self.line {
            line.user = Some(user);
        }
    }

    /// The upstream that answers.
    pub(crate) fn set_upstream(&mut self, id: &Arc<str>) {
        if let Some(line) = &mut self.line {
            line.upstream = Some(Arc::clone(id));
        }
    }

    /// The client's address as a proxy in front of us tells it, in place of the peer's.
    pub(crate) fn set_client(&mut self, client: std::net::IpAddr) {
        if let Some(line) = &mut self.line {
            line.client = Some(client);
        }
    }

    /// The effective host, where it is not the Host header's.
    pub(crate) fn set_host(&mut self, host: HeaderValue) {
        if let Some(line) = &mut self.line {
            line.host = Some(host);
        }
    }

    /// Ties the end of this entry to the end of the response.
    pub(crate) fn finish(mut self: Box<Self>, response: Response<Body>) -> Answered {
        self.status = response.status().as_u16();
        if self.method == http::Method::HEAD {
            // Counted as oauth2-proxy does, although it stays here: nobody will ask the body for it.
            self.sent(response.body().at_hand());
        }
        Answered { response, entry: Some(self) }
    }

    /// `count` bytes of the body went out.
    pub(crate) fn sent(&mut self, count: usize) {
        self.bytes = self.bytes.wrapping_add(count as u64);
    }

    /// The body ended before its time, through the upstream's fault.
    pub(crate) fn broken(&mut self) {
        if let Some(line) = &mut self.line {
            line.broken = true;
        }
    }
}

/// A response, and what remembers it until its body has ended.
pub(crate) struct Answered {
    /// The response.
    pub(crate) response: Response<Body>,
    /// None: nobody remembers it.
    pub(crate) entry: Option<Box<Entry>>,
}

impl From<Response<Body>> for Answered {
    fn from(response: Response<Body>) -> Self {
        Self { response, entry: None }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let elapsed = self.start.elapsed();
        if self.counted {
            self.worker.shard.end();
            let status = if self.status == StatusCode::SWITCHING_PROTOCOLS.as_u16() {
                200
            } else {
                self.status
            };
            self.worker.shard.record(status, &self.method, elapsed);
        }
        if let Some(line) = self.line.take() {
            line.write(&self.worker.log, self.status, self.bytes, elapsed);
        }
    }
}
