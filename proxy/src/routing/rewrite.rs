//! Rewriting of a path and query for an upstream (oauth2-proxy's `rewriteTarget`; `docs/differences.md`, "What
//! goes upstream, and comes back").
//!
//! The result is normalised like any path that a client sends, so that no rewrite makes one that readers disagree on.

use super::path::{NormalPath, Normalised};
use http::uri::PathAndQuery;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use proxy_config::{ExpressionError, regex};
use regex::Regex;
use url::form_urlencoded;

/// What is escaped in a path: everything but unreserved characters and those with a plain meaning there.
const PATH: &AsciiSet = &ESCAPED.add(b'%');
/// The same in a text whose escapes are ready.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'!')
    .add(b'"')
    .add(b'#')
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

/// What can not stand in a query at all.
const QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');

/// A regular expression and what its matches become.
#[derive(Debug)]
pub(crate) struct Rewrite {
    pattern: Regex,
    weight: usize,
    target: String,
    /// The same for a text with escapes: a percent sign in its path stands for itself.
    escaped_target: String,
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
        let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
        let escaped_target = format!("{}{query}", path.replace('%', "%25"));
        Ok(Self { pattern, weight, target: target.to_owned(), escaped_target })
    }

    /// The length of the expression's text: longer ones are tried first.
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    /// Whether it applies to the decoded path.
    pub(crate) fn applies(&self, path: &NormalPath) -> bool {
        self.pattern.is_match(path.decoded())
    }

    /// The new path and query: the target's query is added to that of the request. What was caught is put in with its escapes,
    /// so that nobody reads a `%2F` of the client as a slash; only an expression that does not match the path so is applied to
    /// the path without escapes.
    ///
    /// # Errors
    /// The result does not begin with a slash, or is not the normal form of a path.
    pub(crate) fn apply(&self, path: &NormalPath) -> Result<PathAndQuery, Unusable> {
        let escaped = self.pattern.is_match(path.text());
        let (text, target, to_escape) = if escaped {
            (path.text(), &self.escaped_target, ESCAPED)
        } else {
            (path.decoded(), &self.target, PATH)
        };
        let replaced = self.pattern.replace_all(text, target.as_str());
        let (new_path, added) = replaced.split_once('?').unwrap_or((&replaced, ""));
        let mut text = utf8_percent_encode(new_path, to_escape).to_string();
        let own = path.query().filter(|query| !query.is_empty());
        let added = Some(if escaped { added.to_owned() } else { form(added) });
        let mut separator = '?';
        for query in own.into_iter().chain(added.as_deref().filter(|added| !added.is_empty())) {
            text.push(separator);
            text.extend(utf8_percent_encode(query, QUERY));
            separator = '&';
        }
        let target = PathAndQuery::try_from(text).map_err(|_| Unusable)?;
        match NormalPath::of(&target) {
            Ok(Normalised::Path(path)) => Ok(path.rewritten().unwrap_or(target)),
            Ok(Normalised::Moved(_)) | Err(_) => Err(Unusable),
        }
    }
}

/// A query in which what was caught stands without escapes, with them.
fn form(query: &str) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form_urlencoded::parse(query.as_bytes()))
        .finish()
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
            Ok("/u/mara?p=a%20b".to_owned())
        );
        assert_eq!(rewritten("^/a/(.*)", "/$1x", "/a/b"), Ok("/".to_owned()));
    }

    #[test]
    fn the_query_stays_as_it_came_and_the_targets_is_added() {
        for (target, request, result) in [
            ("/b?x=2&a=0", "/a?x=1&c=%20", "/b?x=1&c=%20&x=2&a=0"),
            ("/b", "/a?z&y=&b=%2f+", "/b?z&y=&b=%2f+"),
            ("/b?x=2", "/a", "/b?x=2"),
            ("/b?x=\"a b\"", "/a?", "/b?x=%22a%20b%22"),
        ] {
            assert_eq!(rewritten("^/a$", target, request), Ok(result.to_owned()), "{target}");
        }
    }

    #[test]
    fn escapes_stay_as_they_came() {
        for (expression, target, request, result) in [
            ("^/app/(.*)$", "/$1", "/app/data%3Aabc%2Fdef?z&y=", "/data%3Aabc%2Fdef?z&y="),
            ("^/app/([^/]+)/(.*)$", "/$2/$1", "/app/a%2Fb/c", "/c/a%2Fb"),
            ("^/app/(.*)$", "/?to=$1", "/app/a%3Fb%26c%3Dd", "/?to=a%3Fb%26c%3Dd"),
            ("^/app/(.*)$", "/50%/$1", "/app/a%20b", "/50%25/a%20b"),
            ("^/a b/(.*)$", "/b/$1", "/a%20b/c%2Fd", "/b/c/d"),
            ("^/a b/(.*)$", "/b?x=$1", "/a%20b/c%20d", "/b?x=c+d"),
        ] {
            let found = rewritten(expression, target, request);
            assert_eq!(found, Ok(result.to_owned()), "{expression} {request}");
        }
    }

    #[test]
    fn the_path_is_escaped_again() {
        assert_eq!(
            rewritten("^/a/(.*)", "/b/$1", "/a/x%20y%c3%a4%25"),
            Ok("/b/x%20y%c3%a4%25".to_owned())
        );
    }

    #[test]
    fn a_rewrite_makes_no_ambiguous_path() {
        for target in ["/b/../$1", "/b//$1", "//evil.example/$1", "b/$1", "/..;/$1"] {
            assert_eq!(rewritten("^/a/(.*)", target, "/a/x"), Err(Unusable), "{target}");
        }
    }
}
