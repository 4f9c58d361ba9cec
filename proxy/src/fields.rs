//! The written form of what is sealed and kept, and may have to say more one day: numbered fields.
//!
//! A field is `number | length | bytes`, numbers and lengths as LEB128 without needless bytes, each field at most once and in
//! ascending order, so a value has one written form. A reader leaves out a number below [`NEEDED`] that it does not know and
//! refuses any other: what must not be overlooked gets a number from there. Whoever writes a value anew drops what it did not
//! know, so a new field must mean "not known" where it is absent. Reading is bounded by the input: everything is borrowed
//! from it before it is copied.

use zeroize::Zeroizing;

/// The first number that a reader has to know.
pub(crate) const NEEDED: u64 = 64;

/// The bytes are not in the form that [`Fields`] writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed fields")]
pub(crate) struct Malformed;

/// Fields being written. Wiped when dropped.
pub(crate) struct Fields(Zeroizing<Vec<u8>>);

impl Fields {
    /// Fields behind `head`, which is the caller's own. A vector that grows leaves copies of secrets behind, so `room` is at
    /// least what will be written; see [`room`].
    pub(crate) fn after(head: &[u8], room: usize) -> Self {
        let mut bytes = Zeroizing::new(Vec::with_capacity(head.len() + room));
        bytes.extend_from_slice(head);
        Self(bytes)
    }

    /// A field of bytes. Numbers come in ascending order.
    pub(crate) fn bytes(&mut self, number: u64, value: &[u8]) {
        push(&mut self.0, number);
        push(&mut self.0, value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// A field of text, if there is one.
    pub(crate) fn text(&mut self, number: u64, value: Option<&str>) {
        if let Some(text) = value {
            self.bytes(number, text.as_bytes());
        }
    }

    /// A field with a number.
    pub(crate) fn number(&mut self, number: u64, value: u64) {
        self.bytes(number, &varint(value));
    }

    /// A field with a number that may be negative, if there is one.
    pub(crate) fn signed(&mut self, number: u64, value: Option<i64>) {
        if let Some(value) = value {
            self.number(number, zigzag(value));
        }
    }

    /// A field with a list of texts, unless it is empty.
    pub(crate) fn list<'a>(&mut self, number: u64, items: impl Iterator<Item = &'a str> + Clone) {
        let length: usize =
            items.clone().map(|item| varint(item.len() as u64).len() + item.len()).sum();
        if length == 0 {
            return;
        }
        push(&mut self.0, number);
        push(&mut self.0, length as u64);
        for item in items {
            push(&mut self.0, item.len() as u64);
            self.0.extend_from_slice(item.as_bytes());
        }
    }

    /// All of it.
    pub(crate) fn finish(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

/// No less than a field with a value of `length` bytes takes.
pub(crate) const fn room(length: usize) -> usize {
    20 + length
}

/// The fields in `bytes`, as number and value.
///
/// # Errors
/// Each item may be one: cut short, not in order, or a length beyond the end.
pub(crate) fn read(bytes: &[u8]) -> impl Iterator<Item = Result<(u64, &[u8]), Malformed>> {
    let (mut rest, mut last) = (bytes, None);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut one = || {
            let number = take_number(&mut rest)?;
            if last.is_some_and(|last| number <= last) {
                return Err(Malformed);
            }
            last = Some(number);
            Ok((number, take_bytes(&mut rest)?))
        };
        let field = one();
        if field.is_err() {
            rest = &[];
        }
        Some(field)
    })
}

/// What to do with a field that the reader does not know.
///
/// # Errors
/// It must not be overlooked.
pub(crate) fn unknown(number: u64) -> Result<(), Malformed> {
    if number < NEEDED { Ok(()) } else { Err(Malformed) }
}

/// A value that is text.
///
/// # Errors
/// It is not.
pub(crate) fn text(value: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(value).map_err(|_| Malformed)
}

/// A value that is a number.
///
/// # Errors
/// It is not, or there is more.
pub(crate) fn number(mut value: &[u8]) -> Result<u64, Malformed> {
    let number = take_number(&mut value)?;
    if value.is_empty() { Ok(number) } else { Err(Malformed) }
}

/// A value that is a number and may be negative.
///
/// # Errors
/// As [`number`].
pub(crate) fn signed(value: &[u8]) -> Result<i64, Malformed> {
    number(value).map(|zigzag| (zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed()))
}

/// A value of a fixed length.
///
/// # Errors
/// It has another.
pub(crate) fn array<const N: usize>(value: &[u8]) -> Result<[u8; N], Malformed> {
    value.try_into().map_err(|_| Malformed)
}

/// A value that is a list of texts.
///
/// # Errors
/// It is not, or is empty, for which no field is written.
pub(crate) fn list(mut value: &[u8]) -> Result<Vec<String>, Malformed> {
    let mut items = Vec::new();
    while !value.is_empty() {
        items.push(text(take_bytes(&mut value)?)?.to_owned());
    }
    if items.is_empty() { Err(Malformed) } else { Ok(items) }
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let length = usize::try_from(take_number(rest)?).map_err(|_| Malformed)?;
    let (value, after) = rest.split_at_checked(length).ok_or(Malformed)?;
    *rest = after;
    Ok(value)
}

fn take_number(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first().ok_or(Malformed)?;
        *rest = after;
        let part = u64::from(byte & 0x7f);
        if shift == 63 && part > 1 || shift > 0 && byte == 0 {
            return Err(Malformed);
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Malformed)
}

fn push(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&varint(number));
}

/// LEB128. On the stack, because values are secrets.
fn varint(mut number: u64) -> Varint {
    let mut bytes = Varint { bytes: [0; 10], length: 0 };
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if let Some(slot) = bytes.bytes.get_mut(bytes.length) {
            *slot = if number == 0 { low } else { low | 0x80 };
        }
        bytes.length += 1;
        if number == 0 {
            return bytes;
        }
    }
}

struct Varint {
    bytes: [u8; 10],
    length: usize,
}

impl std::ops::Deref for Varint {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(bytes: &[u8]) -> Result<Vec<(u64, Vec<u8>)>, Malformed> {
        read(bytes).map(|field| field.map(|(number, value)| (number, value.to_vec()))).collect()
    }

    proptest! {
        #[test]
        fn numbers_come_back(value: i64, unsigned: u64) {
            let mut fields = Fields::after(&[], 100);
            fields.signed(1, Some(value));
            fields.number(200, unsigned);
            let found = all(&fields.finish()).unwrap();
            prop_assert_eq!(signed(&found[0].1), Ok(value));
            prop_assert_eq!((found[1].0, number(&found[1].1)), (200, Ok(unsigned)));
        }

        #[test]
        fn lists_come_back(items in proptest::collection::vec(".{0,200}", 1..20)) {
            let mut fields = Fields::after(&[9], 100);
            fields.list(3, items.iter().map(String::as_str));
            let bytes = fields.finish();
            prop_assert_eq!(list(&all(&bytes[1..]).unwrap()[0].1), Ok(items));
        }

        #[test]
        fn what_is_read_has_one_written_form(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(found) = all(&bytes) {
                let mut fields = Fields::after(&[], 100);
                for (number, value) in found {
                    fields.bytes(number, &value);
                }
                prop_assert_eq!(&*fields.finish(), &bytes);
            }
        }
    }

    #[test]
    fn fields_twice_out_of_order_or_cut_are_refused() {
        for bytes in [&[1, 0, 1, 0][..], &[2, 0, 1, 0], &[1, 5, 0], &[1], &[0x80, 0, 0], &[1, 0x81]]
        {
            assert_eq!(all(bytes), Err(Malformed), "{bytes:?}");
        }
        assert!(number(&[1, 1]).is_err() && number(&[]).is_err() && number(&[0xff; 10]).is_err());
        assert!(unknown(63).is_ok() && unknown(64).is_err());
    }
}
