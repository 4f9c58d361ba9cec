//! The cookies of one request, read where they lie in its headers.
//!
//! A pair is split at `;` and at the first `=`, white space around pair and name is dropped, surrounding double quotes of
//! a value are dropped, and a value with a control character, a double quote, a backslash or a byte above 126 is not a
//! cookie at all, so a later one of that name counts. The first cookie of a name wins.

use crate::wire::is_token;
use http::header::{COOKIE, HeaderMap, HeaderValue};
use memchr::memmem;

/// All `Cookie` headers of a request.
pub(crate) struct RequestCookies<'a>(&'a HeaderMap<HeaderValue>);

impl<'a> RequestCookies<'a> {
    /// The cookies in `headers`. Nothing is read yet.
    pub(crate) fn of(headers: &'a HeaderMap<HeaderValue>) -> Self {
        Self(headers)
    }

    /// The value of the first cookie of this name.
    #[cfg(test)]
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.find(&memmem::Finder::new(name))
    }

    /// The same for a name whose search was prepared.
    pub(crate) fn find(&self, name: &memmem::Finder<'_>) -> Option<&'a str> {
        self.lines().find_map(|line| find_in(line, name))
    }

    /// The bytes behind the `=` of the first pair of this name, as they stand there: nothing says that they are a value. `None`
    /// if there is none, or if it is written in a way that needs a closer look.
    pub(crate) fn find_raw(&self, name: &memmem::Finder<'_>) -> Option<&'a [u8]> {
        self.lines().find_map(|line| raw_in(line, name)).and_then(Result::ok)
    }

    /// Whether a name stands anywhere, be it as part of something else.
    pub(crate) fn may_have(&self, name: &memmem::Finder<'_>) -> bool {
        self.lines().any(|line| name.find(line).is_some())
    }

    /// All cookies in order, as name and value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.lines().flat_map(pairs).filter_map(pair)
    }

    fn lines(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.0.get_all(COOKIE).into_iter().map(HeaderValue::as_bytes)
    }
}

/// What follows from each place where the name stands at the beginning of a pair, be it as part of a longer one.
fn beginnings<'a>(line: &'a [u8], name: &memmem::Finder<'_>) -> impl Iterator<Item = &'a [u8]> {
    name.find_iter(line).filter_map(|at| {
        let (before, from) = line.split_at_checked(at)?;
        matches!(before.trim_ascii_end().last(), None | Some(b';')).then_some(from)
    })
}

/// The value of the first whole pair of the name.
fn find_in<'a>(line: &'a [u8], name: &memmem::Finder<'_>) -> Option<&'a str> {
    beginnings(line, name).find_map(|from| {
        let end = memchr::memchr(b';', from).unwrap_or(from.len());
        let (found, text) = pair(from.get(..end)?)?;
        (found.as_bytes() == name.needle()).then_some(text)
    })
}

/// It is there, but not in the usual form.
struct Unusual;

/// As [`find_in`], without a look at the value.
fn raw_in<'a>(line: &'a [u8], name: &memmem::Finder<'_>) -> Option<Result<&'a [u8], Unusual>> {
    beginnings(line, name).find_map(|from| {
        let after = from.get(name.needle().len()..)?;
        match after.first() {
            Some(b'=') => {
                let end = memchr::memchr(b';', after).unwrap_or(after.len());
                Some(after.get(1..end).ok_or(Unusual))
            }
            Some(byte) if !byte.is_ascii_whitespace() && *byte != b';' => None,
            _ => Some(Err(Unusual)),
        }
    })
}

/// What stands between the semicolons of a line.
pub(super) fn pairs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    memchr::memchr_iter(b';', line).chain([line.len()]).filter_map(move |end| {
        let pair = line.get(start..end);
        start = end + 1;
        pair
    })
}

/// Name and value of one pair, if it is a cookie.
fn pair(text: &[u8]) -> Option<(&str, &str)> {
    let text = text.trim_ascii();
    let (name, value) = match memchr::memchr(b'=', text) {
        Some(at) => (text.get(..at)?, text.get(at + 1..)?),
        None => (text, &b""[..]),
    };
    let name = name.trim_ascii_end();
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return None;
    }
    let value = match value {
        [b'"', inner @ .., b'"'] => inner,
        other => other,
    };
    // To the end even after a bad byte: without a way out the loop takes many bytes at once.
    if !value.iter().fold(true, |good, byte| good & is_value(*byte)) {
        return None;
    }
    Some((std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?))
}

/// What a value may have in it.
const fn is_value(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')
}

#[cfg(test)]
mod tests;
