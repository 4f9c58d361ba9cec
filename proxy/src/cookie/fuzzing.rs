//! The Cookie header, for [`crate::fuzzing`].

use super::{OwnCookies, RequestCookies, Stripped};
use http::header::{COOKIE, HeaderMap, HeaderValue};
use memchr::memmem::Finder;

const NAME: &str = "_oauth2_proxy";

/// The quick search and the walk over all cookies find the same value, and what goes upstream has none of ours left.
pub(crate) fn cookies(bytes: &[u8]) {
    let Ok(line) = HeaderValue::from_bytes(bytes) else { return };
    let mut headers = HeaderMap::new();
    headers.insert(COOKIE, line);
    let cookies = RequestCookies::of(&headers);
    let walked = cookies.iter().find(|(name, _)| *name == NAME).map(|(_, value)| value);
    assert_eq!(cookies.find(&Finder::new(NAME)), walked);
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

fn headers_after(headers: &HeaderMap) -> HeaderMap {
    let mut after = HeaderMap::new();
    for line in headers.get_all(COOKIE) {
        match OwnCookies::new(NAME).strip(line) {
            Stripped::Untouched => drop(after.append(COOKIE, line.clone())),
            Stripped::Rest(rest) => drop(after.append(COOKIE, rest)),
            Stripped::Nothing => {}
        }
    }
    after
}
