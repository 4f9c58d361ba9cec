//! Our own cookies, as they are taken out of what goes upstream: an application must not be able to read, log or replay a
//! session. By name only: a pair that we would not accept may still be read by somebody else.

use super::chunk::is_part;
use super::jar::pairs;
use memchr::memmem::Finder;

/// Name of the cookie of a sign-out under way, beside the session cookie `name`.
pub(crate) fn sign_out_name(name: &str) -> String {
    format!("{name}_sign_out")
}

/// The names that are ours: the session cookie, its parts, and the cookies of logins and of a sign-out in progress.
#[derive(Clone, Debug)]
pub(crate) struct OwnCookies {
    name: String,
    sign_out: String,
    finder: Finder<'static>,
}

impl OwnCookies {
    /// Those around the session cookie `name`.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            sign_out: sign_out_name(name),
            finder: Finder::new(name).into_owned(),
        }
    }

    /// Appends one `Cookie` header's value to `rest` without our cookies. False if there were only ours.
    pub(crate) fn strip(&self, value: &[u8], rest: &mut Vec<u8>) -> bool {
        if self.finder.find(value).is_none() {
            rest.extend_from_slice(value);
            return true;
        }
        let start = rest.len();
        for pair in pairs(value).map(<[u8]>::trim_ascii) {
            if pair.is_empty() || self.owns(pair) {
                continue;
            }
            if rest.len() > start {
                rest.extend_from_slice(b"; ");
            }
            rest.extend_from_slice(pair);
        }
        rest.len() > start
    }

    fn owns(&self, pair: &[u8]) -> bool {
        let end = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        let name = pair.get(..end).unwrap_or(pair).trim_ascii_end();
        let Ok(name) = std::str::from_utf8(name) else { return false };
        is_part(&self.name, name) || self.is_login(name) || name == self.sign_out
    }

    /// `<name>_csrf` or `<name>_<anything>_csrf`.
    fn is_login(&self, name: &str) -> bool {
        name.strip_prefix(self.name.as_str())
            .is_some_and(|rest| rest.starts_with('_') && rest.ends_with("_csrf"))
    }
}

#[cfg(test)]
mod tests;
