//! What happens to the headers of a request on its way to an upstream, and to those of the answer on its way back
//! (`reference/upstreams.md` section 3, RFC 9110 section 7.6.1).
//!
//! The order is a safety rule: hop-by-hop headers go first, then whatever could pass for an identity, by folded name, then
//! our own are put in. Nothing that a client sends can remove or forge what we put in.

mod names;

pub(crate) use names::Names;

use crate::cookie::{OwnCookies, Stripped};
use crate::ip;
use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, COOKIE, Entry, HOST, HeaderMap, HeaderName, HeaderValue, MAX_FORWARDS,
    SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use names::Kind;
use std::net::IpAddr;

/// What one request gets and loses. Everything in it is made ready once, per configuration or per session.
pub(crate) struct Injection<'a> {
    /// The names that are taken out.
    pub(crate) names: &'a Names,
    /// Headers that are set, with their ready values; of equal names all values are kept.
    pub(crate) headers: &'a [(HeaderName, HeaderValue)],
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

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Makes the client's headers those of the upstream's request. `upgrade`: the protocol asked for, if that may pass. Returns
/// whether they tie the connection to somebody.
pub(crate) fn prepare(
    headers: &mut HeaderMap,
    injection: &Injection<'_>,
    peer: Option<IpAddr>,
    upgrade: Option<HeaderValue>,
) -> bool {
    let found = Found::scan(headers, injection);
    let trailers_wanted = found.te && has_token(headers, TE, b"trailers");
    let announces_trailers =
        headers.contains_key(TRAILER) && headers.contains_key(TRANSFER_ENCODING);
    let trailer = if announces_trailers { headers.get(TRAILER).cloned() } else { None };
    for name in &found.remove {
        headers.remove(name);
    }
    forward_peer(headers, &injection.forwarded, peer, &found);
    if found.cookie {
        strip_cookies(headers, injection.cookies);
    }
    join_lines(headers, injection.names);
    if found.user_agent && headers.get(USER_AGENT).is_some_and(HeaderValue::is_empty) {
        headers.remove(USER_AGENT);
    }
    if trailers_wanted {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    if let Some(trailer) = trailer {
        headers.insert(TRAILER, trailer);
    }
    if let Some(protocol) = upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
    }
    inject(headers, injection.headers);
    found.authorization && headers.get(AUTHORIZATION).is_some_and(is_of_connection)
}

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
    *name != TRAILER && names::HOP_BY_HOP.contains(&name.as_str())
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

#[derive(Default)]
struct Found {
    remove: Vec<HeaderName>,
    te: bool,
    cookie: bool,
    authorization: bool,
    user_agent: bool,
    forwarded_for: bool,
    forwarded_host: bool,
    forwarded_proto: bool,
}

impl Found {
    fn scan(headers: &HeaderMap, injection: &Injection<'_>) -> Self {
        let mut found = Self::default();
        let mut connection = false;
        for name in headers.keys() {
            match injection.names.kind(name) {
                None | Some(Kind::Length) => {
                    found.user_agent |= *name == USER_AGENT;
                    found.authorization |= *name == AUTHORIZATION;
                }
                Some(Kind::Cookie) => found.cookie = true,
                Some(Kind::Identity) => found.remove.push(name.clone()),
                Some(Kind::Method) => {
                    if !injection.other_method {
                        found.remove.push(name.clone());
                    }
                }
                Some(Kind::HopByHop) => {
                    connection |= *name == CONNECTION;
                    found.te |= *name == TE;
                    found.remove.push(name.clone());
                }
                Some(Kind::Forwarded) => {
                    found.forwarded_for |= *name == FORWARDED_FOR;
                    found.forwarded_host |= *name == FORWARDED_HOST;
                    found.forwarded_proto |= *name == FORWARDED_PROTO;
                    if matches!(injection.forwarded, Forwarded::Replace { .. }) {
                        found.remove.push(name.clone());
                    }
                }
            }
        }
        if connection {
            connection_names(headers, &mut found.remove);
        }
        found
    }
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

fn forward_peer(
    headers: &mut HeaderMap,
    forwarded: &Forwarded,
    peer: Option<IpAddr>,
    found: &Found,
) {
    if let Forwarded::Replace { https, host } = forwarded {
        if found.forwarded_host
            && let Some(host) = host.as_ref().or_else(|| headers.get(HOST)).cloned()
        {
            headers.insert(FORWARDED_HOST, host);
        }
        if found.forwarded_proto {
            let scheme = if *https { "https" } else { "http" };
            headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
        }
    }
    let Some(peer) = peer else { return };
    let mut text = Vec::with_capacity(16);
    if found.forwarded_for && *forwarded == Forwarded::Keep {
        for value in headers.get_all(FORWARDED_FOR) {
            text.extend_from_slice(value.as_bytes());
            text.extend_from_slice(b", ");
        }
    }
    ip::write(&mut text, peer.to_canonical());
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(text)) {
        headers.insert(FORWARDED_FOR, value);
    }
}

fn strip_cookies(headers: &mut HeaderMap, own: &OwnCookies) {
    let Entry::Occupied(mut entry) = headers.entry(COOKIE) else { return };
    if entry.iter().nth(1).is_some() {
        let lines: Vec<&[u8]> = entry.iter().map(HeaderValue::as_bytes).collect();
        let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b"; "[..])) else { return };
        entry.insert(joined);
    }
    match own.strip(entry.get()) {
        Stripped::Untouched => {}
        Stripped::Rest(rest) => {
            entry.insert(rest);
        }
        Stripped::Nothing => {
            entry.remove();
        }
    }
}

/// Makes one line of several with the same name, which means the same (RFC 9110 section 5.3). The peer does so too, and of
/// two lines some readers take the first and others the last. Where a proxy in front tells one value, another line may be the
/// client's own, and nobody knows which: then neither counts.
fn join_lines(headers: &mut HeaderMap, known: &Names) {
    if headers.len() == headers.keys_len() {
        return;
    }
    let several = |name: &&HeaderName| headers.get_all(*name).iter().nth(1).is_some();
    let names: Vec<HeaderName> = headers.keys().filter(several).cloned().collect();
    for name in names {
        if known.is_told_once(&name) {
            headers.remove(&name);
            continue;
        }
        let lines: Vec<&[u8]> = headers.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
        if let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b","[..])) {
            headers.insert(name, joined);
        }
    }
}

/// Sets what we say of the request. The target and the framing can not be injected.
fn inject(headers: &mut HeaderMap, values: &[(HeaderName, HeaderValue)]) {
    for (index, (name, value)) in values.iter().enumerate() {
        if *name == HOST || *name == CONTENT_LENGTH || *name == TRANSFER_ENCODING {
            continue;
        }
        let repeated = values.iter().take(index).any(|(earlier, _)| earlier == name);
        if repeated {
            headers.append(name, value.clone());
        } else {
            headers.insert(name, value.clone());
        }
    }
}

#[cfg(test)]
mod tests;
