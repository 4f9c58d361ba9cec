//! What a query and a form may say, for [`crate::fuzzing`].

use super::form::decoded;

/// A parameter is read as every form decoder reads it, or the form is refused.
pub(crate) fn form(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for value in text.split(['&', '=']) {
        if let Ok(read) = decoded(value) {
            let oracle = url::form_urlencoded::parse(value.as_bytes()).next();
            let oracle = oracle.map(|(name, _)| name.into_owned()).unwrap_or_default();
            assert_eq!(read, oracle, "{value}");
        }
    }
}
