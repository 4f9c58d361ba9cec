//! The rules again, step by step on a map of headers, where each step is easy to see and slow: what the writer has to agree
//! with.

use crate::cookie::OwnCookies;
use crate::upstream::headers::names::{Kind, Names, is_list};
use crate::upstream::headers::{
    FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO, Forwarded, Injection, connection_names,
    has_token, is_of_connection,
};
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, Entry, HOST, HeaderMap, HeaderName,
    HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use std::net::IpAddr;

/// Makes the client's headers those of the upstream's request, but for its host and framing. `upgrade`: the protocol asked
/// for, if that may pass. Returns whether they tie the connection to somebody.
pub(super) fn prepare(
    headers: &mut HeaderMap,
    (injection, injected): (&Injection<'_>, &[(HeaderName, HeaderValue)]),
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
    inject(headers, injected);
    found.authorization && headers.get(AUTHORIZATION).is_some_and(is_of_connection)
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
    let mut text = Vec::new();
    if found.forwarded_for && *forwarded == Forwarded::Keep {
        for value in headers.get_all(FORWARDED_FOR) {
            text.extend_from_slice(value.as_bytes());
            text.extend_from_slice(b", ");
        }
    }
    text.extend_from_slice(peer.to_canonical().to_string().as_bytes());
    headers.insert(FORWARDED_FOR, HeaderValue::from_bytes(&text).unwrap());
}

fn strip_cookies(headers: &mut HeaderMap, own: &OwnCookies) {
    let Entry::Occupied(mut entry) = headers.entry(COOKIE) else { return };
    if entry.iter().nth(1).is_some() {
        let lines: Vec<&[u8]> = entry.iter().map(HeaderValue::as_bytes).collect();
        let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b"; "[..])) else { return };
        entry.insert(joined);
    }
    let mut rest = Vec::new();
    if own.strip(entry.get().as_bytes(), &mut rest) {
        entry.insert(HeaderValue::from_bytes(&rest).unwrap());
    } else {
        entry.remove();
    }
}

/// Makes one line of several with the same name, which means the same (RFC 9110 section 5.3). oauth2-proxy does so too, and of
/// two lines some readers take the first and others the last. Where a proxy in front tells one value, another line may be the
/// client's own, and nobody knows which: then neither counts.
fn join_lines(headers: &mut HeaderMap, known: &Names) {
    if headers.len() == headers.keys_len() {
        return;
    }
    let several = |name: &&HeaderName| headers.get_all(*name).iter().nth(1).is_some();
    let names: Vec<HeaderName> = headers.keys().filter(several).cloned().collect();
    for name in names {
        if known.kind(&name) == Some(Kind::Forwarded) && !is_list(&name) {
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
