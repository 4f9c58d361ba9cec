//! See [`crate::oidc::fuzzing`].

use super::answer;
use crate::oidc::http::Answer;
use zeroize::Zeroizing;

/// Tokens or an error that repeats no control character; what is no success gives no tokens.
pub(in crate::oidc) fn answer(bytes: &[u8]) {
    let Some((kind, body)) = bytes.split_first() else { return };
    let media_type =
        if *kind == b'f' { "application/x-www-form-urlencoded" } else { "application/json" };
    for status in [200, 400] {
        let body = Zeroizing::new(body.to_vec());
        match answer::read(&Answer { status, media_type: media_type.to_owned(), body }) {
            Ok(tokens) => assert!(status == 200 && !tokens.access.as_str().is_empty()),
            Err(error) => assert!(!error.to_string().contains(char::is_control), "{error:?}"),
        }
    }
}
