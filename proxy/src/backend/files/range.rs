//! Range requests (RFC 9110 section 14) for one range. What we do not understand, other units and lists of ranges among
//! it, gets the whole file, as the RFC allows.

use super::condition;
use http::{HeaderMap, header};
use std::time::SystemTime;

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// First byte.
    pub(super) first: u64,
    /// Number of bytes.
    pub(super) length: u64,
}

/// What a request wants of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    All,
    /// One part, of at least one byte.
    Part(Range),
    /// A part that the file does not have.
    Nothing,
}

/// Reads `Range` and `If-Range` for a file of `size` bytes.
pub(super) fn wanted(headers: &HeaderMap, size: u64, modified: Option<SystemTime>) -> Wanted {
    let Some(range) = headers.get(header::RANGE).and_then(|value| value.to_str().ok()) else {
        return Wanted::All;
    };
    // Without entity tags only the very time that we sent can hold.
    if headers.contains_key(header::IF_RANGE)
        && (modified.is_none() || condition::time(headers, header::IF_RANGE) != modified)
    {
        return Wanted::All;
    }
    parse(range, size).unwrap_or(Wanted::All)
}

/// `None` if it is not one range of bytes.
fn parse(text: &str, size: u64) -> Option<Wanted> {
    let (first, last) = text.strip_prefix("bytes=")?.trim().split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    let (first, length) = if first.is_empty() {
        let length = number(last)?.min(size);
        (size - length, length)
    } else {
        let first = number(first)?;
        let last = if last.is_empty() { u64::MAX } else { number(last)? };
        if last < first {
            return None;
        }
        (first, last.min(size.saturating_sub(1)).checked_sub(first).map_or(0, |gap| gap + 1))
    };
    Some(if first >= size || length == 0 {
        Wanted::Nothing
    } else {
        Wanted::Part(Range { first, length })
    })
}

/// Digits only: `+1` is no position. Positions beyond 64 bits are behind every file.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(first: u64, length: u64) -> Wanted {
        Wanted::Part(Range { first, length })
    }

    #[test]
    fn ranges_of_a_file_of_ten_bytes() {
        for (text, expected) in [
            ("bytes=0-0", Some(part(0, 1))),
            ("bytes=0-9", Some(part(0, 10))),
            ("bytes=0-", Some(part(0, 10))),
            ("bytes=4-99", Some(part(4, 6))),
            ("bytes=-3", Some(part(7, 3))),
            ("bytes=-99", Some(part(0, 10))),
            ("bytes=9-99999999999999999999999", Some(part(9, 1))),
            ("bytes=10-", Some(Wanted::Nothing)),
            ("bytes=99999999999999999999999-", Some(Wanted::Nothing)),
            ("bytes=-0", Some(Wanted::Nothing)),
            ("bytes=5-4", None),
            ("bytes=-", None),
            ("bytes=+1-2", None),
            ("bytes=a-b", None),
            ("bytes=0-1,3-4", None),
            ("items=0-1", None),
            ("", None),
        ] {
            assert_eq!(parse(text, 10), expected, "{text}");
        }
    }

    #[test]
    fn an_empty_file_has_no_range() {
        for text in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(parse(text, 0), Some(Wanted::Nothing), "{text}");
        }
    }
}
