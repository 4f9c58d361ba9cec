//! Percent-encoding as we read it: strictly, because what one reader leaves alone another decodes.

use percent_encoding::percent_decode_str;

/// Whether two hexadecimal digits follow each `%`.
pub(crate) fn is_whole(text: &str) -> bool {
    let hex = |rest: &str| {
        rest.as_bytes().get(..2).is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit))
    };
    text.split('%').skip(1).all(hex)
}

/// A name or value of a query or form, decoded; `None` if it is not well-formed or no UTF-8.
pub(crate) fn decoded(text: &str) -> Option<String> {
    if text.contains(';') || !is_whole(text) {
        return None;
    }
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}
