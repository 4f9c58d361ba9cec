//! One line of the access log.

use super::Rules;
use super::escape::{bare, json, quoted};
use super::redact::redact;
use crate::ip;
use crate::output::Log;
use crate::peer::Peer;
use crate::request_id::RequestId;
use http::header::{HOST, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Version};
use jiff::Timestamp;
use proxy_config::LogFormat;
use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// What will be written when the request is over.
///
/// Fields of a JSON line, always all and in this order: `time` (RFC 3339, UTC, start of the request), `kind`
/// (`request`), `client`, `request_id`, `user`, `host`, `method`, `upstream`, `uri`, `protocol`, `user_agent`, `status`
/// (499: the client left before there was one), `response_bytes`, `duration_seconds`, `broken` (the upstream's answer broke
/// off). What is not known is an empty string.
#[derive(Debug)]
pub(crate) struct AccessLine {
    format: LogFormat,
    time: Timestamp,
    peer: Arc<Peer>,
    method: Method,
    target: Option<PathAndQuery>,
    version: Version,
    user_agent: Option<HeaderValue>,
    pub(crate) client: Option<IpAddr>,
    pub(crate) host: Option<HeaderValue>,
    pub(crate) request_id: Option<RequestId>,
    pub(crate) user: Option<HeaderValue>,
    pub(crate) upstream: Option<Arc<str>>,
    pub(crate) broken: bool,
}

impl AccessLine {
    /// Keeps what the line needs of `request`, which came `now` and will soon be consumed.
    pub(crate) fn begin<B>(
        peer: &Arc<Peer>,
        request: &Request<B>,
        rules: &Rules,
        now: Timestamp,
    ) -> Self {
        let (mut host, mut user_agent) = (None, None);
        for (name, value) in request.headers() {
            match *name {
                HOST => host = host.or(Some(value)),
                USER_AGENT => user_agent = user_agent.or(Some(value)),
                _ => {}
            }
        }
        Self {
            format: rules.format,
            time: now,
            peer: Arc::clone(peer),
            method: request.method().clone(),
            target: request.uri().path_and_query().cloned(),
            version: request.version(),
            user_agent: user_agent.cloned(),
            client: None,
            host: host.cloned(),
            request_id: None,
            user: None,
            upstream: None,
            broken: false,
        }
    }

    /// Writes the line to `log`.
    pub(crate) fn write(&self, log: &Log, status: u16, bytes: u64, duration: Duration) {
        let end = End { status, bytes, duration };
        log.append(|out, second, zone| match self.format {
            LogFormat::Text => self.text(out, second.of(self.time, zone), &end),
            LogFormat::Json => self.json(out, &end),
        });
    }

    fn text(&self, out: &mut Vec<u8>, time: &str, end: &End) {
        self.write_client(out);
        out.extend_from_slice(b" - ");
        match &self.request_id {
            Some(RequestId::Own(id)) => out.extend_from_slice(&id.text()),
            Some(RequestId::Given(id)) => bare(out, id.as_bytes()),
            None => {}
        }
        out.extend_from_slice(b" - ");
        bare(out, self.user.as_ref().map_or(b"-", HeaderValue::as_bytes));
        out.extend_from_slice(b" [");
        out.extend_from_slice(time.as_bytes());
        out.extend_from_slice(b"] ");
        bare(out, bytes_of(self.host.as_ref()));
        out.push(b' ');
        // By its characters it is a word (RFC 9110 section 5.6.2).
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b' ');
        bare(out, self.upstream.as_ref().map_or(b"-", |id| id.as_bytes()));
        out.push(b' ');
        quoted(out, &redact(self.target_text()));
        out.push(b' ');
        out.extend_from_slice(protocol(self.version));
        out.push(b' ');
        quoted(out, bytes_of(self.user_agent.as_ref()));
        out.push(b' ');
        out.extend_from_slice(itoa::Buffer::new().format(end.status).as_bytes());
        out.push(b' ');
        out.extend_from_slice(itoa::Buffer::new().format(end.bytes).as_bytes());
        out.push(b' ');
        write_seconds(out, end.duration);
        out.push(b'\n');
    }

    fn json(&self, out: &mut Vec<u8>, end: &End) {
        out.extend_from_slice(b"{\"time\":\"");
        let _ = write!(out, "{:.3}", self.time);
        out.extend_from_slice(b"\",\"kind\":\"request\",\"client\":\"");
        self.write_client(out);
        out.push(b'"');
        let mut field = |name: &[u8], value: &[u8]| {
            out.extend_from_slice(name);
            json(out, value);
        };
        match &self.request_id {
            Some(id) => id.show(|id| field(b",\"request_id\":", id)),
            None => field(b",\"request_id\":", b""),
        }
        field(b",\"user\":", bytes_of(self.user.as_ref()));
        field(b",\"host\":", bytes_of(self.host.as_ref()));
        field(b",\"method\":", self.method.as_str().as_bytes());
        field(b",\"upstream\":", self.upstream.as_ref().map_or(b"", |id| id.as_bytes()));
        field(b",\"uri\":", &redact(self.target_text()));
        field(b",\"protocol\":", protocol(self.version));
        field(b",\"user_agent\":", bytes_of(self.user_agent.as_ref()));
        out.extend_from_slice(b",\"status\":");
        out.extend_from_slice(itoa::Buffer::new().format(end.status).as_bytes());
        out.extend_from_slice(b",\"response_bytes\":");
        out.extend_from_slice(itoa::Buffer::new().format(end.bytes).as_bytes());
        out.extend_from_slice(b",\"duration_seconds\":");
        write_seconds(out, end.duration);
        out.extend_from_slice(if self.broken {
            b",\"broken\":true}\n"
        } else {
            b",\"broken\":false}\n"
        });
    }

    /// An address told by a proxy in front of us, else the peer with its port, `@` for a unix domain socket.
    fn write_client(&self, out: &mut Vec<u8>) {
        match self.client {
            Some(client) => ip::write(out, client),
            None => out.extend_from_slice(self.peer.text().unwrap_or("@").as_bytes()),
        }
    }

    fn target_text(&self) -> &str {
        self.target.as_ref().map_or("/", PathAndQuery::as_str)
    }
}

struct End {
    status: u16,
    bytes: u64,
    duration: Duration,
}

fn bytes_of(value: Option<&HeaderValue>) -> &[u8] {
    value.map_or(b"", HeaderValue::as_bytes)
}

/// Seconds with three decimals, rounded down.
fn write_seconds(out: &mut Vec<u8>, duration: Duration) {
    out.extend_from_slice(itoa::Buffer::new().format(duration.as_secs()).as_bytes());
    let thousandths = 1000 + duration.subsec_millis();
    out.push(b'.');
    let mut buffer = itoa::Buffer::new();
    out.extend_from_slice(buffer.format(thousandths).as_bytes().get(1..).unwrap_or_default());
}

fn protocol(version: Version) -> &'static [u8] {
    match version {
        Version::HTTP_10 => b"HTTP/1.0",
        Version::HTTP_2 => b"HTTP/2.0",
        _ => b"HTTP/1.1",
    }
}
