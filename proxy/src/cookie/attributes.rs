//! `Set-Cookie` lines: `name=value; Path; Domain; Max-Age; HttpOnly; Secure; SameSite`, in this order, absent ones left
//! out, never `Expires` (RFC 6265 section 4.1).

use crate::telemetry::Sparing;
use http::HeaderValue;
use jiff::SignedDuration;
use proxy_config::{Cookie, Duration, SameSite};
use std::cell::OnceCell;
use std::fmt::Write;
use std::net::Ipv4Addr;

/// One `Set-Cookie` header value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SetCookie(HeaderValue);

impl SetCookie {
    /// For a `Set-Cookie` header. Marked sensitive, so that nothing prints it.
    pub(crate) fn into_header(self) -> HeaderValue {
        self.0
    }

    /// The text, for tests and for measuring.
    #[cfg(test)]
    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// The attributes of one kind of cookie, ready to be appended.
#[derive(Clone, Debug)]
pub(crate) struct Attributes {
    /// Longest first.
    domains: Vec<String>,
    /// `; Path=...` or nothing.
    path: String,
    /// In seconds; 0: none.
    max_age: u64,
    /// `; HttpOnly; Secure; SameSite=...`, as configured.
    flags: String,
}

impl Attributes {
    /// The session cookie's; it lives in the browser as long as `lifetime`.
    pub(crate) fn session(cookie: &Cookie, lifetime: Duration) -> Self {
        Self::new(cookie, lifetime, cookie.same_site)
    }

    /// Those of the cookie that carries a login in progress. With nothing configured it is `Lax`, unless the answer of the
    /// provider is a form that its page posts, with which browsers send no `Lax` cookie.
    pub(crate) fn login(cookie: &Cookie, comes_by_post: bool) -> Self {
        let same_site = cookie.csrf.same_site.or(cookie.same_site);
        let lax = (!comes_by_post).then_some(SameSite::Lax);
        Self::new(cookie, cookie.csrf.lifetime, same_site.or(lax))
    }

    /// Those of the cookie that carries a sign-out on its way by the provider, which leads back by a link.
    pub(crate) fn sign_out(cookie: &Cookie, lifetime: std::time::Duration) -> Self {
        let same_site = cookie.csrf.same_site.or(cookie.same_site);
        Self::new(cookie, lifetime.into(), same_site.or(Some(SameSite::Lax)))
    }

    fn new(cookie: &Cookie, max_age: Duration, same_site: Option<SameSite>) -> Self {
        let mut domains = cookie.domains.clone();
        domains.sort_by_key(|domain| std::cmp::Reverse(domain.len()));
        let path: String =
            cookie.path.chars().filter(|c| matches!(c, ' '..='~') && *c != ';').collect();
        Self {
            domains,
            path: if path.is_empty() { path } else { format!("; Path={path}") },
            max_age: max_age.get().as_secs(),
            flags: flags(cookie, same_site),
        }
    }

    /// The line that sets the cookie for a request to `host` (with its port, as the client sent it).
    pub(crate) fn set(&self, name: &str, value: &str, host: &str) -> SetCookie {
        line(name, value, &self.tail(host, None))
    }

    /// The line that removes the cookie.
    pub(crate) fn clear(&self, name: &str, host: &str) -> SetCookie {
        line(name, "", &self.tail_with(host, "; Max-Age=0"))
    }

    /// The lines that remove several.
    pub(crate) fn clear_all<'a>(
        &self,
        names: impl Iterator<Item = &'a str>,
        host: &str,
    ) -> Vec<SetCookie> {
        let tail = OnceCell::new();
        let tail = || tail.get_or_init(|| self.tail_with(host, "; Max-Age=0"));
        names.map(|name| line(name, "", tail())).collect()
    }

    /// What follows `name=value` in a line that sets a cookie, which is worth nothing after `kept_for`.
    pub(super) fn tail(&self, host: &str, kept_for: Option<SignedDuration>) -> String {
        let left = kept_for.map_or(u64::MAX, |left| left.as_secs().try_into().unwrap_or(0));
        match self.max_age {
            0 => self.tail_with(host, ""),
            most => self.tail_with(host, &format!("; Max-Age={}", most.min(left))),
        }
    }

    fn tail_with(&self, host: &str, max_age: &str) -> String {
        let mut tail = String::with_capacity(self.path.len() + max_age.len() + self.flags.len());
        tail.push_str(&self.path);
        if let Some(domain) = self.domain_for(host) {
            let _ = write!(tail, "; Domain={domain}");
        }
        tail.push_str(max_age);
        tail.push_str(&self.flags);
        tail
    }

    /// The longest domain that browsers take from this host; with none the cookie is the host's alone.
    fn domain_for(&self, host: &str) -> Option<&str> {
        let host = bare(host);
        let matching = self.domains.iter().find(|domain| domain_matches(&host, domain));
        if matching.is_none() && !self.domains.is_empty() {
            thread_local!(static ELSEWHERE: Sparing = const { Sparing::new() });
            let left_out = ELSEWHERE.with(Sparing::admit)?;
            tracing::warn!(
                host,
                left_out,
                "no cookie domain is that of the request's host: the cookie is set for this host alone"
            );
        }
        let domain = matching?;
        is_domain(domain).then(|| domain.strip_prefix('.').unwrap_or(domain))
    }
}

/// A host as domains are compared with it: no port, no last dot, lower case.
fn bare(host: &str) -> String {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// RFC 6265 section 5.1.3, for a host from [`bare`]: the same, or below it. An address has nothing below it.
fn domain_matches(host: &str, domain: &str) -> bool {
    let domain = domain.strip_prefix('.').unwrap_or(domain);
    let domain = domain.strip_suffix('.').unwrap_or(domain).to_ascii_lowercase();
    let below = |host: &str| host.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.'));
    host == domain || host.parse::<Ipv4Addr>().is_err() && below(host)
}

/// Joins a line whose tail was made by [`Attributes::tail`].
///
/// Names are checked with the configuration or were read as tokens, values are base64url, and of paths and domains only
/// what may stand in a header is kept, so the fall-back is for a caller's mistake: it sets nothing.
pub(super) fn line(name: &str, value: &str, tail: &str) -> SetCookie {
    let text = [name, "=", value, tail].concat();
    let mut header = HeaderValue::try_from(text)
        .unwrap_or_else(|_| HeaderValue::from_static("invalid=; Max-Age=0"));
    header.set_sensitive(true);
    SetCookie(header)
}

fn flags(cookie: &Cookie, same_site: Option<SameSite>) -> String {
    let mut flags = String::new();
    if cookie.http_only {
        flags.push_str("; HttpOnly");
    }
    if cookie.secure {
        flags.push_str("; Secure");
    }
    flags.push_str(match same_site {
        None => "",
        Some(SameSite::Lax) => "; SameSite=Lax",
        Some(SameSite::Strict) => "; SameSite=Strict",
        Some(SameSite::None) => "; SameSite=None",
    });
    flags
}

/// A host name with at least one letter (a leading dot allowed), or an IPv4 address.
fn is_domain(text: &str) -> bool {
    if text.parse::<Ipv4Addr>().is_ok() {
        return true;
    }
    let name = text.strip_prefix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 255
        && name.split('.').all(label)
        && name.bytes().any(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie(domains: &[&str]) -> Cookie {
        Cookie { domains: domains.iter().map(|&d| d.to_owned()).collect(), ..Cookie::default() }
    }

    #[test]
    fn a_domain_has_labels_and_a_letter_or_is_an_address() {
        let longest = "a".repeat(63);
        for good in
            ["a.test", ".a.test", "a-1.test", "localhost", "1.2.3.4", &format!("{longest}.test")]
        {
            assert!(is_domain(good), "{good}");
        }
        let (label, name) = ("a".repeat(64), "a.".repeat(127) + "aa");
        for bad in [
            "", ".", "a..b", "a_b.test", "-a.test", "a-.test", "a b", "1.2.3", "::1", &label, &name,
        ] {
            assert!(!is_domain(bad), "{bad}");
        }
    }

    #[test]
    fn the_domain_is_the_longest_that_browsers_take_from_the_host() {
        let attributes = Attributes::session(
            &cookie(&["abcdef.test", ".xyz.test", "sub.xyz.test", "1.2.3.4"]),
            Duration::ZERO,
        );
        for (host, domain) in [
            ("abcdef.test", Some("abcdef.test")),
            ("abcdef.test:8080", Some("abcdef.test")),
            ("ABCdef.Test.:8080", Some("abcdef.test")),
            ("a.sub.xyz.test", Some("sub.xyz.test")),
            ("xyz.test", Some("xyz.test")),
            ("notabcdef.test", None),
            ("other.test", None),
            ("1.2.3.4", Some("1.2.3.4")),
            ("9.1.2.3.4", Some("1.2.3.4")),
            ("[::1]:80", None),
            ("", None),
        ] {
            assert_eq!(attributes.domain_for(host), domain, "{host}");
        }
    }

    #[test]
    fn a_host_of_no_domain_is_told_of_once_however_many_cookies_are_cleared() {
        let attributes = Attributes::session(&cookie(&["app.test"]), Duration::ZERO);
        let warnings = crate::telemetry::tests::warnings(|| {
            for _ in 0..3 {
                let lines = attributes.clear_all(["a", "b", "c"].into_iter(), "other.test");
                assert_eq!(lines.len(), 3);
                assert_eq!(lines[1], attributes.clear("b", "other.test"));
            }
        });
        assert_eq!(warnings.len(), 1, "{warnings:?}");
    }

    #[test]
    fn the_cookie_of_a_login_is_lax_unless_told_otherwise_or_its_answer_is_posted() {
        let flags = |cookie: &Cookie, post| Attributes::login(cookie, post).flags;
        assert!(flags(&cookie(&[]), false).ends_with("; SameSite=Lax"));
        assert!(!flags(&cookie(&[]), true).contains("SameSite"));
        let strict = Cookie { same_site: Some(SameSite::Strict), ..cookie(&[]) };
        assert!(flags(&strict, false).ends_with("; SameSite=Strict"));
        assert!(!Attributes::session(&cookie(&[]), Duration::ZERO).flags.contains("SameSite"));
    }
}
