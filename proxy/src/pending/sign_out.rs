//! The cookie of a sign-out that has gone on to the provider: it ties the way back to the browser that began, and says where
//! that leads (OpenID Connect RP-Initiated Logout 1.0, `state`). Sealed like the cookie of a login; the name keeps them apart.

use crate::cookie::{Attributes, RequestCookies, SetCookie, sign_out_name};
use crate::fields::{self, Fields, Malformed, room};
use crate::random;
use crate::session::{KeyRing, Purpose};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64_simd::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use proxy_config::Cookie;

/// How long somebody may stay at the provider, which may ask whether they mean it.
const LIFETIME: SignedDuration = SignedDuration::from_mins(15);
/// More than any that we write.
const MAX_VALUE: usize = 4096;
/// A longer target is not remembered: browsers would not keep the cookie.
const MAX_TARGET: usize = 2048;

const V1: u8 = 1;
/// Seconds since the epoch.
const BEGUN_AT: u64 = 1;
const STATE: u64 = 2;
const TARGET: u64 = 3;

/// How that cookie is named and written.
pub(crate) struct SignOutCookie {
    name: String,
    attributes: Attributes,
}

/// What the cookie says.
struct SignOut {
    begun_at: i64,
    state: [u8; 16],
    target: String,
}

impl SignOutCookie {
    /// From the cookie settings.
    pub(crate) fn new(cookie: &Cookie) -> Self {
        let attributes = Attributes::sign_out(cookie, LIFETIME.unsigned_abs());
        Self { name: sign_out_name(&cookie.name), attributes }
    }

    /// A `state` for the provider, and the line by which the browser remembers it and `target`.
    pub(crate) fn remember(
        &self,
        ring: &KeyRing,
        target: &str,
        now: Timestamp,
        host: &str,
    ) -> (String, SetCookie) {
        let state: [u8; 16] = random::array();
        let target = if target.len() > MAX_TARGET { "/" } else { target };
        let mut fields = Fields::after(&[V1], 3 * room(16) + target.len());
        fields.signed(BEGUN_AT, Some(now.as_second()));
        fields.bytes(STATE, &state);
        fields.text(TARGET, Some(target));
        let value = ring.seal(Purpose::Login, &self.name, &fields.finish());
        (URL_SAFE_NO_PAD.encode_to_string(state), self.attributes.set(&self.name, &value, host))
    }

    /// The target of the sign-out that `state` came back from; `None` if this browser has none under way with that state.
    pub(crate) fn find(
        &self,
        ring: &KeyRing,
        state: &str,
        cookies: &RequestCookies<'_>,
        now: Timestamp,
    ) -> Option<String> {
        let state = URL_SAFE_NO_PAD.decode_to_vec(state).ok()?;
        let ours = cookies.iter().filter(|(name, _)| *name == self.name);
        let mut opened = ours.filter_map(|(name, value)| {
            let bytes = ring.open(Purpose::Login, name, value, MAX_VALUE).ok()?;
            SignOut::read(&bytes).ok()
        });
        let found = opened.find(|found| {
            let age = now.as_second().saturating_sub(found.begun_at);
            age <= LIFETIME.as_secs() && verify_slices_are_equal(&found.state, &state).is_ok()
        });
        found.map(|found| found.target)
    }

    /// The line that removes the cookie.
    pub(crate) fn forget(&self, host: &str) -> SetCookie {
        self.attributes.clear(&self.name, host)
    }
}

impl SignOut {
    fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let Some((&V1, rest)) = bytes.split_first() else { return Err(Malformed) };
        let (mut begun_at, mut state, mut target) = (None, None, None);
        for field in fields::read(rest) {
            match field? {
                (BEGUN_AT, value) => begun_at = Some(fields::signed(value)?),
                (STATE, value) => state = Some(fields::array(value)?),
                (TARGET, value) => target = Some(fields::text(value)?.to_owned()),
                (other, _) => fields::unknown(other)?,
            }
        }
        match (begun_at, state, target) {
            (Some(begun_at), Some(state), Some(target)) => Ok(Self { begun_at, state, target }),
            _ => Err(Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::COOKIE;
    use http::{HeaderMap, HeaderValue};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn begun(target: &str) -> (SignOutCookie, KeyRing, String, HeaderMap) {
        let ring = KeyRing::new(&["0123456789abcdef"]).unwrap();
        let cookie = SignOutCookie::new(&Cookie::default());
        let (state, line) = cookie.remember(&ring, target, NOW, "app.example");
        assert!(line.as_str().len() < 4096, "{}", line.as_str().len());
        let pair = line.as_str().split(';').next().unwrap().to_owned();
        let headers = HeaderMap::from_iter([(COOKIE, HeaderValue::try_from(pair).unwrap())]);
        (cookie, ring, state, headers)
    }

    #[test]
    fn only_the_browser_that_began_comes_back_and_not_after_a_quarter_of_an_hour() {
        let (cookie, ring, state, headers) = begun("/bye?a=b");
        let cookies = RequestCookies::of(&headers);
        let later = |minutes| NOW + SignedDuration::from_mins(minutes);
        let find = |state: &str, now| cookie.find(&ring, state, &cookies, now);
        assert_eq!(find(&state, later(15)).as_deref(), Some("/bye?a=b"));
        assert_eq!(find(&state, later(16)), None);
        for wrong in ["", "x", state.split_at(1).1, &begun("/bye").2] {
            assert_eq!(find(wrong, NOW), None, "{wrong}");
        }
        let nothing = HeaderMap::new();
        assert_eq!(cookie.find(&ring, &state, &RequestCookies::of(&nothing), NOW), None);
        let other = KeyRing::new(&["another-secret-of-ours"]).unwrap();
        assert_eq!(cookie.find(&other, &state, &cookies, NOW), None);
    }

    #[test]
    fn the_cookie_of_a_login_is_none_of_a_sign_out() {
        let (cookie, ring, ..) = begun("/");
        let mut fields = Fields::after(&[V1], 100);
        fields.signed(BEGUN_AT, Some(0));
        fields.bytes(STATE, &[0; 16]);
        fields.text(TARGET, Some("/"));
        let value = ring.seal(Purpose::Login, "_oauth2_proxy_csrf", &fields.finish());
        let pair = HeaderValue::try_from(format!("{}={value}", cookie.name)).unwrap();
        let headers = HeaderMap::from_iter([(COOKIE, pair)]);
        let state = URL_SAFE_NO_PAD.encode_to_string([0; 16]);
        assert_eq!(cookie.find(&ring, &state, &RequestCookies::of(&headers), NOW), None);
    }

    #[test]
    fn a_target_that_no_cookie_holds_is_left_out() {
        let (cookie, ring, state, headers) = begun(&format!("/{}", "x".repeat(9000)));
        let found = cookie.find(&ring, &state, &RequestCookies::of(&headers), NOW);
        assert_eq!(found.as_deref(), Some("/"));
    }
}
