//! The name of a request in the log: what a client or a proxy in front gave it, else a new one.
//!
//! A new one is unique and can not be guessed from another, and costs neither a system call nor memory: each thread counts, and
//! a keyed hash of the count is the id.

use crate::random;
use http::{HeaderMap, HeaderName, HeaderValue};
use siphasher::sip128::{Hasher128 as _, SipHasher24};
use std::cell::Cell;
use std::fmt;
use std::hash::Hasher as _;

/// A given one is not longer, so that it can not fill the log.
const MAX_GIVEN: usize = 128;
/// Where the digits of each byte stand.
const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

thread_local! {
    static KEY: SipHasher24 = SipHasher24::new_with_key(&random::array());
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// What a request is called.
#[derive(Clone, Debug)]
pub(crate) enum RequestId {
    /// By somebody else: printable.
    Given(HeaderValue),
    /// By us. What it looks like is worked out for whoever wants to see it.
    Own(Own),
}

impl RequestId {
    /// The id in `header`, if it can be printed, or a new one.
    pub(crate) fn of(headers: &HeaderMap, header: &HeaderName) -> Self {
        let usable = |value: &&HeaderValue| {
            (1..=MAX_GIVEN).contains(&value.len())
                && value.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        // Most requests have none, and fewer names than it takes to make a look-up worth while.
        let has_one = headers.keys().any(|name| name == header);
        let given = if has_one { headers.get(header).filter(usable) } else { None };
        given.map_or_else(|| Self::Own(Own::new()), |given| Self::Given(given.clone()))
    }

    /// Hands it over as text.
    pub(crate) fn show<T>(&self, to: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Self::Given(value) => to(value.as_bytes()),
            Self::Own(own) => to(&own.text()),
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show(|text| f.write_str(str::from_utf8(text).unwrap_or_default()))
    }
}

/// An id that was made here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own([u8; 16]);

impl Own {
    fn new() -> Self {
        let count = COUNT.get();
        COUNT.set(count.wrapping_add(1));
        Self(KEY.with(|key| {
            let mut hasher = *key;
            hasher.write_u64(count);
            hasher.finish128().as_bytes()
        }))
    }

    /// In the form of a random UUID (RFC 9562 section 5.4).
    pub(crate) fn text(self) -> [u8; 36] {
        let mut bytes = self.0;
        let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes;
        *version = *version & 0x0f | 0x40;
        *variant = *variant & 0x3f | 0x80;
        let digit = |value: u8| value + if value < 10 { b'0' } else { b'a' - 10 };
        let mut text = [b'-'; 36];
        for (byte, place) in bytes.into_iter().zip(PLACES) {
            if let Some(digits) = text.get_mut(place..place + 2) {
                digits.copy_from_slice(&[digit(byte >> 4), digit(byte & 0x0f)]);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn given(value: &'static str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", HeaderValue::from_static(value));
        RequestId::of(&headers, &HeaderName::from_static("x-request-id")).to_string()
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
        let ids: HashSet<[u8; 36]> = (0..10_000).map(|_| Own::new().text()).collect();
        assert_eq!(ids.len(), 10_000);
        let form = "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$";
        let form = regex::bytes::Regex::new(form).unwrap();
        assert!(ids.iter().all(|id| form.is_match(id)));
        let own = Own([
            0x0f, 0x1e, 0x2d, 0x3c, 0x4b, 0x5a, 0x69, 0x78, 0x87, 0x96, 0xa5, 0xb4, 0xc3, 0xd2,
            0xe1, 0xf0,
        ]);
        assert_eq!(RequestId::Own(own).to_string(), "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0");
    }
}
