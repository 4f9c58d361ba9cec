//! The Cookie header, for [`crate::fuzzing`].

use super::chunk::MAX_PARTS;
use super::{Attributes, OwnCookies, RequestCookies, SessionCookie};
use http::header::{COOKIE, HeaderMap, HeaderValue};
use memchr::memmem::{self, Finder};
use proxy_config::{Cookie, Duration};
use std::sync::LazyLock;

const NAME: &str = "_oauth2_proxy";

/// The quick search and the walk over all cookies find the same value, and what goes upstream has none of ours left.
pub(crate) fn cookies(bytes: &[u8]) {
    let Ok(line) = HeaderValue::from_bytes(bytes) else { return };
    let mut headers = HeaderMap::new();
    headers.insert(COOKIE, line);
    let cookies = RequestCookies::of(&headers);
    let walked = cookies.iter().find(|(name, _)| *name == NAME).map(|(_, value)| value);
    assert_eq!(cookies.find(&Finder::new(NAME)), walked);
    if let Some(raw) = cookies.find_raw(&Finder::new(NAME))
        && let Ok(line) = HeaderValue::from_bytes(&[NAME.as_bytes(), b"=", raw].concat())
    {
        let alone = HeaderMap::from_iter([(COOKIE, line)]);
        let read = RequestCookies::of(&alone).iter().next().map(|(_, value)| value);
        assert!(read.is_none() || read == walked, "what stands there is not what is read");
        assert!(memmem::find(bytes, raw).is_some(), "it does not stand there");
    }
    assert_eq!(session_cookie().value(&cookies).as_deref(), joined(&cookies).as_deref());
    let kept = headers_after(&headers);
    let left = RequestCookies::of(&kept);
    assert!(left.iter().all(|(name, _)| name != NAME), "{kept:?}");
    let others = |headers: &HeaderMap| {
        let cookies = RequestCookies::of(headers);
        let foreign = cookies.iter().filter(|(name, _)| !name.starts_with(NAME));
        foreign.map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(others(&headers), others(&kept), "cookies of others are lost");
}

fn session_cookie() -> &'static SessionCookie {
    static COOKIE: LazyLock<SessionCookie> = LazyLock::new(|| {
        SessionCookie::new(NAME, Attributes::session(&Cookie::default(), Duration::ZERO))
    });
    &COOKIE
}

/// The whole cookie, or its parts up to the first that is missing.
fn joined(cookies: &RequestCookies<'_>) -> Option<String> {
    let get = |wanted: &str| cookies.iter().find(|(name, _)| *name == wanted);
    if let Some((_, whole)) = get(NAME) {
        return Some(whole.to_owned());
    }
    let parts = (0..MAX_PARTS).map_while(|part| get(&format!("{NAME}_{part}")));
    parts.map(|(_, value)| value.to_owned()).reduce(|value, part| value + &part)
}

fn headers_after(headers: &HeaderMap) -> HeaderMap {
    let mut after = HeaderMap::new();
    for line in headers.get_all(COOKIE) {
        let mut rest = Vec::new();
        if OwnCookies::new(NAME).strip(line.as_bytes(), &mut rest) {
            after.append(COOKIE, HeaderValue::from_bytes(&rest).expect("parts of a value"));
        }
    }
    after
}
