//! Where a person may be sent after a login or a sign-out (`--whitelist-domain`).
//!
//! Two readings must agree: oauth2-proxy's rules, and those by which browsers read a URL (WHATWG). A target that a browser
//! could take for another place than the rules saw is no target.

use crate::routing::path::cleaned;
use proxy_config::escapes_are_whole;
use std::fmt::Write as _;
use url::Url;

/// Only for comparing: a host that no target can name on purpose.
const SELF: &str = "https://self.invalid/";

/// Hosts that a target may name.
#[derive(Debug, Default)]
pub(crate) struct Whitelist(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    host: String,
    /// `host` begins with a dot, and stands for the domain and all below.
    below: bool,
    port: Port,
}

#[derive(Debug, PartialEq, Eq)]
enum Port {
    None,
    Any,
    Only(String),
}

impl Whitelist {
    /// From entries like `d`, `.d` or `*.d`, each with an optional `:port` or `:*`.
    pub(crate) fn new<S: AsRef<str>>(entries: &[S]) -> Self {
        Self(entries.iter().map(|entry| Entry::new(entry.as_ref())).collect())
    }

    /// Whether a browser may be sent to `target`: a path here, or a URL whose host is listed.
    pub(crate) fn allows(&self, target: &str) -> bool {
        if target.bytes().any(|byte| byte.is_ascii_control()) {
            return false;
        }
        if target.starts_with("http://") || target.starts_with("https://") {
            return self.allows_url(target);
        }
        target.starts_with('/')
            && !target.starts_with("//")
            && !has_hollow_segment(target)
            && stays_here(target)
    }

    /// Whether the host part of an e-mail address is listed: the same rules, with no port to compare.
    pub(crate) fn allows_host(&self, host: &str) -> bool {
        self.0.iter().any(|entry| entry.matches(host, ""))
    }

    fn allows_url(&self, target: &str) -> bool {
        let Some((host, port)) = host_and_port(target) else { return false };
        self.0.iter().any(|entry| entry.matches(host, port)) && browser_agrees(target, host)
    }
}

impl Entry {
    fn new(text: &str) -> Self {
        let (host, port) = split_port(text).unwrap_or((text, ""));
        let port = match port {
            "" => Port::None,
            "*" => Port::Any,
            number => Port::Only(number.to_owned()),
        };
        let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Self { host: host.to_owned(), below: host.starts_with('.'), port }
    }

    fn matches(&self, host: &str, port: &str) -> bool {
        let host_matches = if self.below {
            host.ends_with(&self.host) || Some(host) == self.host.strip_prefix('.')
        } else {
            host == self.host
        };
        host_matches
            && match &self.port {
                Port::None => port.is_empty(),
                Port::Any => true,
                Port::Only(own) => own == port,
            }
    }
}

/// The text of a `Location` header for `target`: paths are cleaned and non-ASCII bytes escaped, as oauth2-proxy's helper does.
pub(crate) fn location(target: &str) -> String {
    let text = if target.starts_with('/') {
        let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
        cleaned(path) + query
    } else {
        target.to_owned()
    };
    let mut ascii = String::with_capacity(text.len());
    // Blanks at the end do not survive in a header.
    for byte in text.trim_end_matches(' ').bytes() {
        if byte.is_ascii() {
            ascii.push(char::from(byte));
        } else {
            // Writing to a String can not fail.
            let _ = write!(ascii, "%{byte:02x}");
        }
    }
    ascii
}

/// A slash or backslash, nothing but white space or one or two dots, and again one of them.
fn has_hollow_segment(target: &str) -> bool {
    let mut segments = target.split(['/', '\\']).skip(1).peekable();
    while let Some(segment) = segments.next() {
        let hollow = matches!(segment, "." | "..")
            || segment.bytes().all(|byte| matches!(byte, b' ' | 9..=13));
        if hollow && segments.peek().is_some() {
            return true;
        }
    }
    false
}

fn stays_here(target: &str) -> bool {
    // Of these no reader makes anything but the path that they are.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_~".contains(&byte);
    if !target.starts_with("//") && target.bytes().all(plain) {
        return true;
    }
    let Ok(here) = Url::parse(SELF) else { return false };
    here.join(target).is_ok_and(|url| url.origin() == here.origin())
}

/// The host without brackets and the port's text of an absolute URL that has nothing odd about it.
fn host_and_port(target: &str) -> Option<(&str, &str)> {
    let (_, rest) = target.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if !path.split('?').next().is_some_and(escapes_are_whole) {
        return None;
    }
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = split_port(host)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let odd = |c: char| c.is_ascii_whitespace() || "\\%<>\"^`{|}".contains(c);
    (!bare.is_empty() && !bare.contains(odd) && port.bytes().all(|byte| byte.is_ascii_digit()))
        .then_some((bare, port))
}

/// Splits `host:port`, where the host may be in brackets. Without a colon the port is empty.
fn split_port(text: &str) -> Option<(&str, &str)> {
    if text.starts_with('[') {
        let (host, rest) = text.split_at(text.find(']')? + 1);
        return if rest.is_empty() {
            Some((host, ""))
        } else {
            Some((host, rest.strip_prefix(':')?))
        };
    }
    match text.rsplit_once(':') {
        Some((host, port)) => (!host.contains(':')).then_some((host, port)),
        None => Some((text, "")),
    }
}

fn browser_agrees(target: &str, host: &str) -> bool {
    let Ok(url) = Url::parse(target) else { return false };
    let seen = url.host_str().unwrap_or_default();
    let seen = seen.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(seen);
    seen.eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests;
