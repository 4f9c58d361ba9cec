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

const MASK: &[u8] = b"***";

/// `target` with the values of secret parameters replaced by `***`; nothing is copied if there are none.
pub(super) fn redact(target: &str) -> Cow<'_, [u8]> {
    let bytes = target.as_bytes();
    let Some((path, query)) = target.split_once('?') else { return Cow::Borrowed(bytes) };
    if !pairs(query).any(|(name, value, _)| value.is_some() && is_secret(name)) {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(path.as_bytes());
    out.push(b'?');
    for (name, value, end) in pairs(query) {
        out.extend_from_slice(name);
        if let Some(value) = value {
            out.push(b'=');
            out.extend_from_slice(if is_secret(name) { MASK } else { value });
        }
        out.extend_from_slice(end);
    }
    Cow::Owned(out)
}

/// Name, value and separator of each parameter; some servers take `;` for a separator, so we do too.
fn pairs(query: &str) -> impl Iterator<Item = (&[u8], Option<&[u8]>, &[u8])> {
    query.as_bytes().split_inclusive(|byte| matches!(byte, b'&' | b';')).map(|pair| {
        let (pair, end) = match pair {
            [rest @ .., b'&' | b';'] => (rest, pair.get(rest.len()..).unwrap_or_default()),
            _ => (pair, &[][..]),
        };
        let mut parts = pair.splitn(2, |byte| *byte == b'=');
        (parts.next().unwrap_or_default(), parts.next(), end)
    })
}

fn is_secret(name: &[u8]) -> bool {
    let decoded: Cow<'_, [u8]> = percent_decode(name).into();
    SECRET.iter().any(|secret| decoded.eq_ignore_ascii_case(secret.as_bytes()))
}
