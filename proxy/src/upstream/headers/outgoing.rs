//! The head of the upstream's request, written in one pass over the client's headers: each name is copied, left out, or
//! written anew, and what we say comes behind. No header is copied before it is known to go out.

use super::super::http1::RequestHead;
use super::names::{Kind, is_list};
use super::{
    FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO, Forwarded, Injection, connection_names,
    has_token, is_of_connection,
};
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderMap, HeaderName,
    HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::uri::PathAndQuery;
use http::{Method, Request};

/// What the client asks, and what becomes of it apart from the headers.
pub(crate) struct Outgoing<'a> {
    pub(crate) method: &'a Method,
    pub(crate) target: Option<&'a PathAndQuery>,
    pub(crate) headers: &'a HeaderMap,
    /// The address of the peer, unless it has none.
    pub(crate) peer: Option<&'a str>,
    /// The protocol asked for, if that may pass.
    pub(crate) upgrade: Option<&'a HeaderValue>,
    /// The upstream's own host.
    pub(crate) host: &'a HeaderValue,
    /// The client's host goes upstream in its place.
    pub(crate) pass_host: bool,
    pub(crate) has_body: bool,
}

/// A head that is ready to be sent.
pub(crate) struct Written {
    pub(in crate::upstream) head: RequestHead,
    /// It ties the connection to somebody.
    pub(in crate::upstream) binds: bool,
    /// The client sends its body when it is told to go on.
    pub(in crate::upstream) continues: bool,
}

impl<'a> Outgoing<'a> {
    /// What `request` asks, of an upstream that keeps the client's host.
    pub(crate) fn of<B>(request: &'a Request<B>, host: &'a HeaderValue) -> Self {
        Self {
            method: request.method(),
            target: request.uri().path_and_query(),
            headers: request.headers(),
            peer: None,
            upgrade: None,
            host,
            pass_host: true,
            has_body: false,
        }
    }

    /// Writes the head.
    pub(crate) fn write(&self, injection: &Injection<'_>) -> Written {
        let ready = injection.headers.map_or(0, |ready| ready.lines().len());
        let (mut room, mut names_some) = (ready + 64, false);
        for (name, value) in self.headers {
            room += name.as_str().len() + value.len() + 4;
            names_some |= *name == CONNECTION;
        }
        let mut named = Vec::new();
        if names_some {
            connection_names(self.headers, &mut named);
        }
        let mut writer = Writer {
            head: RequestHead::begin(self.method, self.target, room),
            asked: self,
            injection,
            named,
            seen: Seen::default(),
        };
        let mut last: Option<Last<'_>> = None;
        for (name, value) in self.headers {
            match &mut last {
                Some(last) if last.name == name => writer.again(last, value),
                _ => last = Some(writer.first(name, value)),
            }
        }
        writer.finish()
    }
}

/// A name, of which the next line may be as well.
struct Last<'a> {
    name: &'a HeaderName,
    kind: Option<Kind>,
    /// Where its line begins, if there is one that can be added to.
    line: Option<usize>,
}

/// What was met.
#[derive(Default)]
struct Seen {
    te: bool,
    trailer: bool,
    transfer_encoding: bool,
    forwarded_host: bool,
    forwarded_proto: bool,
    /// These were written.
    host: bool,
    forwarded_for: bool,
    content_length: bool,
    binds: bool,
    continues: bool,
}

struct Writer<'a> {
    head: RequestHead,
    asked: &'a Outgoing<'a>,
    injection: &'a Injection<'a>,
    /// The headers that `Connection` names.
    named: Vec<HeaderName>,
    seen: Seen,
}

impl Writer<'_> {
    /// The first line of a name.
    fn first<'n>(&mut self, name: &'n HeaderName, value: &HeaderValue) -> Last<'n> {
        let kind = self.injection.names.kind(name);
        let start = self.head.place();
        let written = match kind {
            None | Some(Kind::Length) => self.plain(name, value),
            Some(Kind::Identity) => false,
            Some(Kind::Method) => self.injection.other_method && self.copy(name, value),
            Some(Kind::Cookie) => self.cookies(value),
            Some(Kind::HopByHop) => self.hop_by_hop(name),
            Some(Kind::Forwarded) => self.forwarded(name, value),
        };
        Last { name, kind, line: written.then_some(start) }
    }

    /// Makes one line of several with the same name, which means the same (RFC 9110 section 5.3). oauth2-proxy does so too, and
    /// of two lines some readers take the first and others the last. Where a proxy in front tells one value, another line may
    /// be the client's own, and nobody knows which: then neither counts.
    fn again(&mut self, last: &mut Last<'_>, value: &HeaderValue) {
        let Some(start) = last.line else { return };
        if last.kind == Some(Kind::Cookie) {
            self.head.take_back(start);
            last.line = None;
            self.all_cookies();
            return;
        }
        if last.kind == Some(Kind::Forwarded) && !is_list(last.name) {
            self.head.take_back(start);
            last.line = None;
            return;
        }
        self.head.join(value.as_bytes());
        if *last.name == CONTENT_LENGTH {
            self.head.set_length(Some(u64::MAX));
        }
        self.seen.continues &= *last.name != EXPECT;
    }

    /// Whether a header of the client may go out under its name.
    fn passes(&self, name: &HeaderName) -> bool {
        !self.named.contains(name) && !self.is_set(name)
    }

    fn is_set(&self, name: &HeaderName) -> bool {
        self.injection.headers.is_some_and(|ready| ready.has(name))
    }

    fn copy(&mut self, name: &HeaderName, value: &HeaderValue) -> bool {
        let passes = self.passes(name);
        if passes {
            self.head.line(name, value.as_bytes());
        }
        passes
    }

    /// A header that is the application's, but for some that say more.
    fn plain(&mut self, name: &HeaderName, value: &HeaderValue) -> bool {
        if *name == HOST && !self.asked.pass_host {
            return false;
        }
        if *name == USER_AGENT && value.is_empty() {
            let several = self.asked.headers.get_all(USER_AGENT).iter().nth(1).is_some();
            return several && self.copy(name, value);
        }
        let written = self.copy(name, value);
        if written {
            if *name == HOST {
                self.seen.host = true;
            } else if *name == CONTENT_LENGTH {
                self.seen.content_length = true;
                self.head.set_length(Some(length(value)));
            } else if *name == AUTHORIZATION {
                self.seen.binds = is_of_connection(value);
            } else if *name == EXPECT {
                // The only expectation there is (RFC 9110 section 10.1.1).
                self.seen.continues = value.as_bytes().eq_ignore_ascii_case(b"100-continue");
            }
        }
        written
    }

    /// The cookies of a line without ours. Another line, which is rare, has all written anew, even if nothing is left of the
    /// first.
    fn cookies(&mut self, value: &HeaderValue) -> bool {
        let (passes, own) = (self.passes(&COOKIE), self.injection.cookies);
        if passes {
            self.head.line_by(&COOKIE, |out| own.strip(value.as_bytes(), out));
        }
        passes
    }

    /// All lines of cookies as one, without ours.
    fn all_cookies(&mut self) {
        let lines = self.asked.headers.get_all(COOKIE).into_iter().map(HeaderValue::as_bytes);
        let (lines, own) = (lines.collect::<Vec<_>>(), self.injection.cookies);
        self.head.line_by(&COOKIE, |out| own.strip(&lines.join(&b"; "[..]), out));
    }

    fn hop_by_hop(&mut self, name: &HeaderName) -> bool {
        self.seen.te |= *name == TE;
        self.seen.trailer |= *name == TRAILER;
        self.seen.transfer_encoding |= *name == TRANSFER_ENCODING;
        false
    }

    fn forwarded(&mut self, name: &HeaderName, value: &HeaderValue) -> bool {
        self.seen.forwarded_host |= *name == FORWARDED_HOST;
        self.seen.forwarded_proto |= *name == FORWARDED_PROTO;
        if self.injection.forwarded != Forwarded::Keep {
            return false;
        }
        let Some(peer) = self.asked.peer.filter(|_| *name == FORWARDED_FOR) else {
            return self.copy(name, value);
        };
        if self.passes(name) {
            self.seen.forwarded_for = true;
            let lines = self.asked.headers.get_all(name);
            self.head.line_by(name, |out| {
                for line in lines {
                    out.extend_from_slice(line.as_bytes());
                    out.extend_from_slice(b", ");
                }
                out.extend_from_slice(peer.as_bytes());
                true
            });
        }
        // The others are in it.
        false
    }

    fn finish(mut self) -> Written {
        self.told();
        let asked = self.asked;
        if !self.seen.host {
            self.head.line(&HOST, asked.host.as_bytes());
        }
        if !self.seen.content_length {
            if asked.has_body {
                self.head.line(&TRANSFER_ENCODING, b"chunked");
                self.head.set_length(None);
            } else if expects_body(asked.method) {
                self.head.line(&CONTENT_LENGTH, b"0");
            }
        }
        if self.seen.trailer
            && self.seen.transfer_encoding
            && let Some(trailer) = asked.headers.get(TRAILER)
        {
            self.head.line(&TRAILER, trailer.as_bytes());
        }
        if let Some(ready) = self.injection.headers {
            self.head.lines(ready.lines());
        }
        self.hop();
        self.head.end();
        Written { head: self.head, binds: self.seen.binds, continues: self.seen.continues }
    }

    /// What we know better than the client, where it spoke of it, and who the client is.
    fn told(&mut self) {
        let asked = self.asked;
        if let Forwarded::Replace { https, host } = &self.injection.forwarded {
            let host = host.as_ref().or_else(|| asked.headers.get(HOST));
            let host = host.filter(|_| self.seen.forwarded_host && !self.is_set(&FORWARDED_HOST));
            if let Some(host) = host {
                self.head.line(&FORWARDED_HOST, host.as_bytes());
            }
            if self.seen.forwarded_proto && !self.is_set(&FORWARDED_PROTO) {
                self.head.line(&FORWARDED_PROTO, if *https { b"https" } else { b"http" });
            }
        }
        if let Some(peer) = asked.peer
            && !self.seen.forwarded_for
            && !self.is_set(&FORWARDED_FOR)
        {
            self.head.line(&FORWARDED_FOR, peer.as_bytes());
        }
    }

    /// The lines that concern the connection.
    fn hop(&mut self) {
        self.head.begin_hop();
        let asked = self.asked;
        let trailers = self.seen.te && has_token(asked.headers, TE, b"trailers");
        if trailers {
            self.head.line(&TE, b"trailers");
        }
        if let Some(protocol) = asked.upgrade {
            self.head.line(&CONNECTION, b"upgrade");
            self.head.line(&UPGRADE, protocol.as_bytes());
        } else if trailers {
            self.head.line(&CONNECTION, b"te");
        }
    }
}

fn length(value: &HeaderValue) -> u64 {
    value.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX)
}

/// Methods for which the lack of a body is worth a `Content-Length: 0` (RFC 9110 section 8.6).
fn expects_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}
