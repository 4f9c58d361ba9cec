//! Regular expressions in the syntax of Go's `regexp`, which is what oauth2-proxy takes.
//!
//! The proxy matches with the `regex` crate. Both engines are linear, but they read the same text differently: `\w` is
//! ASCII in Go, `[a&&b]` has three members there and none here. A rule that means more here than where it was written
//! opens paths, so a text is never given to the engine as it is.

mod class;
mod cursor;
mod go;

use regex::{Regex, RegexBuilder};

/// A compiled expression is refused beyond this size in bytes, so that a rule can not take the process's memory.
const SIZE_LIMIT: usize = 1 << 20;

/// Why an expression can not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// It is none in Go's syntax.
    #[error("`{construct}` {why}")]
    Syntax {
        /// The part that is wrong.
        construct: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It is too large.
    #[error("{0}")]
    Size(String),
}

/// Compiles an expression that is written in Go's syntax; it matches what it matches there.
///
/// [`Regex::as_str`] of the result is the translation, which has no flags outside of groups: what follows a leading `^`
/// there is anchored at the beginning of the text, and a literal stands for itself.
///
/// # Errors
/// What Go does not take, and what would be too large.
pub fn regex(text: &str) -> Result<Regex, ExpressionError> {
    RegexBuilder::new(&go::translated(text)?)
        .size_limit(SIZE_LIMIT)
        .dfa_size_limit(SIZE_LIMIT)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => ExpressionError::Size(
                "it takes more than 1 MiB when it is compiled: repeat less often, or smaller classes".to_owned(),
            ),
            other => {
                // The last of several lines says what is wrong with the translation: it nests too deeply.
                let text = other.to_string();
                let last = text.lines().last().unwrap_or_default();
                ExpressionError::Size(last.trim_start_matches("error: ").to_owned())
            }
        })
}

#[cfg(test)]
mod tests;
