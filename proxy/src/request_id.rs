//! The name of a request in the log: what a client or a proxy in front gave it, else a new one.
//!
//! A new one is unique and can not be guessed from another, and costs no system call: each thread counts, and a keyed hash of
//! the count is the id.

use crate::random;
use http::{HeaderMap, HeaderName, HeaderValue};
use siphasher::sip128::{Hasher128 as _, SipHasher24};
use std::cell::Cell;
use std::hash::Hasher as _;

/// A given one is not longer, so that it can not fill the log.
const MAX_GIVEN: usize = 128;
const HEX: &[u8; 16] = b"0123456789abcdef";

thread_local! {
    static KEY: SipHasher24 = SipHasher24::new_with_key(&random::array());
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// The id in `header`, if it can be printed, or a new one.
pub(super) fn of(headers: &HeaderMap, header: &HeaderName) -> HeaderValue {
    let usable = |value: &&HeaderValue| {
        (1..=MAX_GIVEN).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    headers.get(header).filter(usable).cloned().unwrap_or_else(new)
}

/// In the form of a random UUID (RFC 9562 section 5.4).
fn new() -> HeaderValue {
    let count = COUNT.get();
    COUNT.set(count.wrapping_add(1));
    let mut bytes = KEY.with(|key| {
        let mut hasher = *key;
        hasher.write_u64(count);
        hasher.finish128().as_bytes()
    });
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes;
    *version = *version & 0x0f | 0x40;
    *variant = *variant & 0x3f | 0x80;
    let mut text = Vec::with_capacity(36);
    for (index, byte) in bytes.into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push(b'-');
        }
        text.extend(
            [byte >> 4, byte & 0x0f]
                .map(|digit| HEX.get(usize::from(digit)).copied().unwrap_or(b'0')),
        );
    }
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text))
        .unwrap_or(HeaderValue::from_static("-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn given(value: &'static str) -> HeaderValue {
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", HeaderValue::from_static(value));
        of(&headers, &HeaderName::from_static("x-request-id"))
    }

    #[test]
    fn a_printable_id_is_kept_and_any_other_is_replaced() {
        assert_eq!(given("abc-1"), "abc-1");
        for value in ["", "a b", "a\tb"] {
            assert_eq!(given(value).len(), 36, "{value:?}");
        }
        let long: &'static str = Box::leak("x".repeat(129).into_boxed_str());
        assert_eq!(given(long).len(), 36);
    }

    #[test]
    fn new_ids_are_uuids_and_all_different() {
        let ids: HashSet<Vec<u8>> = (0..10_000).map(|_| new().as_bytes().to_vec()).collect();
        assert_eq!(ids.len(), 10_000);
        for id in ids.iter().take(100) {
            let text = std::str::from_utf8(id).expect("text");
            let parts: Vec<usize> = text.split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12], "{text}");
            assert!(
                text.get(14..15) == Some("4")
                    && text.get(19..20).is_some_and(|v| "89ab".contains(v)),
                "{text}"
            );
        }
    }
}
