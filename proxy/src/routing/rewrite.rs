//! Rewriting of a path and query for an upstream (`reference/upstreams.md` section 4).
//!
//! The result is normalised like any path that a client sends, so that no rewrite makes one that readers disagree on.

use super::path::{NormalPath, Normalised};
use http::uri::PathAndQuery;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use proxy_config::{ExpressionError, regex};
use regex::Regex;
use std::collections::BTreeMap;
use url::form_urlencoded;

/// What is escaped in a path: everything but unreserved characters and those with a plain meaning there.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'!')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'\'')
    .add(b'(')
    .add(b')')
    .add(b'*')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A regular expression and what its matches become.
#[derive(Debug)]
pub(crate) struct Rewrite {
    pattern: Regex,
    weight: usize,
    target: String,
}

/// The rewritten text is no usable path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rewrite made a path that can not be used: check the rewrite target of this upstream")]
pub(crate) struct Unusable;

impl Rewrite {
    /// Compiles the expression; `$1` and `${name}` in `target` stand for what it caught.
    ///
    /// # Errors
    /// No regular expression, or one that is too large.
    pub(crate) fn compile(expression: &str, target: &str) -> Result<Self, ExpressionError> {
        let (pattern, weight) = (regex(expression)?, expression.len());
        Ok(Self { pattern, weight, target: target.to_owned() })
    }

    /// The length of the expression's text: longer ones are tried first.
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    /// Whether it applies to the decoded path.
    pub(crate) fn applies(&self, path: &NormalPath) -> bool {
        self.pattern.is_match(path.decoded())
    }

    /// The new path and query. Values of the target's query are added to those of the request; names come out sorted.
    ///
    /// # Errors
    /// The result does not begin with a slash, or is not the normal form of a path.
    pub(crate) fn apply(&self, path: &NormalPath) -> Result<PathAndQuery, Unusable> {
        let replaced = self.pattern.replace_all(path.decoded(), self.target.as_str());
        let (new_path, added) = replaced.split_once('?').unwrap_or((&replaced, ""));
        let mut text = utf8_percent_encode(new_path, PATH).to_string();
        let query = merged(path.query().unwrap_or_default(), added);
        if !query.is_empty() {
            text.push('?');
            text.push_str(&query);
        }
        let target = PathAndQuery::try_from(text).map_err(|_| Unusable)?;
        match NormalPath::of(&target) {
            Ok(Normalised::Path(path)) => Ok(path.rewritten().unwrap_or(target)),
            Ok(Normalised::Moved(_)) | Err(_) => Err(Unusable),
        }
    }
}

fn merged(own: &str, added: &str) -> String {
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for query in [own, added] {
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            values.entry(name.into_owned()).or_default().push(value.into_owned());
        }
    }
    let mut merged = form_urlencoded::Serializer::new(String::new());
    for (name, values) in &values {
        for value in values {
            merged.append_pair(name, value);
        }
    }
    merged.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(request: &str) -> NormalPath {
        let request = PathAndQuery::try_from(request).expect("a target");
        let Ok(Normalised::Path(path)) = NormalPath::of(&request) else { panic!("not normal") };
        path
    }

    fn compiled(expression: &str, target: &str) -> Rewrite {
        Rewrite::compile(expression, target).expect("an expression")
    }

    fn rewritten(expression: &str, target: &str, request: &str) -> Result<String, Unusable> {
        let rewritten = compiled(expression, target).apply(&normal(request))?;
        Ok(rewritten.as_str().to_owned())
    }

    #[test]
    fn what_was_caught_is_put_in() {
        assert_eq!(rewritten("^/api/(.*)$", "/v2/$1", "/api/x/y"), Ok("/v2/x/y".to_owned()));
        assert_eq!(
            rewritten("^/(?P<user>[^/]+)/(.*)", "/u/${user}?p=$2", "/mara/a%20b"),
            Ok("/u/mara?p=a+b".to_owned())
        );
        assert_eq!(rewritten("^/a/(.*)", "/$1x", "/a/b"), Ok("/".to_owned()));
    }

    #[test]
    fn queries_are_joined_and_sorted() {
        assert_eq!(
            rewritten("^/a", "/b?x=2&a=0", "/a?x=1&c=%20"),
            Ok("/b?a=0&c=+&x=1&x=2".to_owned())
        );
        assert_eq!(rewritten("^/a", "/b", "/a?z=1&b=2"), Ok("/b?b=2&z=1".to_owned()));
    }

    #[test]
    fn the_path_is_escaped_again() {
        assert_eq!(
            rewritten("^/a/(.*)", "/b/$1", "/a/x%20y%c3%a4%25"),
            Ok("/b/x%20y%C3%A4%25".to_owned())
        );
    }

    #[test]
    fn a_rewrite_makes_no_ambiguous_path() {
        for target in ["/b/../$1", "/b//$1", "//evil.example/$1", "b/$1", "/..;/$1"] {
            assert_eq!(rewritten("^/a/(.*)", target, "/a/x"), Err(Unusable), "{target}");
        }
    }
}
