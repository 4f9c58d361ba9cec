//! The table of upstreams: which one answers a path.
//!
//! It knows upstreams by their place in the configuration, and nothing of how they are reached.

use super::path::NormalPath;
use super::rewrite::Rewrite;
use proxy_config::{ExpressionError, Problems, Upstream, regex};
use regex::Regex;
use std::cmp::Reverse;

/// All routes: rewrites by the length of their expression, then paths by their length, longest first.
#[derive(Debug, Default)]
pub(crate) struct RouteTable {
    rewrites: Vec<(Rewrite, usize)>,
    paths: Vec<(PathMatch, usize)>,
}

/// What the table says of a path.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Route<'t> {
    /// An upstream answers.
    Upstream {
        /// Place in the configuration.
        index: usize,
        /// Makes another path of it.
        rewrite: Option<&'t Rewrite>,
    },
    /// The path exists with a slash at its end.
    AddSlash,
    /// Nothing answers.
    Nothing,
}

#[derive(Debug)]
enum PathMatch {
    Exact(String),
    Below(String),
    /// A path with `{name}` or `{name:expression}` in it.
    Template {
        text: String,
        regex: Regex,
    },
}

impl RouteTable {
    /// Compiles the routes; what is wrong is noted under `upstreams`.
    pub(crate) fn compile(upstreams: &[Upstream], problems: &mut Problems) -> Self {
        let mut table = Self::default();
        for (index, upstream) in upstreams.iter().enumerate() {
            let field = format!("upstreams[{index}].path");
            let outcome = match &upstream.rewrite_target {
                Some(target) => Rewrite::compile(&upstream.path, target)
                    .map(|rewrite| table.rewrites.push((rewrite, index))),
                None if !upstream.path.starts_with('/') => {
                    problems.add(field, format!("{:?} must begin with a slash", upstream.path));
                    continue;
                }
                None => {
                    PathMatch::compile(&upstream.path).map(|path| table.paths.push((path, index)))
                }
            };
            if let Err(error) = outcome {
                problems.add(field, format!("not a usable expression: {error}"));
            }
        }
        table.rewrites.sort_by_key(|(rewrite, _)| Reverse(rewrite.weight()));
        table.paths.sort_by_key(|(path, _)| Reverse(path.weight()));
        table
    }

    /// Finds the upstream for `path`. A rewrite is found, and not yet carried out.
    pub(crate) fn find(&self, path: &NormalPath) -> Route<'_> {
        let mut rewrites = self.rewrites.iter();
        if let Some((rewrite, index)) = rewrites.find(|(rewrite, _)| rewrite.applies(path)) {
            return Route::Upstream { index: *index, rewrite: Some(rewrite) };
        }
        let decoded = path.decoded();
        if let Some(index) = self.index_of(decoded) {
            return Route::Upstream { index, rewrite: None };
        }
        let slashed = !decoded.ends_with('/') && self.index_of(&format!("{decoded}/")).is_some();
        if slashed { Route::AddSlash } else { Route::Nothing }
    }

    fn index_of(&self, path: &str) -> Option<usize> {
        self.paths.iter().find(|(entry, _)| entry.matches(path)).map(|(_, index)| *index)
    }
}

impl PathMatch {
    fn compile(path: &str) -> Result<Self, ExpressionError> {
        Ok(if path.contains('{') {
            Self::Template { text: path.to_owned(), regex: regex(&template(path)?)? }
        } else if path.ends_with('/') {
            Self::Below(path.to_owned())
        } else {
            Self::Exact(path.to_owned())
        })
    }

    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(own) => path == own,
            Self::Below(own) => path.starts_with(own.as_str()),
            Self::Template { regex, .. } => regex.is_match(path),
        }
    }

    fn weight(&self) -> usize {
        match self {
            Self::Exact(text) | Self::Below(text) | Self::Template { text, .. } => text.len(),
        }
    }
}

/// The expression for a path with placeholders: `{name}` is one segment, `{name:x}` whatever `x` matches.
fn template(path: &str) -> Result<String, ExpressionError> {
    let mut expression = String::from("^");
    let mut rest = path;
    while let Some((literal, tail)) = rest.split_once('{') {
        expression.push_str(&regex::escape(literal));
        let (placeholder, tail) = split_at_closing(tail);
        let inner = placeholder.split_once(':').map_or("[^/]+", |(_, inner)| inner);
        // By itself, or `a)|(b` would reach over its placeholder.
        regex(inner)?;
        expression.push_str("(?:");
        expression.push_str(inner);
        expression.push(')');
        rest = tail;
    }
    expression.push_str(&regex::escape(rest));
    if !path.ends_with('/') {
        expression.push('$');
    }
    Ok(expression)
}

/// Splits at the brace that closes a placeholder; braces inside it nest.
fn split_at_closing(text: &str) -> (&str, &str) {
    let mut depth = 0_u32;
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => {
                return (text.get(..at).unwrap_or(text), text.get(at + 1..).unwrap_or_default());
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::path::Normalised;
    use http::uri::PathAndQuery;
    use proxy_config::Target;

    fn table(paths: &[(&str, Option<&str>)]) -> RouteTable {
        let upstreams: Vec<Upstream> = paths
            .iter()
            .map(|(path, rewrite)| Upstream {
                id: (*path).to_owned(),
                path: (*path).to_owned(),
                rewrite_target: rewrite.map(str::to_owned),
                reuse_after_body: true,
                target: Target::Static { code: 200 },
            })
            .collect();
        let mut problems = Problems::default();
        let table = RouteTable::compile(&upstreams, &mut problems);
        assert!(problems.0.is_empty(), "{problems}");
        table
    }

    fn normal(path: &str) -> NormalPath {
        let target = PathAndQuery::try_from(path).expect("a target");
        let Ok(Normalised::Path(path)) = NormalPath::of(&target) else {
            panic!("{path} is not normal")
        };
        path
    }

    fn find<'t>(table: &'t RouteTable, path: &str) -> Route<'t> {
        table.find(&normal(path))
    }

    fn index(table: &RouteTable, path: &str) -> Option<usize> {
        match find(table, path) {
            Route::Upstream { index, .. } => Some(index),
            _ => None,
        }
    }

    #[test]
    fn the_longest_path_wins_and_exact_paths_match_only_themselves() {
        let table = table(&[("/", None), ("/api/", None), ("/api/v1/", None), ("/exact", None)]);
        for (path, expected) in [
            ("/", 0),
            ("/x", 0),
            ("/api", 0),
            ("/api/", 1),
            ("/api/v1", 1),
            ("/api/v1/x", 2),
            ("/exact", 3),
            ("/exact/", 0),
        ] {
            assert_eq!(index(&table, path), Some(expected), "{path}");
        }
    }

    #[test]
    fn paths_are_compared_decoded() {
        let table = table(&[("/b/", None), ("/ä", None)]);
        assert_eq!(index(&table, "/b%2Fx"), Some(0));
        assert_eq!(index(&table, "/%62/x"), Some(0));
        assert_eq!(index(&table, "/%c3%a4"), Some(1));
    }

    #[test]
    fn a_missing_slash_is_added_only_when_nothing_else_matches() {
        let slashed = table(&[("/b/", None)]);
        assert!(matches!(find(&slashed, "/b?x=1"), Route::AddSlash));
        assert!(matches!(find(&slashed, "/c"), Route::Nothing));
        assert_eq!(index(&table(&[("/", None), ("/b/", None)]), "/b"), Some(0));
        assert!(matches!(find(&table(&[]), "/"), Route::Nothing));
    }

    #[test]
    fn rewrites_come_first_longest_expression_first() {
        let table = table(&[
            ("/api/", None),
            ("^/api/(.*)$", Some("/a/$1")),
            ("^/api/deep/(.*)$", Some("/d/$1")),
        ]);
        let target = |path: &str| match find(&table, path) {
            Route::Upstream { index, rewrite } => {
                let rewritten = rewrite.map(|rewrite| rewrite.apply(&normal(path)));
                (index, rewritten.map(|target| target.expect("usable").as_str().to_owned()))
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(target("/api/x"), (1, Some("/a/x".to_owned())));
        assert_eq!(target("/api/deep/x"), (2, Some("/d/x".to_owned())));
    }

    #[test]
    fn placeholders_stand_for_segments() {
        let table = table(&[("/u/{name}", None), ("/v/{id:[0-9]{2}}/", None)]);
        assert_eq!(index(&table, "/u/mara"), Some(0));
        assert_eq!(index(&table, "/u/mara/x"), None);
        assert_eq!(index(&table, "/v/42/x"), Some(1));
        assert_eq!(index(&table, "/v/4/x"), None);
    }

    #[test]
    fn bad_paths_are_named() {
        let upstream = |path: &str, rewrite: Option<&str>| Upstream {
            id: "a".to_owned(),
            path: path.to_owned(),
            rewrite_target: rewrite.map(str::to_owned),
            reuse_after_body: true,
            target: Target::Static { code: 200 },
        };
        let mut problems = Problems::default();
        let upstreams =
            [upstream("api", None), upstream("(", Some("/")), upstream("/{a:b)|(c}", None)];
        RouteTable::compile(&upstreams, &mut problems);
        let fields: Vec<_> = problems.0.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["upstreams[0].path", "upstreams[1].path", "upstreams[2].path"]);
    }
}
