//! What both readers of HTTP/1 agree on (RFC 9112): the one of requests, in `server`, and the one of answers, in `upstream`.
//! Functions of bytes and nothing else. Where a text can be read in two ways there is no value.

use memchr::memchr;

/// Longest line with the size of a chunk, extensions included.
pub(crate) const CHUNK_LINE: usize = 4096;
/// All trailers together.
pub(crate) const TRAILERS: usize = 16 * 1024;
/// Most fields of a trailer.
pub(crate) const TRAILER_LINES: usize = 100;

/// A number of decimal digits and nothing else.
pub(crate) fn plain_number(text: &[u8]) -> Option<u64> {
    let plain = !text.is_empty() && text.len() <= 19 && text.iter().all(u8::is_ascii_digit);
    plain.then(|| text.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// Hexadecimal digits, then nothing or an extension after `;`. Space between them is what smugglers send.
pub(crate) fn chunk_size(text: &[u8]) -> Option<u64> {
    let end = memchr(b';', text).unwrap_or(text.len());
    let (digits, extension) = text.split_at_checked(end)?;
    if digits.is_empty()
        || digits.len() > 15
        || extension.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t')
    {
        return None;
    }
    digits
        .iter()
        .try_fold(0, |sum, digit| Some(sum * 16 + u64::from(char::from(*digit).to_digit(16)?)))
}

/// A character of a method or of a header's name (RFC 9110 section 5.6.2).
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Where the first empty line ends. Bytes before `scanned` are known not to have it.
pub(crate) fn end_of_block(bytes: &[u8], scanned: &mut usize) -> Option<usize> {
    while let Some(found) = memchr(b'\n', bytes.get(*scanned..)?) {
        let next = *scanned + found + 1;
        match bytes.get(next..)? {
            [b'\n', ..] => return Some(next + 1),
            [b'\r', b'\n', ..] => return Some(next + 2),
            // The bytes that decide are still to come.
            [] | [b'\r'] => {
                *scanned = next - 1;
                return None;
            }
            _ => *scanned = next,
        }
    }
    *scanned = bytes.len();
    None
}
