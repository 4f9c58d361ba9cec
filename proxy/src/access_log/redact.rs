//! Takes the values of secret parameters out of a request target before it is logged.

use percent_encoding::percent_decode;
use std::borrow::Cow;

/// Parameters of OAuth 2.0, OpenID Connect and forms whose values let somebody act for somebody else.
const SECRET: [&str; 17] = [
    "access_token",
    "assertion",
    "client_assertion",
    "client_secret",
    "code",
    "code_verifier",
    "id_token",
    "id_token_hint",
    "logout_token",
    "nonce",
    "password",
    "refresh_token",
    "request",
    "session_state",
    "state",
    "subject_token",
    "token",
];

/// Lengths of these names; each letter may be escaped by three.
const MIN_NAME: usize = 4;
const MAX_NAME: usize = 16;

const MASK: &[u8] = b"***";

/// Targets inside targets that are looked into: a login leads back to what was asked for, query and all.
const DEPTH: usize = 3;

/// `target` with the values of secret parameters replaced by `***`, and so the queries of targets in other parameters that
/// have such values; nothing is copied if there are none.
pub(super) fn redact(target: &str) -> Cow<'_, [u8]> {
    let bytes = target.as_bytes();
    let Some((path, query)) = target.split_once('?') else { return Cow::Borrowed(bytes) };
    if !pairs(query.as_bytes()).any(|(name, value, _)| value.is_some_and(|v| tells(name, v, DEPTH)))
    {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(path.as_bytes());
    out.push(b'?');
    for (name, value, end) in pairs(query.as_bytes()) {
        out.extend_from_slice(name);
        if let Some(value) = value {
            out.push(b'=');
            if is_secret(name) {
                out.extend_from_slice(MASK);
            } else if tells(name, value, DEPTH) {
                out.extend_from_slice(before_query(value));
                out.extend_from_slice(MASK);
            } else {
                out.extend_from_slice(value);
            }
        }
        out.extend_from_slice(end);
    }
    Cow::Owned(out)
}

/// Name, value and separator of each parameter; some servers take `;` for a separator, so we do too.
fn pairs(query: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>, &[u8])> {
    query.split_inclusive(|byte| matches!(byte, b'&' | b';')).map(|pair| {
        let (pair, end) = match pair {
            [rest @ .., b'&' | b';'] => (rest, pair.get(rest.len()..).unwrap_or_default()),
            _ => (pair, &[][..]),
        };
        let mut parts = pair.splitn(2, |byte| *byte == b'=');
        (parts.next().unwrap_or_default(), parts.next(), end)
    })
}

/// Whether a parameter is secret, or its value is a target with one that is.
fn tells(name: &[u8], value: &[u8], depth: usize) -> bool {
    is_secret(name) || (depth > 0 && before_query(value).len() < value.len() && hides(value, depth))
}

fn hides(value: &[u8], depth: usize) -> bool {
    let decoded: Cow<'_, [u8]> = percent_decode(value).into();
    let query = decoded.split(|byte| is_mark(*byte)).skip(1);
    query.flat_map(pairs).any(|(name, value, _)| value.is_some_and(|v| tells(name, v, depth - 1)))
}

/// A target up to the mark, plain or encoded, behind which its query or fragment is.
fn before_query(value: &[u8]) -> &[u8] {
    let encoded =
        |rest: &[u8]| matches!(rest, [b'%', b'3', b'f' | b'F', ..] | [b'%', b'2', b'3', ..]);
    let is_start = |at: &usize| {
        value
            .get(*at..)
            .is_some_and(|rest| encoded(rest) || rest.first().copied().is_some_and(is_mark))
    };
    let end = (0..value.len()).find(is_start).unwrap_or(value.len());
    value.get(..end).unwrap_or(value)
}

fn is_mark(byte: u8) -> bool {
    matches!(byte, b'?' | b'#')
}

fn is_secret(name: &[u8]) -> bool {
    // A long query of short names, or of one long one, is not looked at letter by letter.
    if !(MIN_NAME..=3 * MAX_NAME).contains(&name.len()) {
        return false;
    }
    let decoded: Cow<'_, [u8]> = percent_decode(name).into();
    SECRET.iter().any(|secret| decoded.eq_ignore_ascii_case(secret.as_bytes()))
}
