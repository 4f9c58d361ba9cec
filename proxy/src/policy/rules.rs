//! Rules on method and path: what passes without a session, and what is an API.
//!
//! They look at the normalised path only, never at the query, and give nothing to a path with an unclear reading.

use crate::routing::NormalPath;
use crate::routing::pattern::Pattern;
use http::Method;
use proxy_config::{PathRule, Problems};

/// Requests that pass without a session.
#[derive(Debug, Default)]
pub(crate) struct PathRules(Vec<Rule>);

/// How rules cover a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cover {
    /// With any other method they would cover it too.
    AllMethods,
    /// Only because of its method.
    ThisMethod,
}

#[derive(Debug)]
struct Rule {
    method: Option<Method>,
    pattern: Pattern,
    negate: bool,
}

impl PathRules {
    /// Compiles `rules`; what is wrong is noted under `field`.
    pub(crate) fn compile(field: &str, rules: &[PathRule], problems: &mut Problems) -> Self {
        let mut compiled = Vec::with_capacity(rules.len());
        for (index, rule) in rules.iter().enumerate() {
            let PathRule { method, path, negate } = rule;
            let method = method.as_deref().map(|method| Method::from_bytes(method.as_bytes()));
            match (method.transpose(), Pattern::compile(path)) {
                (Ok(method), Ok(pattern)) => {
                    if !pattern.is_anchored() {
                        tracing::warn!(rule = %path, "a rule without ^ passes every request whose path contains it");
                    }
                    compiled.push(Rule { method, pattern, negate: *negate });
                }
                (method, pattern) => {
                    if method.is_err() {
                        problems.add(
                            format!("{field}[{index}].method"),
                            "not an HTTP method: write one such as GET",
                        );
                    }
                    if let Err(error) = pattern {
                        problems.add(
                            format!("{field}[{index}].path"),
                            format!("not a usable expression: {error}"),
                        );
                    }
                }
            }
        }
        Self(compiled)
    }

    /// Whether and how the request is covered, however its path is read. Without a method only rules for all methods count.
    pub(crate) fn cover(&self, method: Option<&Method>, path: &NormalPath) -> Option<Cover> {
        let mut found = Cover::AllMethods;
        let covered = !self.0.is_empty()
            && path.always(|text| match self.cover_of(method, text) {
                Some(Cover::AllMethods) => true,
                Some(Cover::ThisMethod) => {
                    found = Cover::ThisMethod;
                    true
                }
                None => false,
            });
        covered.then_some(found)
    }

    fn cover_of(&self, method: Option<&Method>, text: &str) -> Option<Cover> {
        let mut covering = self.0.iter().filter(|rule| rule.covers(method, text));
        let first = covering.next()?;
        let all = first.method.is_none() || covering.any(|rule| rule.method.is_none());
        Some(if all { Cover::AllMethods } else { Cover::ThisMethod })
    }
}

impl Rule {
    fn covers(&self, method: Option<&Method>, path: &str) -> bool {
        self.method.as_ref().is_none_or(|own| Some(own) == method)
            && self.pattern.matches(path) != self.negate
    }
}

/// Paths where a client without a session gets 401 instead of a login.
#[derive(Debug, Default)]
pub(crate) struct ApiRoutes(Vec<Pattern>);

impl ApiRoutes {
    /// Compiles `expressions`; what is wrong is noted under `field`.
    pub(crate) fn compile(field: &str, expressions: &[String], problems: &mut Problems) -> Self {
        let mut compiled = Vec::with_capacity(expressions.len());
        for (index, expression) in expressions.iter().enumerate() {
            match Pattern::compile(expression) {
                Ok(pattern) => compiled.push(pattern),
                Err(error) => problems
                    .add(format!("{field}[{index}]"), format!("not a usable expression: {error}")),
            }
        }
        Self(compiled)
    }

    /// Whether the path belongs to an API.
    pub(crate) fn contain(&self, path: &NormalPath) -> bool {
        self.0.iter().any(|pattern| pattern.matches(path.decoded()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::path::Normalised;
    use http::uri::PathAndQuery;

    fn rules(rules: &[(Option<&str>, &str, bool)]) -> PathRules {
        let rules: Vec<PathRule> = rules
            .iter()
            .map(|(method, path, negate)| PathRule {
                method: method.map(str::to_owned),
                path: (*path).to_owned(),
                negate: *negate,
            })
            .collect();
        let mut problems = Problems::default();
        let compiled = PathRules::compile("access.skipAuth", &rules, &mut problems);
        assert!(problems.0.is_empty(), "{problems}");
        compiled
    }

    fn covers(rules: &PathRules, method: &Method, path: &str) -> bool {
        let target = PathAndQuery::try_from(path).expect("a target");
        match NormalPath::of(&target) {
            Ok(Normalised::Path(path)) => rules.cover(Some(method), &path).is_some(),
            _ => false,
        }
    }

    #[test]
    fn methods_compare_exactly() {
        let rules = rules(&[(Some("GET"), "^/open", false)]);
        assert!(covers(&rules, &Method::GET, "/open"));
        assert!(!covers(&rules, &Method::HEAD, "/open"));
        assert!(!covers(&rules, &Method::from_bytes(b"get").expect("a token"), "/open"));
    }

    #[test]
    fn an_unknown_method_is_covered_by_rules_for_all_methods_only() {
        let Ok(Normalised::Path(path)) = NormalPath::of(&PathAndQuery::from_static("/open")) else {
            panic!("plain")
        };
        assert_eq!(rules(&[(Some("GET"), "^/open", false)]).cover(None, &path), None);
        let all = rules(&[(None, "^/open", false)]);
        assert_eq!(all.cover(None, &path), Some(Cover::AllMethods));
    }

    #[test]
    fn a_rule_for_all_methods_covers_more_than_one_for_this() {
        let cover = |list: &[(Option<&str>, &str, bool)]| {
            let target = PathAndQuery::from_static("/open/a%2Fb");
            let Ok(Normalised::Path(path)) = NormalPath::of(&target) else { panic!("normal") };
            rules(list).cover(Some(&Method::GET), &path)
        };
        let (get, all) = ((Some("GET"), "^/open", false), (None, "^/open", false));
        assert_eq!(cover(&[get]), Some(Cover::ThisMethod));
        assert_eq!(cover(&[get, all]), Some(Cover::AllMethods));
        assert_eq!(cover(&[all, get]), Some(Cover::AllMethods));
        let one_reading = (None, "^/open/a/b$", false);
        assert_eq!(cover(&[get, one_reading]), Some(Cover::ThisMethod));
        assert_eq!(cover(&[one_reading]), None);
    }

    #[test]
    fn the_query_is_not_looked_at() {
        let rules = rules(&[(None, "/open", false)]);
        assert!(!covers(&rules, &Method::GET, "/secret?/open"));
        assert!(covers(&rules, &Method::GET, "/open?x"));
    }

    #[test]
    fn a_negated_rule_covers_the_rest() {
        let rules = rules(&[(None, "^/admin", true)]);
        assert!(covers(&rules, &Method::GET, "/x"));
        for path in ["/admin", "/%61dmin", "/admin;x/y", "//admin", "/x/..%2fadmin", "/%2561dmin"] {
            assert!(!covers(&rules, &Method::GET, path), "{path}");
        }
    }

    #[test]
    fn known_ways_around_a_rule_do_not_work() {
        let rules = rules(&[(None, "^/public/", false), (None, "^/static/[^/]*$", false)]);
        for path in [
            "/public/../admin",
            "/public/%2e%2e/admin",
            "/public/..%2fadmin",
            "/public/..;/admin",
            "/public/..%5cadmin",
            "/public/%252e%252e/admin",
            "/public/%c0%ae%c0%ae/admin",
            "/public%2Fx",
            "/static/x%2Fadmin",
            "/static/x%252Fadmin",
            "/public/..%23/admin",
            "/public/..%3f/admin",
            "/public/..%20/admin",
            "/public/.%20./admin",
            "/public%23/x",
        ] {
            assert!(!covers(&rules, &Method::GET, path), "{path}");
        }
        assert!(covers(&rules, &Method::GET, "/public/a%20b"));
        assert!(covers(&rules, &Method::GET, "/public/a%2Fb"));
    }

    #[test]
    fn an_ending_behind_an_encoded_mark_opens_nothing() {
        let rules = rules(&[(None, r"^/api/.*\.js$", false), (Some("PUT"), r"^/admin$", true)]);
        assert!(covers(&rules, &Method::GET, "/api/app.js"));
        assert!(covers(&rules, &Method::PUT, "/x%23"));
        for (method, path) in [
            (Method::GET, "/api/secret%23.js"),
            (Method::GET, "/api/secret%3f.js"),
            (Method::GET, "/api/secret%2523.js"),
            (Method::PUT, "/admin%23"),
            (Method::PUT, "/admin%3Fx"),
        ] {
            assert!(!covers(&rules, &method, path), "{path}");
        }
    }

    #[test]
    fn classes_are_those_of_the_peer() {
        let of = |expression: &str, negate| rules(&[(None, expression, negate)]);
        for (expression, path) in [
            (r"^/api/\d+$", "/api/%D9%A3"),
            (r"^/u/\w+$", "/u/%C3%A9"),
            (r"^/n/[\w-]+$", "/n/%C3%A9"),
            (r"^/r/a\sb$", "/r/a%C2%A0b"),
            ("^/d/[[a]b]$", "/d/a"),
            ("^/t/[!-~&&[^x]]+$", "/t/a"),
            (r"^/k/\b{start}x", "/k/x"),
        ] {
            assert!(!covers(&of(expression, false), &Method::GET, path), "{expression}");
            assert!(covers(&of(expression, true), &Method::GET, path), "{expression}");
        }
        assert!(covers(&of(r"^/l/\w+$", true), &Method::GET, "/l/%C3%A9"));
    }

    #[test]
    fn bad_rules_are_named_together() {
        let mut problems = Problems::default();
        let bad = |method: Option<&str>, path: &str| PathRule {
            method: method.map(str::to_owned),
            path: path.to_owned(),
            negate: false,
        };
        PathRules::compile(
            "access.skipAuth",
            &[bad(Some("G T"), "("), bad(None, "[")],
            &mut problems,
        );
        ApiRoutes::compile("access.apiRoutes", &["(".to_owned()], &mut problems);
        let fields: Vec<_> = problems.0.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "access.skipAuth[0].method",
                "access.skipAuth[0].path",
                "access.skipAuth[1].path",
                "access.apiRoutes[0]"
            ]
        );
    }
}
