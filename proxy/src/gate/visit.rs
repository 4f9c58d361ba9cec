//! One request as the gate sees it: what is known of it, and what its answer must carry.

use super::forwarded::{self, Trust};
use super::redirect;
use super::target;
use crate::cookie::{RequestCookies, SetCookie};
use crate::random;
use crate::routing::NormalPath;
use crate::server::{Peer, Worker};
use crate::site::Site;
use http::HeaderValue;
use http::header::ACCEPT;
use http::request::Parts;
use jiff::Timestamp;
use std::fmt::Write as _;
use std::sync::Arc;

/// A request id of a client is not longer, so that it can not fill the log.
const MAX_REQUEST_ID: usize = 128;

/// A request being answered.
pub(super) struct Visit<'a> {
    pub(super) site: &'a Site,
    pub(super) worker: &'a Arc<Worker>,
    pub(super) peer: &'a Arc<Peer>,
    pub(super) head: Parts,
    pub(super) now: Timestamp,
    pub(super) trust: Trust,
    pub(super) request_id: HeaderValue,
    /// In what form refusals are given.
    pub(super) manner: Manner,
    /// Where pages lead back to; the target of a login.
    pub(super) target: String,
    /// Go out with the answer, whatever it is.
    pub(super) set_cookies: Vec<SetCookie>,
    /// The answer must not be kept by anybody.
    pub(super) no_cache: bool,
}

/// The form of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// For people.
    Page,
    /// For programs that asked for it.
    Json,
    /// For proxies.
    Plain,
}

impl<'a> Visit<'a> {
    /// Looks at a request for the first time.
    pub(super) fn of(site: &'a Site, worker: &'a Arc<Worker>, peer: &'a Arc<Peer>, head: Parts) -> Self {
        let request_id = request_id(&head, &site.config.http.request_id_header);
        Self {
            site,
            worker,
            peer,
            now: site.context.clock.now(),
            trust: Trust::of(&site.config.http, peer),
            request_id,
            manner: Manner::Page,
            target: String::new(),
            set_cookies: Vec::new(),
            no_cache: false,
            head,
        }
    }

    /// The cookies of the request.
    pub(super) fn cookies(&self) -> RequestCookies<'_> {
        RequestCookies::of(&self.head.headers)
    }

    /// The host that the client asked for.
    pub(super) fn host(&self) -> &str {
        forwarded::host(&self.head.headers, self.trust)
    }

    /// Whether the client speaks HTTPS, with us or with a proxy in front.
    pub(super) fn is_https(&self) -> bool {
        match forwarded::scheme(&self.head.headers, self.trust) {
            Some(scheme) => scheme.eq_ignore_ascii_case("https"),
            None => self.peer.tls,
        }
    }

    /// Whether refusals are to be JSON (`reference/endpoints.md` section 14).
    pub(super) fn wants_json(&self, path: &NormalPath) -> bool {
        let asks = |value: &HeaderValue| value.as_bytes().split(|b| *b == b',').any(|t| t.trim_ascii() == b"application/json");
        self.site.config.access.force_json_errors
            || self.head.headers.get_all(ACCEPT).iter().any(asks)
            || self.site.api_routes.contain(path)
    }

    /// Works out where a login leads back to; `form` is that of [`super::form::Form`].
    pub(super) fn aim(&mut self, path: &NormalPath, rd: Option<&str>) {
        self.target = target::of(self, path, rd);
    }

    /// The target, unless it is the sign-in page itself.
    pub(super) fn shown_target(&self) -> &str {
        let sign_in = |target: &str| {
            target.strip_prefix(self.site.config.http.proxy_prefix.as_str()).is_some_and(|rest| rest == "/sign_in")
        };
        if self.target.is_empty() || sign_in(&self.target) { "/" } else { &self.target }
    }

    /// `target` as it goes into a `Location` header.
    pub(super) fn location(target: &str) -> HeaderValue {
        HeaderValue::try_from(redirect::location(target)).unwrap_or(HeaderValue::from_static("/"))
    }
}

fn request_id(head: &Parts, header: &str) -> HeaderValue {
    let usable = |value: &&HeaderValue| {
        (1..=MAX_REQUEST_ID).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    head.headers.get(header).filter(usable).cloned().unwrap_or_else(random_id)
}

/// A random UUID (RFC 9562 section 5.4).
fn random_id() -> HeaderValue {
    let mut bytes: [u8; 16] = random::array();
    if let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes {
        *version = *version & 0x0f | 0x40;
        *variant = *variant & 0x3f | 0x80;
    }
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a String can not fail.
        let _ = write!(text, "{byte:02x}");
    }
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("-"))
}
