//! `Set-Cookie` lines: `name=value; Path; Domain; Max-Age; HttpOnly; Secure; SameSite`, in this order, absent ones left
//! out, never `Expires` (`reference/sessions.md` section 7).

use http::HeaderValue;
use proxy_config::{Cookie, Duration, SameSite};
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
    /// `; Max-Age=...` or nothing.
    max_age: String,
    /// `; HttpOnly; Secure; SameSite=...`, as configured.
    flags: String,
}

impl Attributes {
    /// The session cookie's; it lives in the browser as long as `lifetime`.
    pub(crate) fn session(cookie: &Cookie, lifetime: Duration) -> Self {
        Self::new(cookie, lifetime, cookie.same_site)
    }

    /// Those of the cookie that carries a login in progress.
    pub(crate) fn login(cookie: &Cookie) -> Self {
        Self::new(cookie, cookie.csrf.lifetime, cookie.csrf.same_site.or(cookie.same_site))
    }

    fn new(cookie: &Cookie, max_age: Duration, same_site: Option<SameSite>) -> Self {
        let mut domains = cookie.domains.clone();
        domains.sort_by_key(|domain| std::cmp::Reverse(domain.len()));
        let path: String =
            cookie.path.chars().filter(|c| matches!(c, ' '..='~') && *c != ';').collect();
        let seconds = max_age.get().as_secs();
        Self {
            domains,
            path: if path.is_empty() { path } else { format!("; Path={path}") },
            max_age: if seconds == 0 { String::new() } else { format!("; Max-Age={seconds}") },
            flags: flags(cookie, same_site),
        }
    }

    /// The line that sets the cookie for a request to `host` (with its port, as the client sent it).
    pub(crate) fn set(&self, name: &str, value: &str, host: &str) -> SetCookie {
        line(name, value, &self.tail(host))
    }

    /// The line that removes the cookie.
    pub(crate) fn clear(&self, name: &str, host: &str) -> SetCookie {
        line(name, "", &self.tail_with(host, "; Max-Age=0"))
    }

    /// What follows `name=value` in a line that sets a cookie.
    pub(super) fn tail(&self, host: &str) -> String {
        self.tail_with(host, &self.max_age)
    }

    fn tail_with(&self, host: &str, max_age: &str) -> String {
        let mut tail = self.path.clone();
        if let Some(domain) = self.domain_for(host) {
            let _ = write!(tail, "; Domain={domain}");
        }
        tail.push_str(max_age);
        tail.push_str(&self.flags);
        tail
    }

    /// The longest domain that ends the host; if none does, the shortest. Nothing if that is no domain.
    fn domain_for(&self, host: &str) -> Option<&str> {
        let matching = self.domains.iter().find(|domain| host.ends_with(domain.as_str()));
        if matching.is_none() && !self.domains.is_empty() {
            tracing::warn!(
                host,
                "no cookie domain is a suffix of the request's host: browsers will drop the cookie"
            );
        }
        let domain = matching.or_else(|| self.domains.last())?;
        is_domain(domain).then(|| domain.strip_prefix('.').unwrap_or(domain))
    }
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
