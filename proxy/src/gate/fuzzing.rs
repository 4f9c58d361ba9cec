//! What a query and a form may say, for [`crate::fuzzing`].

use super::form::decoded;

/// A parameter is read as every form decoder reads it, or the form is refused.
pub(crate) fn form(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for pair in text.split('&') {
        let (_, value) = pair.split_once('=').unwrap_or((pair, ""));
        if let Ok(read) = decoded(value) {
            let oracle = url::form_urlencoded::parse(value.as_bytes());
            let oracle: String = oracle.map(|(name, rest)| format!("{name}={rest}")).collect();
            assert!(
                value.contains(['=', '&'])
                    || oracle.trim_end_matches('=') == read.trim_end_matches('='),
                "{value}"
            );
        }
    }
}
