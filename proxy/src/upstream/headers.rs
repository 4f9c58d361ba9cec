//! What happens to the headers of a request on its way to an upstream, and to those of the answer on its way back
//! (RFC 9110 section 7.6.1; what differs from oauth2-proxy: `docs/differences.md`, "What goes upstream, and comes back").
//!
//! What concerns the connection is left out, and whatever could pass for an identity, by folded name; then our own are put
//! in. Nothing that a client sends can remove or forge what we put in.

mod identity_lines;
mod names;
mod outgoing;

pub(crate) use identity_lines::IdentityLines;
pub(crate) use names::Names;
pub(crate) use outgoing::Outgoing;

use crate::cookie::OwnCookies;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, MAX_FORWARDS, SET_COOKIE,
    TRAILER,
};

/// What one request gets and loses. Everything in it is made ready once, per configuration or per session.
pub(crate) struct Injection<'a> {
    /// The names that are taken out.
    pub(crate) names: &'a Names,
    /// Headers that are set.
    pub(crate) headers: Option<&'a IdentityLines>,
    /// Our cookies, which no upstream may see.
    pub(crate) cookies: &'a OwnCookies,
    /// What becomes of forwarded headers.
    pub(crate) forwarded: Forwarded,
    /// The client may ask the application for another method than that of its request line. Not where that method was why it
    /// needs no session.
    pub(crate) other_method: bool,
    /// Nobody has signed in: an exemption lets the request pass.
    pub(crate) stranger: bool,
}

/// What becomes of forwarded headers that the client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Forwarded {
    /// The peer is trusted: they pass, and the peer is added to `X-Forwarded-For`.
    Keep,
    /// They are taken out; those that say what we know better are set anew.
    Replace {
        /// The client speaks HTTPS, with us or as far as redirects may believe.
        https: bool,
        /// The host that redirects may believe the client asked for; `None`: that of `Host`.
        host: Option<HeaderValue>,
    },
}

pub(super) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// NTLM, or Negotiate that may lead to it, in a request or in an answer that asks for it: they tell who uses a connection, not
/// who sends a request.
pub(super) fn is_of_connection(value: &HeaderValue) -> bool {
    let scheme = value.as_bytes().split(|byte| matches!(byte, b' ' | b',')).next();
    scheme.is_some_and(|scheme| {
        scheme.eq_ignore_ascii_case(b"ntlm") || scheme.eq_ignore_ascii_case(b"negotiate")
    })
}

/// Takes the hop-by-hop headers out of an answer.
pub(super) fn clean_response(headers: &mut HeaderMap) {
    let mut gone: Vec<HeaderName> =
        headers.keys().filter(|name| ends_here(name)).cloned().collect();
    if gone.contains(&CONNECTION) {
        connection_names(headers, &mut gone);
    }
    for name in &gone {
        headers.remove(name);
    }
}

/// A header of one connection. `Trailer` is not one: it announces what really follows.
fn ends_here(name: &HeaderName) -> bool {
    *name != TRAILER && names::HOP_BY_HOP.contains(name)
}

/// Fields that change how a request is read, and so belong in its head (RFC 9110 section 6.5.1).
const HEAD_ONLY: &[HeaderName] = &[
    AUTHORIZATION,
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    COOKIE,
    HOST,
    MAX_FORWARDS,
    SET_COOKIE,
];

/// Whether a trailer field of a request may pass: not what could be merged into the head as identity or framing.
pub(super) fn trailer_may_pass(names: &Names, name: &HeaderName) -> bool {
    names.kind(name).is_none() && !HEAD_ONLY.contains(name)
}

/// The headers that `Connection` names. Framing and target are not the client's to remove.
fn connection_names(headers: &HeaderMap, names: &mut Vec<HeaderName>) {
    for value in headers.get_all(CONNECTION) {
        for token in tokens(value) {
            let usual =
                token.eq_ignore_ascii_case(b"close") || token.eq_ignore_ascii_case(b"keep-alive");
            if usual || token.is_empty() {
                continue;
            }
            if let Ok(name) = HeaderName::from_bytes(token)
                && name != HOST
                && name != CONTENT_LENGTH
            {
                names.push(name);
            }
        }
    }
}

/// The parts of a value that is a list (RFC 9110 section 5.6.1).
pub(super) fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// Whether the list `name`, over all its lines, has `wanted` in any case.
pub(super) fn has_token(headers: &HeaderMap, name: HeaderName, wanted: &[u8]) -> bool {
    let lines = headers.get_all(name).into_iter();
    lines.flat_map(tokens).any(|token| token.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests;
