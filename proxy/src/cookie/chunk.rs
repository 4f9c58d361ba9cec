//! The session cookie and its parts: a value whose `Set-Cookie` line would exceed 4000 bytes, which browsers may refuse, is
//! cut into `<name>_0`, `<name>_1`, ..., as oauth2-proxy cuts it. The number of parts is bounded both ways.

use super::attributes::line;
use super::{Attributes, RequestCookies, SetCookie};
use jiff::SignedDuration;
use memchr::memmem::Finder;
use std::borrow::Cow;

/// Longest `Set-Cookie` line.
const MAX_LINE: usize = 4000;
/// Longest cookie name.
const MAX_NAME: usize = 256;
/// Most parts that are written or read.
pub(crate) const MAX_PARTS: usize = 20;
/// Longest value that is read, in bytes.
pub(crate) const MAX_VALUE: usize = MAX_PARTS * MAX_LINE;
/// Most clearing lines in one answer: a request can name far more cookies than we ever set.
pub(crate) const MAX_CLEARED: usize = 200;

/// A session that does not fit into cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the session needs more than {MAX_PARTS} cookies; keep sessions in Redis, or have the provider send smaller tokens"
)]
pub(crate) struct TooLong;

/// The cookie, whole or in parts, that holds a session or a ticket.
#[derive(Clone, Debug)]
pub(crate) struct SessionCookie {
    name: String,
    whole: Finder<'static>,
    parts: Vec<Finder<'static>>,
    attributes: Attributes,
}

impl SessionCookie {
    /// The cookie `name` with these attributes.
    pub(crate) fn new(name: &str, attributes: Attributes) -> Self {
        let parts =
            (0..MAX_PARTS).map(|part| Finder::new(&part_name(name, part)).into_owned()).collect();
        Self { name: name.to_owned(), whole: Finder::new(name).into_owned(), parts, attributes }
    }

    /// Its name, without a part's number.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The value that a request carries: the whole cookie, even an unusable one, else all parts up to the first gap.
    pub(crate) fn value<'a>(&self, cookies: &RequestCookies<'a>) -> Option<Cow<'a, str>> {
        if let Some(whole) = cookies.find(&self.whole) {
            return Some(Cow::Borrowed(whole));
        }
        let mut parts = self.parts.iter().map_while(|name| cookies.find(name));
        let mut value = parts.next()?.to_owned();
        for part in parts {
            value.push_str(part);
        }
        Some(Cow::Owned(value))
    }

    /// The whole cookie's value as it stands in the request, unread. Only good to be compared with one that was read.
    pub(crate) fn raw<'a>(&self, cookies: &RequestCookies<'a>) -> Option<&'a [u8]> {
        cookies.find_raw(&self.whole)
    }

    /// The lines that set `value` for a request to `host`, and clear what a longer or shorter value left behind. Browsers
    /// keep it for `kept_for` at most, however long cookies are kept otherwise.
    ///
    /// # Errors
    /// It needs more than [`MAX_PARTS`] parts.
    pub(crate) fn set(
        &self,
        value: &str,
        cookies: &RequestCookies<'_>,
        host: &str,
        kept_for: Option<SignedDuration>,
    ) -> Result<Vec<SetCookie>, TooLong> {
        let tail = self.attributes.tail(host, kept_for);
        let mut names = Vec::new();
        let mut lines = Vec::new();
        if self.name.len() + 1 + value.len() + tail.len() <= MAX_LINE {
            lines.push(line(&self.name, value, &tail));
            names.push(self.name.clone());
        } else {
            let mut rest = value;
            while !rest.is_empty() {
                if names.len() == MAX_PARTS {
                    return Err(TooLong);
                }
                let name = part_name(&self.name, names.len());
                let room = MAX_LINE.saturating_sub(name.len() + 1 + tail.len()).max(1);
                let (part, after) = rest.split_at_checked(room).unwrap_or((rest, ""));
                lines.push(line(&name, part, &tail));
                names.push(name);
                rest = after;
            }
        }
        let stale = self.present(cookies).filter(|name| !names.iter().any(|set| set == name));
        lines.extend(self.attributes.clear_all(stale, host));
        Ok(lines)
    }

    /// The lines that clear every part that the request carries, in its order.
    pub(crate) fn clear(&self, cookies: &RequestCookies<'_>, host: &str) -> Vec<SetCookie> {
        // Parts may have a shortened name.
        if self.name.len() + 12 < MAX_NAME && !cookies.may_have(&self.whole) {
            return Vec::new();
        }
        self.attributes.clear_all(self.present(cookies), host)
    }

    /// The line that clears the cookie itself, though the request may not have it.
    pub(crate) fn clear_whole(&self, host: &str) -> SetCookie {
        self.attributes.clear(&self.name, host)
    }

    fn present<'a>(&self, cookies: &RequestCookies<'a>) -> impl Iterator<Item = &'a str> {
        cookies
            .iter()
            .map(|(name, _)| name)
            .filter(|name| is_part(&self.name, name))
            .take(MAX_CLEARED)
    }
}

/// The name of part `part`: shortened from the end of `name` where the whole would be too long.
fn part_name(name: &str, part: usize) -> String {
    let suffix = format!("_{part}");
    let keep = name.len().min(MAX_NAME - suffix.len());
    [name.get(..keep).unwrap_or(name), &suffix].concat()
}

/// Whether `candidate` is the cookie `name` or one of its parts, whatever their number.
pub(super) fn is_part(name: &str, candidate: &str) -> bool {
    if candidate == name {
        return true;
    }
    let Some((stem, number)) = candidate.rsplit_once('_') else { return false };
    let numbered = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let shortened = || candidate.len() == MAX_NAME && name.starts_with(stem);
    numbered && (stem == name || shortened())
}

#[cfg(test)]
mod tests;
