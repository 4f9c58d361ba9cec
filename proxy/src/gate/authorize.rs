//! May they pass: exemptions, the verdict on the person, and what the query asks for on top.
//!
//! Synchronous and pure. Exemptions look at the normalised path and method and at addresses that may be believed, and at
//! nothing else.

use super::forwarded::{self, Trust};
use super::visit::Visit;
use crate::policy::{Person, Restrictions, Verdict};
use crate::routing::{NormalPath, Normalised};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, header};
use std::sync::Arc;

/// The outcome.
pub(super) enum Decision {
    /// Pass. Without a person only because of an exemption.
    Pass(Option<Arc<Person>>),
    /// Nobody is there who could pass.
    LogIn,
    /// This person may not.
    Deny(Arc<Person>),
    /// This person may in general, but not what the query restricts.
    Restrict,
}

/// Why a request needs no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exemption {
    /// A genuine CORS pre-flight.
    Preflight,
    /// A rule covers method and path.
    Rule,
    /// The client's address.
    TrustedAddress,
}

/// Whether a request for `path` needs no session.
pub(super) fn exemption(visit: &Visit<'_>, path: &NormalPath) -> Option<Exemption> {
    let method = &visit.head.method;
    exempt(visit, Some(method), |visit| visit.site.policy.skip_auth.cover(Some(method), path))
}

/// The same for the request that a proxy in front asks us about. Only a named proxy is believed, and only what it says:
/// without `X-Forwarded-Method` no rule for a method counts, without `X-Forwarded-Uri` no rule at all.
pub(super) fn told_exemption(visit: &Visit<'_>) -> Option<Exemption> {
    let headers = &visit.head.headers;
    let named = visit.trust == Trust::Everything;
    let method = forwarded::method(headers, visit.trust).filter(|_| named);
    exempt(visit, method.as_ref(), |visit| {
        // A raw `#` ends the path for some and not for others.
        let uri = forwarded::uri(headers, visit.trust).filter(|uri| named && !uri.contains('#'));
        let Some(target) = uri.and_then(|uri| PathAndQuery::try_from(uri).ok()) else {
            return false;
        };
        match NormalPath::of(&target) {
            Ok(Normalised::Path(path)) => visit.site.policy.skip_auth.cover(method.as_ref(), &path),
            Ok(Normalised::Moved(_)) | Err(_) => false,
        }
    })
}

fn exempt(
    visit: &Visit<'_>,
    method: Option<&Method>,
    rule: impl Fn(&Visit<'_>) -> bool,
) -> Option<Exemption> {
    let access = &visit.site.config.access;
    if access.skip_auth_preflight
        && method == Some(&Method::OPTIONS)
        && is_preflight(&visit.head.headers)
    {
        return Some(Exemption::Preflight);
    }
    if rule(visit) {
        return Some(Exemption::Rule);
    }
    if access.trusted_ips.is_empty() {
        return None;
    }
    let client = forwarded::client_ip(
        &visit.site.config.http,
        visit.peer,
        &visit.head.headers,
        visit.trust,
    )?;
    access
        .trusted_ips
        .iter()
        .any(|network| network.contains(&client))
        .then_some(Exemption::TrustedAddress)
}

/// What the Fetch standard says a pre-flight has, beside its method.
fn is_preflight(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Decides. A person who may not pass is nobody on an exempt request: no header speaks for them.
pub(super) fn decide(
    person: Option<Arc<Person>>,
    exemption: Option<Exemption>,
    restrictions: &Restrictions<'_>,
) -> Decision {
    let Some(person) = person else {
        return if exemption.is_some() { Decision::Pass(None) } else { Decision::LogIn };
    };
    match person.verdict {
        Verdict::Allowed if restrictions.allow(&person.identity) => Decision::Pass(Some(person)),
        Verdict::Allowed => Decision::Restrict,
        Verdict::EmailNotAllowed | Verdict::NotInGroup if exemption.is_some() => {
            Decision::Pass(None)
        }
        Verdict::EmailNotAllowed | Verdict::NotInGroup => Decision::Deny(person),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;

    fn person(verdict: Verdict) -> Arc<Person> {
        let identity = Identity {
            user: "u".to_owned(),
            groups: vec!["staff".to_owned()],
            ..Identity::default()
        };
        Arc::new(Person { identity, verdict, ..Person::nobody() })
    }

    fn name(decision: &Decision) -> &'static str {
        match decision {
            Decision::Pass(Some(_)) => "pass as somebody",
            Decision::Pass(None) => "pass as nobody",
            Decision::LogIn => "log in",
            Decision::Deny(_) => "deny",
            Decision::Restrict => "restrict",
        }
    }

    #[test]
    fn every_combination_has_its_decision() {
        let (exempt, rule) = (None, Some(Exemption::Rule));
        for (who, exemption, query, expected) in [
            (None, exempt, "", "log in"),
            (None, rule, "", "pass as nobody"),
            (None, rule, "allowed_groups=admins", "pass as nobody"),
            (Some(person(Verdict::Allowed)), exempt, "", "pass as somebody"),
            (Some(person(Verdict::Allowed)), rule, "", "pass as somebody"),
            (Some(person(Verdict::Allowed)), exempt, "allowed_groups=staff", "pass as somebody"),
            (Some(person(Verdict::Allowed)), exempt, "allowed_groups=admins", "restrict"),
            (Some(person(Verdict::Allowed)), rule, "allowed_groups=admins", "restrict"),
            (Some(person(Verdict::EmailNotAllowed)), exempt, "", "deny"),
            (Some(person(Verdict::NotInGroup)), exempt, "", "deny"),
            (Some(person(Verdict::NotInGroup)), rule, "", "pass as nobody"),
        ] {
            let decision = decide(who, exemption, &Restrictions::of(Some(query)));
            assert_eq!(name(&decision), expected, "{exemption:?} {query}");
        }
    }

    #[test]
    fn a_preflight_names_origin_and_method() {
        let mut headers = HeaderMap::new();
        assert!(!is_preflight(&headers));
        headers.insert(header::ORIGIN, "https://a.example".parse().expect("a value"));
        assert!(!is_preflight(&headers));
        headers.insert(header::ACCESS_CONTROL_REQUEST_METHOD, "POST".parse().expect("a value"));
        assert!(is_preflight(&headers));
    }
}
