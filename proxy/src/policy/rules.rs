//! Rules on method and path: what a request asks of its sender, and what is an API.
//!
//! They look at the normalised path only, never at the query. Where it can be read in several ways, nothing is opened that one of
//! them does not open.

use super::requirement::{Asks, Requirements};
use crate::routing::NormalPath;
use crate::routing::pattern::Pattern;
use http::Method;
use proxy_config::{PathRule, Problems};

/// Rules in their order: the first that fits a request says what it asks.
#[derive(Debug)]
pub(crate) struct PathRules {
    rules: Vec<Rule>,
    /// What a request asks that no rule fits.
    otherwise: Requirements,
}

#[derive(Debug)]
struct Rule {
    method: Option<Method>,
    pattern: Pattern,
    negate: bool,
    asks: Requirements,
}

impl PathRules {
    /// Compiles rules for what passes without a session; what is wrong is noted under `field`.
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
                    compiled.push(Rule {
                        method,
                        pattern,
                        negate: *negate,
                        asks: Requirements::NONE,
                    });
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
        Self { rules: compiled, otherwise: Requirements::SITE }
    }

    /// What a request asks. Of one whose path can be read in two ways it is what both ask, of one with too many all that any
    /// could ask; and so with a method that is not known.
    pub(crate) fn asks(&self, method: Option<&Method>, path: &NormalPath) -> Asks {
        if self.rules.is_empty() {
            return Asks::always(self.otherwise);
        }
        let Some(readings) = path.readings() else { return Asks::always(self.everything()) };
        let asks = readings
            .map(|text| self.asks_as(method, text))
            .fold(Asks::always(Requirements::NONE), Asks::and);
        if method.is_none() { Asks::always(asks.with_any_method) } else { asks }
    }

    /// All that any request could ask. The same if it is not known for which path it is.
    pub(crate) fn everything(&self) -> Requirements {
        self.rules.iter().fold(self.otherwise, |all, rule| all.and(rule.asks))
    }

    fn asks_as(&self, method: Option<&Method>, text: &str) -> Asks {
        let mut now = None;
        let mut with_any_method = Requirements::NONE;
        for rule in &self.rules {
            let ours = rule.method.as_ref().is_none_or(|own| Some(own) == method);
            let decides = rule.method.is_none() || ours && now.is_none();
            if !decides && with_any_method.include(rule.asks) || !rule.fits(text) {
                continue;
            }
            with_any_method = with_any_method.and(rule.asks);
            if ours && now.is_none() {
                now = Some(rule.asks);
            }
            if rule.method.is_none() {
                return Asks { now: now.unwrap_or(rule.asks), with_any_method };
            }
        }
        Asks {
            now: now.unwrap_or(self.otherwise),
            with_any_method: with_any_method.and(self.otherwise),
        }
    }
}

impl Rule {
    fn fits(&self, path: &str) -> bool {
        self.pattern.matches(path) != self.negate
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
    use proptest::prelude::*;

    const OPEN: Asks = Asks::always(Requirements::NONE);
    /// With this method.
    const OPEN_SO: Asks = Asks { with_any_method: Requirements::SITE, ..OPEN };
    const CLOSED: Asks = Asks::always(Requirements::SITE);

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
            Ok(Normalised::Path(path)) => rules.asks(Some(method), &path).are_open(),
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
        assert_eq!(rules(&[(Some("GET"), "^/open", false)]).asks(None, &path), CLOSED);
        let all = rules(&[(None, "^/open", false)]);
        assert_eq!(all.asks(None, &path), OPEN);
    }

    #[test]
    fn a_rule_for_all_methods_covers_more_than_one_for_this() {
        let cover = |list: &[(Option<&str>, &str, bool)]| {
            let target = PathAndQuery::from_static("/open/a%2Fb");
            let Ok(Normalised::Path(path)) = NormalPath::of(&target) else { panic!("normal") };
            rules(list).asks(Some(&Method::GET), &path)
        };
        let (get, all) = ((Some("GET"), "^/open", false), (None, "^/open", false));
        assert_eq!(cover(&[get]), OPEN_SO);
        assert_eq!(cover(&[get, all]), OPEN);
        assert_eq!(cover(&[all, get]), OPEN);
        let one_reading = (None, "^/open/a/b$", false);
        assert_eq!(cover(&[get, one_reading]), OPEN_SO);
        assert_eq!(cover(&[one_reading]), CLOSED);
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

    fn numbered(number: u32) -> Requirements {
        Requirements::numbered(number).expect("a number")
    }

    /// Rules that ask for what their number says, in the place of rules that open.
    fn asking(list: &[(Option<&str>, &str, u32)]) -> PathRules {
        let opening: Vec<_> =
            list.iter().map(|(method, path, _)| (*method, *path, false)).collect();
        let mut compiled = rules(&opening);
        for (rule, (_, _, number)) in compiled.rules.iter_mut().zip(list) {
            rule.asks = numbered(*number);
        }
        compiled
    }

    fn now(rules: &PathRules, method: Option<&Method>, path: &str) -> Requirements {
        let target = PathAndQuery::try_from(path).expect("a target");
        let Ok(Normalised::Path(path)) = NormalPath::of(&target) else { panic!("normal") };
        rules.asks(method, &path).now
    }

    #[test]
    fn of_a_path_with_two_readings_what_both_ask_is_asked() {
        let number = numbered;
        let rules = asking(&[(None, "^/a/b$", 1), (None, "^/a$", 2), (None, "^/open", 3)]);
        for (path, asked) in [
            ("/a/b", number(1)),
            ("/a", number(2)),
            ("/else", Requirements::SITE),
            // Of an encoded slash: the name with it, and the path that it makes for others.
            ("/a%2Fb", number(1).and(Requirements::SITE)),
            ("/a;x", Requirements::SITE.and(number(2))),
            ("/open%23/x", number(3)),
            // Nobody knows all readings of these.
            ("/open%5cx", rules.everything()),
            ("/open%2523", rules.everything()),
        ] {
            assert_eq!(now(&rules, Some(&Method::GET), path), asked, "{path}");
        }
        let all = number(1).and(number(2)).and(number(3)).and(Requirements::SITE);
        assert_eq!(rules.everything(), all);
    }

    #[test]
    fn the_first_rule_that_fits_decides_and_an_unknown_method_asks_what_any_does() {
        let number = numbered;
        let rules = asking(&[
            (Some("PUT"), "^/a", 1),
            (Some("GET"), "^/a/b", 2),
            (None, "^/a/b", 3),
            (Some("PUT"), "^/a/b", 4),
        ]);
        assert_eq!(now(&rules, Some(&Method::PUT), "/a/b"), number(1));
        assert_eq!(now(&rules, Some(&Method::GET), "/a/b"), number(2));
        assert_eq!(now(&rules, Some(&Method::POST), "/a/b"), number(3));
        assert_eq!(now(&rules, Some(&Method::GET), "/a"), Requirements::SITE);
        let any = number(1).and(number(2)).and(number(3));
        assert_eq!(now(&rules, None, "/a/b"), any, "the fourth fits nothing that is left");
        assert_eq!(now(&rules, None, "/a"), number(1).and(Requirements::SITE));
        assert_eq!(now(&rules, None, "/b"), Requirements::SITE);
    }

    proptest! {
        #[test]
        fn a_request_asks_what_the_first_rule_asks_that_fits_it_in_each_reading(
            list in prop::collection::vec(
                (
                    prop::sample::select(vec![None, Some("GET"), Some("PUT")]),
                    prop::sample::select(vec!["^/a", "^/a/b$", "^/a$", "/b", "^/c"]),
                    1_u32..6,
                ),
                1..6,
            ),
            path in prop::sample::select(vec![
                "/", "/a", "/a/b", "/a%2Fb", "/a;x", "/a/b%23c", "/c%3fb", "/a%5cb", "/a%2523", "/c/b.",
            ]),
        ) {
            let rules = asking(&list);
            let target = PathAndQuery::from_static(path);
            let Ok(Normalised::Path(path)) = NormalPath::of(&target) else { panic!("normal") };
            let first = |method: &Method, text: &str| {
                let fits = |(own, pattern, _): &&(Option<&str>, &str, u32)| {
                    own.is_none_or(|own| own == method.as_str())
                        && proxy_config::regex(pattern).unwrap().is_match(text)
                };
                let number = list.iter().find(fits).map(|(_, _, number)| *number);
                number.map_or(Requirements::SITE, numbered)
            };
            for method in [Method::GET, Method::PUT, Method::POST] {
                let expected = path.readings().map(|readings| {
                    readings.map(|text| first(&method, text)).fold(Requirements::NONE, Requirements::and)
                });
                let asks = rules.asks(Some(&method), &path);
                prop_assert_eq!(asks.now, expected.unwrap_or_else(|| rules.everything()));
                prop_assert!(asks.with_any_method.include(asks.now));
                prop_assert_eq!(rules.asks(None, &path), Asks::always(asks.with_any_method));
            }
        }
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
