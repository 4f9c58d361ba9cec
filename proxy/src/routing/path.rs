//! The one place where a request path is normalised, or refused because two readers could understand it differently.
//!
//! Whatever passes here means the same to a rule and to the upstream. Nothing behind this module may decode a path again.

use http::uri::PathAndQuery;
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
    /// This is the other way: an encoded slash that is data, segment parameters that are dropped, or an encoded `#` or `?`
    /// that ends the path.
    Other(String),
    /// Too many ways to list.
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
    /// A bad escape, a control character, a backslash, or a dot segment or empty segment that only some readers see: one
    /// behind an encoded slash, with `;` parameters, before an encoded `#` or `?`, with blanks, or encoded twice.
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
        scan.refuse_hidden_segments()?;
        let clean = cleaned(&scan.canonical);
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

    /// Whether `test` holds however the path is read. False for a path with too many readings.
    pub(crate) fn always(&self, mut test: impl FnMut(&str) -> bool) -> bool {
        match &self.reading {
            Reading::One => test(self.decoded()),
            Reading::Other(other) => test(self.decoded()) && test(other),
            Reading::Unclear => false,
        }
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
        if odd || (previous == b'/' && matches!(byte, b'/' | b'.')) {
            return false;
        }
        previous = byte;
    }
    path.first() == Some(&b'/')
}

/// What one pass over a path that is not plain has found.
struct Scan {
    canonical: String,
    decoded: Vec<u8>,
    encoded_slash: bool,
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
            parameters: false,
        };
        let mut rest = path.as_bytes();
        while let Some((&byte, tail)) = rest.split_first() {
            if byte == b'%' {
                let (value, tail) = escape(tail)
                    .ok_or(Malformed("a percent sign is not followed by two hex digits"))?;
                scan.encoded_slash |= value == b'/';
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
            b'\\' => return Err(Malformed("it holds a backslash")),
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

    /// Dot segments and empty segments that show only to a reader who decodes slashes, drops parameters, or decodes twice.
    fn refuse_hidden_segments(&self) -> Result<(), Malformed> {
        if self.encoded_slash && segments(&self.decoded).any(is_hollow) {
            return Err(Malformed("an encoded slash makes a dot segment or an empty one"));
        }
        if self.parameters
            && segments(&self.decoded)
                .any(|s| s.contains(&b';') && is_hollow(without_parameters(s)))
        {
            return Err(Malformed("a dot segment or an empty one has parameters"));
        }
        if segments(&self.decoded).any(|s| !is_dots(s) && is_dots_to_some(s)) {
            return Err(Malformed("a dot segment has an encoded # or ? behind it, or blanks"));
        }
        let Some(twice) = self.decoded_again() else { return Ok(()) };
        let odd = |byte: &u8| matches!(byte, 0..0x20 | 0x7f | b'\\');
        if twice.iter().any(odd) || segments(&twice).any(is_dots_to_some) {
            return Err(Malformed(
                "it is encoded twice and hides a dot segment, a backslash or a control character",
            ));
        }
        Ok(())
    }

    fn reading(&self) -> Reading {
        let Ok(decoded) = std::str::from_utf8(&self.decoded) else { return Reading::Unclear };
        if self.decoded_again().is_some() {
            return Reading::Unclear;
        }
        // Neither mark is in the path of a request target but as an escape.
        let up_to = |mark| decoded.split_once(mark).map(|(head, _)| head.to_owned());
        let mut others = [
            self.encoded_slash.then(|| with_slashes_kept(&self.canonical)),
            self.parameters.then(|| {
                let bare: Vec<&str> =
                    decoded.split('/').map(|s| s.split(';').next().unwrap_or(s)).collect();
                bare.join("/")
            }),
            up_to('#'),
            up_to('?'),
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

/// The segments after the first slash, without the empty one after a trailing slash.
fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let path = path.strip_suffix(b"/").unwrap_or(path);
    path.split(|&byte| byte == b'/')
}

fn without_parameters(segment: &[u8]) -> &[u8] {
    segment.split(|&byte| byte == b';').next().unwrap_or(segment)
}

fn is_dots(segment: &[u8]) -> bool {
    matches!(segment, b"." | b"..")
}

/// Whether a reader takes a segment for `.` or `..` who drops its parameters, ends the path at a decoded `#` or `?`, or
/// drops blanks.
fn is_dots_to_some(segment: &[u8]) -> bool {
    let head = segment.split(|byte| matches!(byte, b';' | b'#' | b'?')).next().unwrap_or(segment);
    let head = String::from_utf8_lossy(head);
    let mut left = head.chars().filter(|c| !c.is_whitespace() && *c != '\u{feff}');
    matches!((left.next(), left.next(), left.next()), (Some('.'), None | Some('.'), None))
}

fn is_hollow(segment: &[u8]) -> bool {
    segment.is_empty() || is_dots(segment)
}

#[cfg(test)]
mod tests;
