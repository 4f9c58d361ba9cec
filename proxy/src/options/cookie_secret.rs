//! The rules of oauth2-proxy for `--cookie-secret`: 16, 24 or 32 bytes, raw or in base64url.
//!
//! A wrong length says what was read and what it decodes to, because the usual mistakes are base64 of the wrong length
//! and hexadecimal. The secret itself is never shown.

use super::supported::Options;
use crate::secrets::read_file_bytes;
use proxy_config::{Problems, Secret};
use std::path::PathBuf;

/// The ring of one key that the options give; empty if there is none, which is noted.
pub(super) fn ring(options: &Options, problems: &mut Problems) -> Vec<Secret> {
    if !options.cookie_secret.is_empty() {
        if let Err(what) = check(options.cookie_secret.as_bytes()) {
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
    match read_file_bytes(&path) {
        // Empty and unreadable files are noted where all secrets are read.
        Ok(bytes) if bytes.is_empty() => {}
        Ok(bytes) => {
            if let Err(what) = check(&bytes) {
                problems.add("cookie-secret-file", what);
            }
        }
        Err(_) => {}
    }
    vec![Secret::File(path)]
}

fn check(secret: &[u8]) -> Result<(), String> {
    let fits = |length: usize| matches!(length, 16 | 24 | 32);
    let decoded = decoded_length(secret);
    if fits(secret.len()) || decoded.is_some_and(fits) {
        return Ok(());
    }
    let read = match decoded {
        Some(length) => {
            format!("has {} bytes, which decode from base64url to {length}", secret.len())
        }
        None => format!("has {} bytes and is no base64url", secret.len()),
    };
    Err(format!(
        "{read}: 16, 24 or 32 bytes are needed, raw or as base64url; `openssl rand -base64 32 | tr +/ -_` makes one"
    ))
}

/// Length of what `secret` decodes to as base64url, padding stripped. As Go reads it: line breaks count for nothing, and
/// neither do the bits that the last letter has too many, which are not zero in a text that somebody made up.
fn decoded_length(secret: &[u8]) -> Option<usize> {
    let padding = secret.iter().rev().take_while(|byte| **byte == b'=').count();
    let text = secret.get(..secret.len() - padding).unwrap_or_default();
    let mut letters = 0;
    for byte in text.iter().filter(|byte| !matches!(byte, b'\r' | b'\n')) {
        if !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'_') {
            return None;
        }
        letters += 1;
    }
    (letters % 4 != 1).then_some(letters * 3 / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str) -> Result<(), String> {
        check(text.as_bytes())
    }

    #[test]
    fn sixteen_twentyfour_and_thirtytwo_bytes_fit_raw_or_in_base64url() {
        for text in [
            "!pearl#river%16*",
            "rY_k8tttLREBmpIRwl6sFw",
            "rY_k8tttLREBmpIRwl6sFw==",
            "abcdefghijklmnopqrstuvwx",
            "0123456789abcdef0123456789abcdef",
            // Letters that are no encoding's end, and a line break that came along with a variable.
            "zzzzzzzzzzzzzzzzzzzzzz",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxz",
            "pE7Xq0m3x9yQk1vF5sLr8tUb2wHc6dZa4nGj7iKoPeY\n",
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
        assert!(verdict(&"x".repeat(45)).unwrap_err().contains("has 45 bytes and is no base64url"));
        assert_eq!(check(&[0xff; 32]), Ok(()));
    }
}
