//! The cookie of a login in progress: it ties the provider's answer to the browser that began (RFC 6749 section 10.12;
//! names and limit as oauth2-proxy has them for `--cookie-csrf-per-request`). Sealed for this purpose and its own name.

use crate::cookie::{Attributes, MAX_CLEARED, RequestCookies, SetCookie};
use crate::oidc::LoginState;
use crate::session::{KeyRing, Purpose, SealError};
use jiff::{SignedDuration, Timestamp};
use proxy_config::{Session, SessionFormat};

/// More than any sealed login state.
const MAX_VALUE: usize = 4096;
/// With no limit configured.
const DEFAULT_LIMIT: usize = 20;
/// How much of the state's hash goes into the name.
const NAME_PART: usize = 8;

/// How such cookies are named and written.
pub(crate) struct LoginCookies {
    /// Name of the session cookie.
    base: String,
    per_request: bool,
    limit: usize,
    lifetime: SignedDuration,
    attributes: Attributes,
    format: SessionFormat,
}

/// A login in progress, and the cookie that it was in.
pub(crate) struct FoundLogin {
    pub(crate) state: LoginState,
    pub(crate) name: String,
}

/// Why a callback belongs to no login of this browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoLogin {
    /// The browser sent no such cookie.
    #[error("the browser sent no login cookie")]
    NoCookie,
    /// The browser is in another login.
    #[error("the login cookie belongs to another login")]
    OtherLogin,
    /// The `state` parameter does not lead back to where the login began.
    #[error("the return path in the state is not that of this login")]
    OtherTarget,
    /// The cookie does not open with our keys.
    #[error("the login cookie does not open: {0}")]
    BadSeal(SealError),
    /// It took too long.
    #[error("the login took longer than allowed")]
    Expired,
    /// The answer came before.
    #[error("the answer of the provider was used before")]
    Used,
}

impl NoLogin {
    /// What the person is told.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::NoCookie => {
                "Your browser sent no cookie for this sign-in. Cookies may be blocked, or the page was opened from a bookmark, \
                 in another browser, or under another address. Please sign in again."
            }
            Self::OtherLogin => {
                "This sign-in was overtaken by another one, perhaps in another tab. Please sign in again."
            }
            Self::OtherTarget => {
                "The address that this sign-in leads back to was changed on the way. Please sign in again."
            }
            Self::BadSeal(_) => {
                "The cookie of this sign-in can not be read: the server's keys may have changed meanwhile. Please sign in \
                 again."
            }
            Self::Expired => "This sign-in took too long. Please sign in again.",
            Self::Used => "This sign-in has already been completed once. Please sign in again.",
        }
    }
}

impl LoginCookies {
    /// From the session settings. `comes_by_post`: the provider's answer is a form that its page posts.
    pub(crate) fn new(session: &Session, comes_by_post: bool) -> Self {
        let cookie = &session.cookie;
        let limit = usize::try_from(cookie.csrf.limit).unwrap_or(DEFAULT_LIMIT);
        Self {
            base: cookie.name.clone(),
            per_request: cookie.csrf.per_request,
            limit: if limit == 0 { DEFAULT_LIMIT } else { limit },
            lifetime: SignedDuration::try_from(cookie.csrf.lifetime.get())
                .unwrap_or(SignedDuration::MAX),
            attributes: Attributes::login(cookie, comes_by_post),
            format: session.format,
        }
    }

    /// The lines that remember a login, and clear the oldest of too many others.
    pub(crate) fn remember(
        &self,
        ring: &KeyRing,
        state: &LoginState,
        cookies: &RequestCookies<'_>,
        host: &str,
    ) -> Vec<SetCookie> {
        let name = self.name(&state.state_hash());
        let old = self.too_many(ring, cookies, &name);
        let mut lines = self.attributes.clear_all(old.into_iter(), host);
        let value = ring.seal(Purpose::Login, &name, &state.to_bytes(self.format));
        lines.push(self.attributes.set(&name, &value, host));
        lines
    }

    /// The login that `hash`, out of a `state` parameter, belongs to.
    ///
    /// # Errors
    /// See [`NoLogin`].
    pub(crate) fn find(
        &self,
        ring: &KeyRing,
        hash: &str,
        cookies: &RequestCookies<'_>,
        now: Timestamp,
    ) -> Result<FoundLogin, NoLogin> {
        let name = self.name(hash);
        let mut error = NoLogin::NoCookie;
        for (found, value) in cookies.iter() {
            if found != name {
                if error == NoLogin::NoCookie && self.is_ours(found) {
                    error = NoLogin::OtherLogin;
                }
                continue;
            }
            match self.open(ring, (&name, value), hash, now) {
                Ok(state) => return Ok(FoundLogin { state, name }),
                Err(why) => error = why,
            }
        }
        Err(error)
    }

    /// The line that removes the cookie of a login.
    pub(crate) fn forget(&self, name: &str, host: &str) -> SetCookie {
        self.attributes.clear(name, host)
    }

    fn open(
        &self,
        ring: &KeyRing,
        (name, value): (&str, &str),
        hash: &str,
        now: Timestamp,
    ) -> Result<LoginState, NoLogin> {
        let bytes = ring.open(Purpose::Login, name, value, MAX_VALUE).map_err(NoLogin::BadSeal)?;
        let state =
            LoginState::from_bytes(&bytes).map_err(|_| NoLogin::BadSeal(SealError::Format))?;
        if !state.matches(hash) {
            return Err(NoLogin::OtherLogin);
        }
        if !self.lifetime.is_zero() && now.duration_since(state.started_at()) > self.lifetime {
            return Err(NoLogin::Expired);
        }
        Ok(state)
    }

    fn name(&self, hash: &str) -> String {
        match hash.get(..NAME_PART).filter(|_| self.per_request) {
            Some(part) => [&self.base, "_", part, "_csrf"].concat(),
            None => [&self.base, "_csrf"].concat(),
        }
    }

    fn is_ours(&self, name: &str) -> bool {
        name.strip_prefix(self.base.as_str())
            .is_some_and(|rest| rest.starts_with('_') && rest.ends_with("_csrf"))
    }

    /// Names of logins in progress that have to make room for one more: unreadable ones, then the oldest.
    fn too_many<'a>(
        &self,
        ring: &KeyRing,
        cookies: &RequestCookies<'a>,
        new: &str,
    ) -> Vec<&'a str> {
        if !self.per_request {
            return Vec::new();
        }
        let mut others: Vec<(Timestamp, &str)> = cookies
            .iter()
            .filter(|(name, _)| *name != new && self.is_ours(name))
            .map(|(name, value)| {
                let opened = ring.open(Purpose::Login, name, value, MAX_VALUE).ok();
                let state = opened.and_then(|bytes| LoginState::from_bytes(&bytes).ok());
                (state.map_or(Timestamp::MIN, |state| state.started_at()), name)
            })
            .collect();
        others.sort_unstable();
        others.dedup_by_key(|(_, name)| *name);
        let excess = (others.len() + 1).saturating_sub(self.limit).min(MAX_CLEARED);
        others.into_iter().take(excess).map(|(_, name)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::COOKIE;
    use http::{HeaderMap, HeaderValue};
    use serde_json::json;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn ring() -> KeyRing {
        KeyRing::new(&["0123456789abcdef"]).unwrap()
    }

    /// With a life of a minute and room for two logins.
    fn of(csrf: &serde_json::Value) -> LoginCookies {
        let session = serde_json::from_value(json!({"keys": [], "cookie": {"csrf": csrf}}));
        LoginCookies::new(&session.unwrap(), false)
    }

    fn two() -> LoginCookies {
        of(&json!({"lifetime": "1m", "perRequest": true, "limit": 2}))
    }

    fn state(after: i64) -> LoginState {
        let begun = NOW + SignedDuration::from_secs(after);
        let mut state = LoginState::new(("main", "https://issuer.example", 0), begun, (true, true));
        state.bind("what comes back");
        state
    }

    /// What a browser sends that got these lines.
    fn sent(lines: &[SetCookie]) -> HeaderMap {
        let pairs: Vec<_> =
            lines.iter().filter_map(|line| line.as_str().split(';').next()).collect();
        HeaderMap::from_iter([(COOKIE, HeaderValue::try_from(pairs.join("; ")).unwrap())])
    }

    fn remember(cookies: &LoginCookies, state: &LoginState, had: &HeaderMap) -> Vec<SetCookie> {
        cookies.remember(&ring(), state, &RequestCookies::of(had), "app.example")
    }

    fn find(
        cookies: &LoginCookies,
        hash: &str,
        headers: &HeaderMap,
        after: i64,
    ) -> Result<String, NoLogin> {
        let now = NOW + SignedDuration::from_secs(after);
        let found = cookies.find(&ring(), hash, &RequestCookies::of(headers), now);
        found.map(|found| found.name)
    }

    #[test]
    fn a_login_is_found_until_its_time_is_over_and_without_a_time_always() {
        let state = state(0);
        let hash = state.state_hash();
        let name = format!("_oauth2_proxy_{}_csrf", hash.split_at(NAME_PART).0);
        let headers = sent(&remember(&two(), &state, &HeaderMap::new()));
        assert_eq!(find(&two(), &hash, &headers, 60), Ok(name.clone()));
        assert_eq!(find(&two(), &hash, &headers, 61), Err(NoLogin::Expired));
        let endless = of(&json!({"lifetime": "0s", "perRequest": true}));
        assert_eq!(find(&endless, &hash, &headers, 1_000_000), Ok(name));
    }

    #[test]
    fn the_reason_is_that_of_the_cookie_that_should_have_been_it() {
        let (mine, other) = (state(0), state(0));
        let (hash, foreign) = (mine.state_hash(), other.state_hash());
        let headers = sent(&remember(&two(), &mine, &HeaderMap::new()));
        assert_eq!(find(&two(), &hash, &HeaderMap::new(), 0), Err(NoLogin::NoCookie));
        assert_eq!(find(&two(), &foreign, &headers, 0), Err(NoLogin::OtherLogin));
        // The name is the right one, and only the hash inside tells them apart.
        let alike = [hash.split_at(NAME_PART).0, foreign.split_at(NAME_PART).1].concat();
        assert_eq!(find(&two(), &alike, &headers, 0), Err(NoLogin::OtherLogin));
        let keys = KeyRing::new(&["another-secret-of-ours"]).unwrap();
        let found = two().find(&keys, &hash, &RequestCookies::of(&headers), NOW);
        assert!(matches!(found, Err(NoLogin::BadSeal(_))));
        // With one name for all, the later login is in the place of the earlier one.
        let single = of(&json!({"lifetime": "1m", "perRequest": false}));
        let headers = sent(&remember(&single, &other, &HeaderMap::new()));
        assert_eq!(find(&single, &hash, &headers, 0), Err(NoLogin::OtherLogin));
        assert_eq!(find(&single, &foreign, &headers, 0), Ok("_oauth2_proxy_csrf".to_owned()));
    }

    #[test]
    fn one_login_too_many_clears_what_can_not_be_read_and_then_the_oldest() {
        let cookies = two();
        let (old, young) = (state(1), state(2));
        let mut lines = remember(&cookies, &young, &HeaderMap::new());
        lines.extend(remember(&cookies, &old, &HeaderMap::new()));
        let mut text = sent(&lines)[COOKIE].to_str().unwrap().to_owned();
        text.push_str("; _oauth2_proxy_12345678_csrf=spoilt; _other_12345678_csrf=x");
        let had = HeaderMap::from_iter([(COOKIE, HeaderValue::try_from(text).unwrap())]);
        let lines = remember(&cookies, &state(3), &had);
        let cleared: Vec<_> = lines
            .iter()
            .filter(|line| line.as_str().contains("Max-Age=0"))
            .filter_map(|line| line.as_str().split('=').next())
            .collect();
        let oldest = cookies.name(&old.state_hash());
        assert_eq!(cleared, ["_oauth2_proxy_12345678_csrf", &*oldest]);
    }
}
