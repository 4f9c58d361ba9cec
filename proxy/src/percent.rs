//! Percent-encoding as we read it: strictly, because what one reader leaves alone another decodes.

use percent_encoding::percent_decode_str;
use proxy_config::escapes_are_whole;

/// A name or value of a query or form, decoded; `None` if it is not well-formed or no UTF-8.
pub(crate) fn decoded(text: &str) -> Option<String> {
    if text.contains(';') || !escapes_are_whole(text) {
        return None;
    }
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}
