//! One line of the access log.

use super::Rules;
use super::escape::{bare, json, quoted};
use super::redact::redact;
use crate::ip;
use crate::output::Log;
use crate::peer::Peer;
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
    pub(crate) request_id: Option<HeaderValue>,
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
        let headers = request.headers();
        Self {
            format: rules.format,
            time: now,
            peer: Arc::clone(peer),
            method: request.method().clone(),
            target: request.uri().path_and_query().cloned(),
            version: request.version(),
            user_agent: headers.get(USER_AGENT).cloned(),
            client: None,
            host: headers.get(HOST).cloned(),
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
        bare(out, bytes_of(self.request_id.as_ref()));
        out.extend_from_slice(b" - ");
        bare(out, self.user.as_ref().map_or(b"-", HeaderValue::as_bytes));
        out.extend_from_slice(b" [");
        out.extend_from_slice(time.as_bytes());
        out.extend_from_slice(b"] ");
        bare(out, bytes_of(self.host.as_ref()));
        out.push(b' ');
        bare(out, self.method.as_str().as_bytes());
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
        field(b",\"request_id\":", bytes_of(self.request_id.as_ref()));
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
