//! Where is it for and what does it ask; may they pass: what rules and exemptions ask, what the person has to show, and what the
//! query asks for on top.
//!
//! Rules look at what was [`Asked`], and at nothing else: what nobody believable told is not in it, and opens nothing.

use super::Policy;
use super::person::{Person, Verdict};
use super::requirement::{Asks, Requirements};
use super::restrictions::Restrictions;
use crate::routing::{NormalPath, Route};
use http::Method;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

/// One request, as far as rules look at it, in the words of whoever may be believed. Its host and its query follow with the
/// first rule that looks at them.
pub(crate) struct Asked<'a> {
    /// `None`: any.
    pub(crate) method: Option<Method>,
    /// `None`: any.
    pub(crate) path: Option<Cow<'a, NormalPath>>,
    /// The client's address, if it is known and [`Policy::asks_for_clients`].
    pub(crate) client: Option<IpAddr>,
    /// It is a CORS pre-flight as the Fetch standard has it.
    pub(crate) preflight: bool,
}

/// What the rules say of a request, all at once.
pub(crate) struct Place<'p> {
    /// What it asks of its sender.
    pub(crate) asks: Asks,
    /// What answers it.
    pub(crate) route: Route<'p>,
}

/// The outcome.
pub(crate) enum Decision {
    /// Pass.
    Pass(Pass),
    /// Nobody is there who could pass.
    LogIn,
    /// This person may not use the site.
    Deny(Arc<Person>),
    /// This person may use the site, and not this: a rule or the query asks for more than they meet.
    Restrict,
}

/// How a request passes.
pub(crate) struct Pass {
    /// Nobody only where nobody needs to be there.
    pub(crate) person: Option<Arc<Person>>,
    /// Another method would pass as well, so a header may ask the application for one.
    pub(crate) other_method: bool,
}

impl Policy {
    /// The place of a request among rules and routes. This is the one reader of both.
    pub(crate) fn find(&self, asked: &Asked<'_>) -> Place<'_> {
        let Some(path) = asked.path.as_deref() else {
            let everything = Asks::always(self.rules.everything());
            return Place { asks: self.exempted(asked, everything), route: Route::Nothing };
        };
        let asks = self.exempted(asked, self.rules.asks(asked.method.as_ref(), path));
        Place { asks, route: self.routes.find(path) }
    }

    /// What is left of what rules ask for a pre-flight or a trusted client.
    fn exempted(&self, asked: &Asked<'_>, asks: Asks) -> Asks {
        if self.skip_preflight && asked.preflight {
            // Whatever is behind it, only the pre-flight passes.
            return Asks { now: Requirements::NONE, with_any_method: self.rules.everything() };
        }
        let trusted = |client: IpAddr| self.trusted_clients.iter().any(|net| net.contains(&client));
        if !asks.are_open() && asked.client.is_some_and(trusted) {
            return Asks::always(Requirements::NONE);
        }
        asks
    }

    /// Whether a client's address decides anything; to find it out is work.
    pub(crate) fn asks_for_clients(&self) -> bool {
        !self.trusted_clients.is_empty()
    }
}

/// Decides. A person who may not use the site is nobody where nobody needs to be there: no header speaks for them.
pub(crate) fn decide(
    person: Option<Arc<Person>>,
    asks: Asks,
    restrictions: &Restrictions<'_>,
) -> Decision {
    let as_nobody =
        || Decision::Pass(Pass { person: None, other_method: asks.with_any_method.is_none() });
    let Some(person) = person else {
        return if asks.are_open() { as_nobody() } else { Decision::LogIn };
    };
    if person.verdict != Verdict::Allowed {
        return if asks.are_open() { as_nobody() } else { Decision::Deny(person) };
    }
    if !person.meets.include(asks.now) || !restrictions.allow(&person.identity) {
        return Decision::Restrict;
    }
    let other_method = person.meets.include(asks.with_any_method);
    Decision::Pass(Pass { person: Some(person), other_method })
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
        Arc::new(Person { identity, ..Person::judged(verdict) })
    }

    fn name(decision: &Decision) -> &'static str {
        match decision {
            Decision::Pass(Pass { person: Some(_), other_method: true }) => "pass as somebody",
            Decision::Pass(Pass { person: None, other_method: true }) => "pass as nobody",
            Decision::Pass(Pass { person: None, other_method: false }) => "pass with this method",
            Decision::Pass(Pass { person: Some(_), other_method: false }) => {
                "pass as somebody with this method"
            }
            Decision::LogIn => "log in",
            Decision::Deny(_) => "deny",
            Decision::Restrict => "restrict",
        }
    }

    #[test]
    fn every_combination_has_its_decision() {
        let site = Asks::always(Requirements::SITE);
        let open = Asks::always(Requirements::NONE);
        let get = Asks { with_any_method: Requirements::SITE, ..open };
        let staff =
            Asks::always(Requirements::SITE.and(Requirements::numbered(1).expect("a number")));
        let put = Asks { now: Requirements::SITE, ..staff };
        for (who, asks, query, expected) in [
            (None, site, "", "log in"),
            (None, open, "", "pass as nobody"),
            (None, get, "", "pass with this method"),
            (Some(person(Verdict::Allowed)), get, "", "pass as somebody"),
            (Some(person(Verdict::NotInGroup)), get, "", "pass with this method"),
            (None, open, "allowed_groups=admins", "pass as nobody"),
            (Some(person(Verdict::Allowed)), site, "", "pass as somebody"),
            (Some(person(Verdict::Allowed)), open, "", "pass as somebody"),
            (Some(person(Verdict::Allowed)), site, "allowed_groups=staff", "pass as somebody"),
            (Some(person(Verdict::Allowed)), site, "allowed_groups=admins", "restrict"),
            (Some(person(Verdict::Allowed)), open, "allowed_groups=admins", "restrict"),
            (Some(person(Verdict::EmailNotAllowed)), site, "", "deny"),
            (Some(person(Verdict::NotInGroup)), site, "", "deny"),
            (Some(person(Verdict::NotInGroup)), open, "", "pass as nobody"),
            (None, staff, "", "log in"),
            (Some(person(Verdict::Allowed)), staff, "", "restrict"),
            (Some(person(Verdict::NotInGroup)), staff, "", "deny"),
            (Some(person(Verdict::Allowed)), put, "", "pass as somebody with this method"),
        ] {
            let decision = decide(who, asks, &Restrictions::of(Some(query)));
            assert_eq!(name(&decision), expected, "{asks:?} {query}");
        }
    }
}
