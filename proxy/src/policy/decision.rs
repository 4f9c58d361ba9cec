//! May they pass: exemptions, the verdict on the person, and what the query asks for on top.
//!
//! Exemptions look at what was [`Asked`], and at nothing else: what nobody believable told is not in it, and opens nothing.

use super::Policy;
use super::person::{Person, Verdict};
use super::restrictions::Restrictions;
use super::rules::Cover;
use crate::routing::NormalPath;
use http::Method;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

/// One request, as far as rules look at it, in the words of whoever may be believed. Its host and its query follow with the
/// first rule that looks at them.
pub(crate) struct Asked<'a> {
    /// `None`: only rules for all methods count.
    pub(crate) method: Option<Method>,
    /// `None`: no rule counts.
    pub(crate) path: Option<Cow<'a, NormalPath>>,
    /// The client's address, if it is known and [`Policy::asks_for_clients`].
    pub(crate) client: Option<IpAddr>,
    /// It is a CORS pre-flight as the Fetch standard has it.
    pub(crate) preflight: bool,
}

/// The outcome.
pub(crate) enum Decision {
    /// Pass.
    Pass(Pass),
    /// Nobody is there who could pass.
    LogIn,
    /// This person may not.
    Deny(Arc<Person>),
    /// This person may in general, but not what the query restricts.
    Restrict,
}

/// How a request passes.
pub(crate) struct Pass {
    /// Nobody only because of an exemption.
    pub(crate) person: Option<Arc<Person>>,
    /// Another method would pass as well, so a header may ask the application for one.
    pub(crate) other_method: bool,
}

/// Why a request needs no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exemption {
    /// A genuine CORS pre-flight.
    Preflight,
    /// A rule covers method and path.
    Rule(Cover),
    /// The client's address.
    TrustedAddress,
}

impl Exemption {
    /// Whether the same request with any other method would be exempt too.
    fn is_for_all_methods(self) -> bool {
        matches!(self, Self::Rule(Cover::AllMethods) | Self::TrustedAddress)
    }
}

impl Policy {
    /// Whether what is asked needs no session. Without a path no rule counts, without a method none that is for one.
    pub(crate) fn exemption(&self, asked: &Asked<'_>) -> Option<Exemption> {
        if self.skip_preflight && asked.preflight {
            return Some(Exemption::Preflight);
        }
        let cover =
            asked.path.as_ref().and_then(|path| self.skip_auth.cover(asked.method.as_ref(), path));
        if let Some(cover) = cover {
            return Some(Exemption::Rule(cover));
        }
        let client = asked.client?;
        let trusted = self.trusted_clients.iter().any(|network| network.contains(&client));
        trusted.then_some(Exemption::TrustedAddress)
    }

    /// Whether a client's address decides anything; to find it out is work.
    pub(crate) fn asks_for_clients(&self) -> bool {
        !self.trusted_clients.is_empty()
    }
}

/// Decides. A person who may not pass is nobody on an exempt request: no header speaks for them.
pub(crate) fn decide(
    person: Option<Arc<Person>>,
    exemption: Option<Exemption>,
    restrictions: &Restrictions<'_>,
) -> Decision {
    let as_nobody = |exemption: Exemption| {
        Decision::Pass(Pass { person: None, other_method: exemption.is_for_all_methods() })
    };
    let Some(person) = person else { return exemption.map_or(Decision::LogIn, as_nobody) };
    match person.verdict {
        Verdict::Allowed if restrictions.allow(&person.identity) => {
            Decision::Pass(Pass { person: Some(person), other_method: true })
        }
        Verdict::Allowed => Decision::Restrict,
        Verdict::EmailNotAllowed | Verdict::NotInGroup => {
            exemption.map_or(Decision::Deny(person), as_nobody)
        }
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
            Decision::Pass(Pass { person: Some(_), other_method: true }) => "pass as somebody",
            Decision::Pass(Pass { person: None, other_method: true }) => "pass as nobody",
            Decision::Pass(Pass { other_method: false, .. }) => "pass with this method",
            Decision::LogIn => "log in",
            Decision::Deny(_) => "deny",
            Decision::Restrict => "restrict",
        }
    }

    #[test]
    fn every_combination_has_its_decision() {
        let (exempt, rule) = (None, Some(Exemption::Rule(Cover::AllMethods)));
        let get = Some(Exemption::Rule(Cover::ThisMethod));
        for (who, exemption, query, expected) in [
            (None, exempt, "", "log in"),
            (None, rule, "", "pass as nobody"),
            (None, get, "", "pass with this method"),
            (None, Some(Exemption::Preflight), "", "pass with this method"),
            (None, Some(Exemption::TrustedAddress), "", "pass as nobody"),
            (Some(person(Verdict::Allowed)), get, "", "pass as somebody"),
            (Some(person(Verdict::NotInGroup)), get, "", "pass with this method"),
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
}
