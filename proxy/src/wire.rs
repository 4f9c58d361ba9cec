//! What both readers of HTTP/1 agree on (RFC 9112): the one of requests, in `server`, and the one of answers, in `upstream`.
//! Functions of bytes and nothing else. Where a text can be read in two ways there is no value.

use memchr::{memchr, memmem};

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

/// Whether a reader that leaves bodies unread could take this one for its next request, or a part of it that others have left
/// over. `body`: its first bytes, `whole`: there are no more.
///
/// Generous, because a text that is taken for a request costs a connection and nothing else: methods have any letters, and
/// what separates words is what the most lenient readers split at.
pub(crate) fn may_be_request(body: &[u8], whole: bool) -> bool {
    /// What is looked through for a request line in the middle.
    const MOST: usize = 16 * 1024;
    if first_blank(body).is_none() {
        return !whole && body.iter().all(|byte| is_token(*byte));
    }
    begins_request(body).unwrap_or(!whole)
        || memmem::find_iter(body.get(..MOST).unwrap_or(body), b"HTTP/")
            .any(|at| at.checked_sub(1).and_then(|at| body.get(at)).copied().is_some_and(is_blank))
}

/// Whether the first line has a word that could be a method, and another. None: more bytes decide.
fn begins_request(body: &[u8]) -> Option<bool> {
    let start = body.iter().position(|byte| !is_blank(*byte))?;
    let line = body.get(start..)?;
    let end = line.iter().position(|byte| !is_token(*byte))?;
    match line.get(end..)? {
        [b'\n', ..] | [b'\r', b'\n', ..] => Some(false),
        [] | [b'\r'] => None,
        [byte, ..] => Some(end > 0 && is_blank(*byte)),
    }
}

/// Where the first blank is. A long body may be one word, so pieces that can have none are passed over without a branch for each
/// byte: printed ASCII, beside which all else is less as a number with a sign.
fn first_blank(bytes: &[u8]) -> Option<usize> {
    const PIECE: usize = 64;
    let (pieces, _) = bytes.as_chunks::<PIECE>();
    let printed = |piece: &[u8; PIECE]| {
        piece.iter().fold(true, |all, byte| all & (byte.cast_signed() > 0x20))
    };
    let start = pieces.iter().take_while(|piece| printed(piece)).count() * PIECE;
    let found = bytes.get(start..)?.iter().position(|byte| is_blank(*byte))?;
    Some(start + found)
}

/// What any reader is known to split a line at, or to skip before it.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | 0x1c..=b' ' | 0x85 | 0xa0)
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

#[cfg(test)]
mod tests;
