//! The rules of oauth2-proxy for `--cookie-secret`: 16, 24 or 32 bytes, raw or in base64url.
//!
//! A wrong length says what was read and what it decodes to, because the usual mistakes are base64 of the wrong length
//! and hexadecimal. The secret itself is never shown.

use super::supported::Options;
use crate::secrets::{SecretText, read_file};
use proxy_config::{Problems, Secret};
use std::path::PathBuf;

/// The ring of one key that the options give; empty if there is none, which is noted.
pub(super) fn ring(options: &Options, problems: &mut Problems) -> Vec<Secret> {
    if !options.cookie_secret.is_empty() {
        if let Err(what) = check(&options.cookie_secret) {
            problems.add("cookie-secret", what);
        }
        return vec![Secret::Value(options.cookie_secret.clone())];
    }
    if options.cookie_secret_file.is_empty() {
        problems.add("cookie-secret", "missing setting: cookie-secret or cookie-secret-file");
        // A placeholder: the configuration is refused, and one message about it is enough.
        return vec![Secret::value("no secret was given at all")];
    }
    let path = PathBuf::from(&options.cookie_secret_file);
    match read_file(&path) {
        // Empty and unreadable files are noted where all secrets are read.
        Ok(text) if text.is_empty() => {}
        Ok(text) => {
            if let Err(what) = check(&text) {
                problems.add("cookie-secret-file", what);
            }
        }
        Err(_) => {}
    }
    vec![Secret::File(path)]
}

fn check(text: &SecretText) -> Result<(), String> {
    let fits = |length: usize| matches!(length, 16 | 24 | 32);
    let decoded = decoded_length(text);
    if fits(text.len()) || decoded.is_some_and(fits) {
        return Ok(());
    }
    let read = match decoded {
        Some(length) => {
            format!("has {} bytes, which decode from base64url to {length}", text.len())
        }
        None => format!("has {} bytes and is no base64url", text.len()),
    };
    Err(format!(
        "{read}: 16, 24 or 32 bytes are needed, raw or as base64url; `openssl rand -base64 32 | tr +/ -_` makes one"
    ))
}

/// Length of what `text` decodes to as base64url, padding stripped.
fn decoded_length(text: &str) -> Option<usize> {
    let text = text.trim_end_matches('=');
    base64_simd::URL_SAFE_NO_PAD
        .decode_to_vec(text)
        .ok()
        .map(|bytes| zeroize::Zeroizing::new(bytes).len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str) -> Result<(), String> {
        check(&SecretText::new(text.to_owned()))
    }

    #[test]
    fn sixteen_twentyfour_and_thirtytwo_bytes_fit_raw_or_in_base64url() {
        for text in [
            "!pearl#river%16*",
            "rY_k8tttLREBmpIRwl6sFw",
            "rY_k8tttLREBmpIRwl6sFw==",
            "abcdefghijklmnopqrstuvwx",
            "0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(verdict(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn a_wrong_length_says_what_was_decoded_and_shows_no_secret() {
        let message = verdict("abcdefghijklmnopqrst").unwrap_err();
        assert!(
            message.starts_with("has 20 bytes, which decode from base64url to 15"),
            "{message}"
        );
        assert!(!message.contains("abcdefghij"), "{message}");
        assert!(verdict("123!").unwrap_err().contains("has 4 bytes and is no base64url"));
    }
}
