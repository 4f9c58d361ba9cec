//! Regular expressions on paths, with the literal ones turned into string comparisons.
//!
//! Most rules are `^/literal$` or `^/literal`; comparing strings is several times faster than running an expression, and
//! one that begins with a literal need not run at all on most paths.

use proxy_config::{ExpressionError, regex};
use regex::Regex;

/// An unanchored regular expression on a path.
#[derive(Debug)]
pub(crate) enum Pattern {
    /// `^/literal$`
    Exact(Box<str>),
    /// `^/literal`
    Prefix(Box<str>),
    /// `^/literal` and more.
    Guarded(Box<str>, Regex),
    /// Anything else.
    Free(Regex),
}

impl Pattern {
    /// Compiles `text`.
    ///
    /// # Errors
    /// No regular expression in Go's syntax, or one that is too large.
    pub(crate) fn compile(text: &str) -> Result<Self, ExpressionError> {
        // Compiled in any case, so that what is wrong is said here.
        let regex = regex(text)?;
        // Not in `text`: in `^/a(?i)*` the `a` is no literal.
        let translated = regex.as_str().to_owned();
        let Some(anchored) = translated.strip_prefix('^').filter(|rest| !rest.contains('|')) else {
            return Ok(Self::Free(regex));
        };
        let (literal, rest) = literal_head(anchored);
        Ok(match rest {
            "" => Self::Prefix(literal.into()),
            "$" => Self::Exact(literal.into()),
            _ if literal.is_empty() => Self::Free(regex),
            _ => Self::Guarded(literal.into(), regex),
        })
    }

    /// Whether the expression is found in `path`.
    pub(crate) fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(literal) => path == &**literal,
            Self::Prefix(literal) => path.starts_with(&**literal),
            Self::Guarded(literal, regex) => path.starts_with(&**literal) && regex.is_match(path),
            Self::Free(regex) => regex.is_match(path),
        }
    }

    /// Whether it says where in the path it matches; one that does not is often wider than meant.
    pub(crate) fn is_anchored(&self) -> bool {
        !matches!(self, Self::Free(regex) if !regex.as_str().starts_with('^'))
    }
}

/// The literal that a translated expression begins with, and the rest of the expression.
fn literal_head(expression: &str) -> (String, &str) {
    let mut literal = String::new();
    let mut rest = expression;
    loop {
        let mut characters = rest.chars();
        let (found, tail) = match characters.next() {
            Some('\\') => match characters.next() {
                Some(escaped) if escaped.is_ascii_punctuation() => (escaped, characters.as_str()),
                _ => return (literal, rest),
            },
            Some(plain) if !"^$.|?*+()[]{}".contains(plain) => (plain, characters.as_str()),
            _ => return (literal, rest),
        };
        // A character with a quantifier is not part of the literal.
        if tail.starts_with(['?', '*', '+', '{']) {
            return (literal, rest);
        }
        literal.push(found);
        rest = tail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn literal_expressions_become_comparisons() {
        assert!(matches!(Pattern::compile("^/a/b$"), Ok(Pattern::Exact(l)) if &*l == "/a/b"));
        assert!(
            matches!(Pattern::compile(r"^/a\.b\-c"), Ok(Pattern::Prefix(l)) if &*l == "/a.b-c")
        );
        assert!(
            matches!(Pattern::compile("^/a/[0-9]+$"), Ok(Pattern::Guarded(l, _)) if &*l == "/a/")
        );
        assert!(matches!(Pattern::compile("^/ab?c"), Ok(Pattern::Guarded(l, _)) if &*l == "/a"));
        assert!(matches!(Pattern::compile("^/a|/b"), Ok(Pattern::Free(_))));
        assert!(matches!(Pattern::compile("/a"), Ok(Pattern::Free(_))));
        assert!(matches!(Pattern::compile("^(?i)/a"), Ok(Pattern::Guarded(l, _)) if &*l == "/"));
        assert!(
            matches!(Pattern::compile(r"\A/\Qa.b\E\z"), Ok(Pattern::Exact(l)) if &*l == "/a.b")
        );
        assert!(matches!(Pattern::compile("^*/a"), Ok(Pattern::Free(_))));
    }

    #[test]
    fn what_is_repeated_is_no_literal_whatever_stands_between() {
        for expression in ["^/a(?i)*", r"^/a\Q\E*", "^/a(?i){0}$"] {
            let pattern = Pattern::compile(expression).expect("an expression");
            assert!(pattern.matches("/"), "{expression}: {pattern:?}");
        }
    }

    #[test]
    fn an_expression_that_would_fill_the_memory_is_refused() {
        assert!(Pattern::compile(r"\pL{1000}").is_err());
        assert!(Pattern::compile("(").is_err());
    }

    #[test]
    fn anchoring_is_seen() {
        assert!(Pattern::compile("^/a").is_ok_and(|p| p.is_anchored()));
        assert!(Pattern::compile("^(a|b)").is_ok_and(|p| p.is_anchored()));
        assert!(Pattern::compile(r"(?i)\A(a|b)").is_ok_and(|p| p.is_anchored()));
        assert!(Pattern::compile("(?m)^/a").is_ok_and(|p| !p.is_anchored()));
        assert!(Pattern::compile("/a").is_ok_and(|p| !p.is_anchored()));
    }

    proptest! {
        #[test]
        fn a_pattern_matches_what_its_expression_matches(
            expression in r"\^?[/ab.]{0,4}(\\\.|\[ab\]|a\?|b\*|a\+|\(a\|b\)|\|/a|a\{2\})?[/ab]{0,2}\$?",
            path in "/[/ab.]{0,6}",
        ) {
            let Ok(plain) = Regex::new(&expression) else { return Ok(()) };
            let pattern = Pattern::compile(&expression).expect("it is one");
            prop_assert_eq!(pattern.matches(&path), plain.is_match(&path), "{} on {}", expression, path);
        }
    }
}
