//! What is decided about any request, beside what was decided while exemptions and routes were looked up one after the other,
//! and what holds for rules that ask for more.

use super::*;
use crate::identity::Identity;
use crate::routing::{NormalPath, Normalised, Route};
use http::Method;
use http::uri::PathAndQuery;
use proptest::prelude::*;
use proxy_config::PathRule;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

/// The rules as they were: each opens something, in whatever order.
struct Model {
    skip_auth: Vec<PathRule>,
    skip_preflight: bool,
    trusted: IpAddr,
}

impl Model {
    /// Whether nobody needs to be there, and whether that holds with every other method.
    fn exempts(&self, asked: &Asked<'_>) -> Option<bool> {
        if self.skip_preflight && asked.preflight {
            return Some(false);
        }
        if let Some(covered) = asked.path.as_deref().and_then(|path| self.covers(asked, path)) {
            return Some(covered);
        }
        (asked.client == Some(self.trusted)).then_some(true)
    }

    fn covers(&self, asked: &Asked<'_>, path: &NormalPath) -> Option<bool> {
        let mut always = true;
        let covered = path.always(|text| {
            let covering = self.skip_auth.iter().filter(|rule| {
                let fits = proxy_config::regex(&rule.path).unwrap().is_match(text);
                let method = asked.method.as_ref().map(Method::as_str);
                fits != rule.negate && (rule.method.is_none() || rule.method.as_deref() == method)
            });
            let methods: Vec<_> = covering.map(|rule| &rule.method).collect();
            always &= methods.iter().any(|method| method.is_none());
            !methods.is_empty()
        });
        covered.then_some(always)
    }

    fn decides(
        &self,
        asked: &Asked<'_>,
        person: Option<&Arc<Person>>,
        restricted: &Restrictions<'_>,
    ) -> String {
        let as_nobody = |always: bool| format!("nobody passes, any method: {always}");
        let exempt = self.exempts(asked);
        match person {
            None => exempt.map_or_else(|| "log in".to_owned(), as_nobody),
            Some(person) if person.verdict != Verdict::Allowed => {
                exempt.map_or_else(|| "deny".to_owned(), as_nobody)
            }
            Some(person) if restricted.allow(&person.identity) => {
                "somebody passes, any method: true".to_owned()
            }
            Some(_) => "restrict".to_owned(),
        }
    }
}

fn told(decision: &Decision) -> String {
    match decision {
        Decision::Pass(Pass { person, other_method }) => {
            let who = if person.is_some() { "somebody" } else { "nobody" };
            format!("{who} passes, any method: {other_method}")
        }
        Decision::LogIn => "log in".to_owned(),
        Decision::Deny(_) => "deny".to_owned(),
        Decision::Restrict => "restrict".to_owned(),
    }
}

fn policy(model: &Model, paths: &[&str]) -> Policy {
    let text = include_str!("../../config/golden/smallest.json");
    let mut config: Config = serde_json::from_str(text).unwrap();
    config.access.skip_auth.clone_from(&model.skip_auth);
    config.access.skip_auth_preflight = model.skip_preflight;
    config.access.trusted_ips = vec![IpNet::from(model.trusted)];
    config.upstreams = paths
        .iter()
        .map(|path| proxy_config::Upstream {
            id: (*path).to_owned(),
            path: (*path).to_owned(),
            rewrite_target: None,
            reuse_after_body: true,
            target: proxy_config::Target::Static { code: 200 },
        })
        .collect();
    let mut problems = Problems::default();
    let policy = Policy::compile(&config, &mut problems);
    assert!(problems.0.is_empty(), "{problems}");
    policy
}

fn person(verdict: Verdict) -> Arc<Person> {
    let identity = Identity { groups: vec!["staff".to_owned()], ..Identity::default() };
    Arc::new(Person { identity, ..Person::judged(verdict) })
}

fn normal(path: &str) -> Option<NormalPath> {
    match NormalPath::of(&PathAndQuery::try_from(path).ok()?) {
        Ok(Normalised::Path(path)) => Some(path),
        _ => None,
    }
}

fn rules() -> impl Strategy<Value = Vec<PathRule>> {
    let method = prop::sample::select(vec![None, Some("GET"), Some("PUT"), Some("OPTIONS")]);
    let path = prop::sample::select(vec![
        "^/open",
        "^/open/",
        "^/open$",
        "^/",
        "/b",
        "^/open/[^/]*$",
        "^/a/.*\\.js$",
        "^/a",
        "^/x y$",
    ]);
    let rule = (method, path, any::<bool>()).prop_map(|(method, path, negate)| PathRule {
        method: method.map(str::to_owned),
        path: path.to_owned(),
        negate,
    });
    prop::collection::vec(rule, 0..5)
}

fn paths() -> impl Strategy<Value = Option<String>> {
    let piece = prop::sample::select(vec![
        "/", "open", "open/", "a", "a/", "b", "x y", "x%20y", "%2F", "%23", "%3f", ";v", ".js",
        "%25", "%5c", "%", "..", ".", "é", "%c3%a9",
    ]);
    let path =
        prop::collection::vec(piece, 0..6).prop_map(|pieces| format!("/{}", pieces.concat()));
    prop::option::weighted(0.95, path)
}

fn methods() -> impl Strategy<Value = Option<Method>> {
    let get = Method::from_bytes(b"get").unwrap();
    prop::sample::select(vec![
        None,
        Some(Method::GET),
        Some(Method::PUT),
        Some(Method::OPTIONS),
        Some(get),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn one_look_decides_what_two_decided(
        (skip_auth, path, method) in (rules(), paths(), methods()),
        (skip_preflight, preflight) in any::<(bool, bool)>(),
        client in prop::sample::select(vec![None, Some("192.0.2.1"), Some("192.0.2.2")]),
        verdict in prop::sample::select(vec![
            None, Some(Verdict::Allowed), Some(Verdict::NotInGroup), Some(Verdict::EmailNotAllowed),
        ]),
        query in prop::sample::select(vec!["", "allowed_groups=staff", "allowed_groups=ops"]),
    ) {
        let path = match path {
            None => None,
            // Refused before anybody decides.
            Some(path) => match normal(&path) { None => return Ok(()), path => path },
        };
        let model = Model { skip_auth, skip_preflight, trusted: IpAddr::from([192, 0, 2, 1]) };
        let policy = policy(&model, &["/", "/open/"]);
        let client = client.map(|client| client.parse().unwrap());
        let asked = Asked { method, path: path.as_ref().map(Cow::Borrowed), client, preflight };
        let (restrictions, person) = (Restrictions::of(Some(query)), verdict.map(person));
        let expected = model.decides(&asked, person.as_ref(), &restrictions);
        let place = policy.find(&asked);
        prop_assert_eq!(told(&decide(person, place.asks, &restrictions)), expected);
        prop_assert_eq!(place.asks.are_open(), model.exempts(&asked).is_some());
        let index = match place.route { Route::Upstream { index, .. } => Some(index), _ => None };
        let expected = path.map(|path| usize::from(path.decoded().starts_with("/open/")));
        prop_assert_eq!(index, expected);
    }
}

#[test]
fn a_refusal_is_for_good_once_the_rules_have_been_in_force_for_a_minute() {
    let compile = |domain: &str, group: &str| {
        let mut config = crate::store::tests::whole();
        config.access.email_domains = vec![domain.to_owned()];
        config.access.allowed_groups = vec![group.to_owned()];
        Policy::compile(&config, &mut Problems::default())
    };
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let first = compile("a.example", "staff");
    assert!(first.has_settled(at(0)), "what a start found is in force");
    let same = compile("a.example", "staff").after(&first, at(100));
    assert!(same.has_settled(at(100)), "a reload of something else changes nobody's right");
    for (domain, group) in [("b.example", "staff"), ("a.example", "ops")] {
        let changed = compile(domain, group).after(&first, at(100));
        assert!(!changed.has_settled(at(100)) && !changed.has_settled(at(159)));
        let again = compile(domain, group).after(&changed, at(150));
        assert!(!again.has_settled(at(159)) && again.has_settled(at(160)));
    }
}

#[test]
fn tokens_are_given_where_a_header_of_either_side_carries_one() {
    use proxy_config::{Claim, HeaderRule, HeaderValue};
    let gives = |request: Option<Claim>, response: Option<Claim>| {
        let rules = |claim: Option<Claim>| {
            let value = |claim| HeaderValue { claim, prefix: String::new() };
            let rule = |claim| HeaderRule { name: "X-It".to_owned(), values: vec![value(claim)] };
            claim.map(rule).into_iter().collect()
        };
        let mut config = crate::store::tests::whole();
        config.request_headers = rules(request);
        config.response_headers = rules(response);
        Policy::compile(&config, &mut Problems::default()).gives_tokens()
    };
    assert!(!gives(None, None) && !gives(Some(Claim::Email), Some(Claim::User)));
    assert!(gives(Some(Claim::AccessToken), None) && gives(None, Some(Claim::IdToken)));
}

#[test]
fn a_client_is_looked_for_where_some_are_trusted() {
    let model = |trusted: &[IpNet]| {
        let mut config = crate::store::tests::whole();
        config.access.trusted_ips = trusted.to_vec();
        Policy::compile(&config, &mut Problems::default()).asks_for_clients()
    };
    assert!(!model(&[]) && model(&[IpNet::from(IpAddr::from([192, 0, 2, 1]))]));
}
