//! The one place where a request path is normalised, or refused because two readers could understand it differently.
//!
//! Whatever passes here means the same to a rule and to the upstream. Nothing behind this module may decode a path again.

mod segment;

use http::uri::PathAndQuery;
use segment::{
    each_segment, has_loose_blanks, has_loose_dots, is_blank, is_dots, is_nothing_to_some,
    is_parent_to_some, segments, trimmed,
};
use std::fmt::Write as _;

/// A path that has been checked, with the query that came with it.
#[derive(Clone, Debug)]
pub(crate) struct NormalPath {
    received: PathAndQuery,
    /// Only if it differs from what was received.
    canonical: Option<String>,
    /// Only if it differs from the canonical text.
    decoded: Option<String>,
    reading: Reading,
}

/// How else a reader behind us could understand a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reading {
    /// There is only one way.
    One,
    /// This is the other way: an encoded slash that is data, segment parameters that are dropped, an encoded `#` or `?` that
    /// ends the path, or blanks around a name or dots behind it that are dropped.
    Other(String),
    /// Too many ways to list, or one in which a segment vanishes.
    Unclear,
}

/// What becomes of a request target.
#[derive(Clone, Debug)]
pub(crate) enum Normalised {
    /// It can be used.
    Path(NormalPath),
    /// It says the same as this shorter target, to which the client is sent.
    Moved(String),
}

/// The path is not well-formed, or readers disagree on what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path is malformed or ambiguous: {0}")]
pub(crate) struct Malformed(&'static str);

impl NormalPath {
    /// What a target without any path is.
    pub(crate) const NONE: Malformed = Malformed("there is no path");

    /// Normalises the path of a request target in origin form.
    ///
    /// Escapes of unreserved characters are undone (RFC 3986 section 6.2.2.2); duplicate slashes and dot segments lead to
    /// [`Normalised::Moved`].
    ///
    /// # Errors
    /// A bad escape, a control character, a raw backslash, or a `..` that only some readers see: behind an encoded
    /// slash or backslash, with `;` parameters, before an encoded `#` or `?`, with blanks, or encoded twice. Also an encoded
    /// slash or backslash at its beginning. What else readers could see in two ways is data to many applications
    /// (`/queues/%2F/orders`): it passes, and no rule covers it.
    pub(crate) fn of(target: &PathAndQuery) -> Result<Normalised, Malformed> {
        if is_plain(target.path().as_bytes()) {
            let received = target.clone();
            return Ok(Normalised::Path(Self {
                received,
                canonical: None,
                decoded: None,
                reading: Reading::One,
            }));
        }
        let scan = Scan::of(target.path())?;
        scan.refuse_hidden_parents()?;
        let clean = cleaned(&scan.canonical);
        refuse_hidden_host(&clean)?;
        if clean != scan.canonical {
            return Ok(Normalised::Moved(with_query(&clean, target.query())));
        }
        let reading = scan.reading();
        let decoded = text_of(&scan.decoded);
        Ok(Normalised::Path(Self {
            received: target.clone(),
            decoded: (decoded != scan.canonical).then_some(decoded),
            canonical: (scan.canonical != target.path()).then_some(scan.canonical),
            reading,
        }))
    }

    /// As it goes upstream: percent-encoded.
    pub(crate) fn text(&self) -> &str {
        self.canonical.as_deref().unwrap_or_else(|| self.received.path())
    }

    /// Decoded once: what rules and routes are compared with.
    pub(crate) fn decoded(&self) -> &str {
        self.decoded.as_deref().unwrap_or_else(|| self.text())
    }

    /// As the client wrote it; own endpoints are compared with this, so that none has a second name.
    pub(crate) fn received(&self) -> &str {
        self.received.path()
    }

    /// Path and query as the client wrote them.
    pub(crate) fn target(&self) -> &PathAndQuery {
        &self.received
    }

    /// The query as received.
    pub(crate) fn query(&self) -> Option<&str> {
        self.received.query()
    }

    /// Path and query for the upstream; `None` if they are exactly as received.
    pub(crate) fn rewritten(&self) -> Option<PathAndQuery> {
        let path = self.canonical.as_deref()?;
        PathAndQuery::try_from(with_query(path, self.query())).ok()
    }

    /// The path in every way in which it can be read, decoded; `None` for one with too many readings.
    pub(crate) fn readings(&self) -> Option<impl Iterator<Item = &str>> {
        let other = match &self.reading {
            Reading::One => None,
            Reading::Other(other) => Some(other.as_str()),
            Reading::Unclear => return None,
        };
        Some(std::iter::once(self.decoded()).chain(other))
    }
}

/// A path and its query, if there is one.
pub(crate) fn with_query(path: &str, query: Option<&str>) -> String {
    query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
}

/// Resolves dot segments and drops empty ones; a trailing slash stays.
pub(crate) fn cleaned(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    let mut clean = String::with_capacity(path.len());
    for segment in &segments {
        clean.push('/');
        clean.push_str(segment);
    }
    if clean.is_empty() || path.ends_with('/') {
        clean.push('/');
    }
    clean
}

/// The common case, decided in one pass: nothing to decode, to clean or to doubt.
fn is_plain(path: &[u8]) -> bool {
    let mut previous = 0;
    for &byte in path {
        let odd = matches!(byte, b'%' | b';' | b'\\' | 0..=0x20 | 0x7f..);
        let dotted = previous == b'.' && byte == b'/';
        if odd || dotted || (previous == b'/' && matches!(byte, b'/' | b'.')) {
            return false;
        }
        previous = byte;
    }
    path.first() == Some(&b'/') && previous != b'.'
}

/// `//name` is a host to some, and to every browser that is sent there by an application that repeats its path.
fn refuse_hidden_host(clean: &str) -> Result<(), Malformed> {
    let begins = |escape: &str| clean.get(1..4).is_some_and(|at| at.eq_ignore_ascii_case(escape));
    if begins("%2f") || begins("%5c") {
        return Err(Malformed("it begins with an encoded slash or backslash"));
    }
    Ok(())
}

/// What one pass over a path that is not plain has found.
struct Scan {
    canonical: String,
    decoded: Vec<u8>,
    encoded_slash: bool,
    encoded_backslash: bool,
    parameters: bool,
}

impl Scan {
    fn of(path: &str) -> Result<Self, Malformed> {
        if !path.starts_with('/') {
            return Err(Malformed("it does not begin with a slash"));
        }
        let mut scan = Self {
            canonical: String::with_capacity(path.len()),
            decoded: Vec::with_capacity(path.len()),
            encoded_slash: false,
            encoded_backslash: false,
            parameters: false,
        };
        let mut rest = path.as_bytes();
        while let Some((&byte, tail)) = rest.split_first() {
            if byte == b'%' {
                let (value, tail) = escape(tail)
                    .ok_or(Malformed("a percent sign is not followed by two hex digits"))?;
                scan.encoded_slash |= value == b'/';
                scan.encoded_backslash |= value == b'\\';
                scan.push(value, rest.get(1..3))?;
                rest = tail;
            } else {
                scan.push(byte, None)?;
                rest = tail;
            }
        }
        Ok(scan)
    }

    fn push(&mut self, byte: u8, escaped: Option<&[u8]>) -> Result<(), Malformed> {
        match byte {
            0..0x20 | 0x7f => return Err(Malformed("it holds a control character")),
            b'\\' if escaped.is_none() => return Err(Malformed("it holds a backslash")),
            b';' => self.parameters = true,
            _ => {}
        }
        self.decoded.push(byte);
        match escaped {
            Some([high, low]) if !is_unreserved(byte) => {
                self.canonical.push('%');
                self.canonical.push(char::from(*high));
                self.canonical.push(char::from(*low));
            }
            _ if byte.is_ascii() && byte != b' ' => self.canonical.push(char::from(byte)),
            // Writing to a String can not fail.
            _ => drop(write!(self.canonical, "%{byte:02X}")),
        }
        Ok(())
    }

    /// A `..` that shows only to a reader who takes an encoded slash or backslash for a separator, drops parameters or
    /// blanks, ends the path at an encoded mark, or decodes twice. No application means it.
    fn refuse_hidden_parents(&self) -> Result<(), Malformed> {
        let joined = self.encoded_slash || self.encoded_backslash;
        if segments(&self.decoded).any(|s| is_parent_to_some(s) && (joined || s != b"..")) {
            return Err(Malformed(
                "a .. in it shows only to those who decode slashes or drop parameters, blanks or what is behind a mark",
            ));
        }
        let Some(twice) = self.decoded_again() else { return Ok(()) };
        let control = |byte: &u8| matches!(byte, 0..0x20 | 0x7f);
        if twice.iter().any(control) || segments(&twice).any(is_parent_to_some) {
            return Err(Malformed("it is encoded twice and hides a .. or a control character"));
        }
        Ok(())
    }

    fn reading(&self) -> Reading {
        let Ok(decoded) = std::str::from_utf8(&self.decoded) else { return Reading::Unclear };
        // A last name of blanks alone leaves its folder: that is one other way, the one without blanks.
        let blank = |name: &str| !name.is_empty() && name.chars().all(is_blank);
        let named = decoded.rsplit_once('/').filter(|(_, name)| blank(name));
        let named = named.map_or(decoded, |(folder, _)| folder);
        let vanishing = !named.is_empty() && segments(named.as_bytes()).any(is_nothing_to_some);
        if self.encoded_backslash || vanishing || self.decoded_again().is_some() {
            return Reading::Unclear;
        }
        // Neither mark is in the path of a request target but as an escape.
        let up_to = |mark| decoded.split_once(mark).map(|(head, _)| head.to_owned());
        let pieces = || decoded.split(['/', ';', '#', '?']);
        let (blanks, dots) = (pieces().any(has_loose_blanks), pieces().any(has_loose_dots));
        let bare = || each_segment(decoded, |s| if is_dots(s) { s } else { trimmed(s) });
        let mut others = [
            self.encoded_slash.then(|| with_slashes_kept(&self.canonical)),
            self.parameters.then(|| each_segment(decoded, |s| s.split(';').next().unwrap_or(s))),
            up_to('#'),
            up_to('?'),
            blanks.then(bare),
            dots.then(bare),
        ]
        .into_iter()
        .flatten();
        match (others.next(), others.next()) {
            (None, _) => Reading::One,
            (Some(other), None) => Reading::Other(other),
            (Some(_), Some(_)) => Reading::Unclear,
        }
    }

    /// `None` if nothing is left to decode.
    fn decoded_again(&self) -> Option<Vec<u8>> {
        let mut twice = Vec::with_capacity(self.decoded.len());
        let (mut rest, mut found) = (self.decoded.as_slice(), false);
        while let Some((&byte, tail)) = rest.split_first() {
            if let Some((value, tail)) = escape(tail).filter(|_| byte == b'%') {
                twice.push(value);
                (rest, found) = (tail, true);
            } else {
                twice.push(byte);
                rest = tail;
            }
        }
        found.then_some(twice)
    }
}

/// The text of a decoded path. A byte that belongs to no character counts as one each, as in the engine that rules are
/// written for.
fn text_of(decoded: &[u8]) -> String {
    let mut text = String::with_capacity(decoded.len());
    for chunk in decoded.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

/// The canonical text decoded, but for the escapes of slashes.
fn with_slashes_kept(canonical: &str) -> String {
    let mut parts = Vec::new();
    let mut rest = canonical;
    while let Some(at) = rest.find("%2F").or_else(|| rest.find("%2f")) {
        let at = rest.find("%2f").map_or(at, |lower| lower.min(at));
        let (head, tail) = rest.split_at(at);
        parts.push(percent_encoding::percent_decode_str(head).decode_utf8_lossy());
        rest = tail.get(3..).unwrap_or_default();
    }
    parts.push(percent_encoding::percent_decode_str(rest).decode_utf8_lossy());
    parts.join("%2F")
}

fn escape(rest: &[u8]) -> Option<(u8, &[u8])> {
    let (&[high, low], tail) = rest.split_first_chunk()?;
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(high)? << 4 | digit(low)?, tail))
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests;
