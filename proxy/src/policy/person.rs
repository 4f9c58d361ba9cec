//! Somebody with a session, judged once, with everything ready that their requests need.

use super::Policy;
use super::identity_headers::{Headers, single};
use super::requirement::Requirements;
use super::term::Term;
use crate::identity::Identity;
use crate::session::{Family, Session};
use crate::upstream::IdentityLines;
use http::{HeaderName, HeaderValue};

/// Says who was there, on answers.
const GAP_AUTH: HeaderName = HeaderName::from_static("gap-auth");

/// A judged session. It holds tokens only inside the headers that are configured to carry them.
pub(crate) struct Person {
    /// Who it is.
    pub(crate) identity: Identity,
    /// Whether they may pass at all.
    pub(crate) verdict: Verdict,
    /// What they may be asked for.
    pub(crate) meets: Requirements,
    /// For the upstream.
    pub(crate) request_headers: IdentityLines,
    /// For the answer; `GAP-Auth` among them.
    pub(crate) response_headers: Headers,
    /// E-mail or else user, for the log.
    pub(crate) shown: HeaderValue,
    /// What ends together with the session; `None`: nothing that is known.
    pub(crate) family: Option<Family>,
    /// How long the judgement may be used without looking at the session again.
    pub(crate) term: Term,
}

/// What the access rules say of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// May pass.
    Allowed,
    /// The e-mail address is not among those allowed.
    EmailNotAllowed,
    /// None of the groups is among those needed.
    NotInGroup,
}

impl Verdict {
    /// What somebody meets of whom the site says so.
    pub(super) fn meets(self) -> Requirements {
        match self {
            Self::Allowed => Requirements::SITE,
            Self::EmailNotAllowed | Self::NotInGroup => Requirements::NONE,
        }
    }

    /// What the log says.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::EmailNotAllowed => "the e-mail address is not allowed",
            Self::NotInGroup => "in none of the allowed groups",
        }
    }
}

impl Person {
    /// Judges a session that may be used as it is for `term`. The judgement holds no longer.
    pub(crate) fn of(session: &Session, policy: &Policy, term: Term) -> Self {
        let shown = single(session.identity.shown());
        let mut response_headers = vec![(GAP_AUTH, shown.clone())];
        response_headers.extend(policy.response_headers.of(session));
        let verdict = policy.verdict(&session.identity);
        Self {
            verdict,
            meets: verdict.meets(),
            request_headers: IdentityLines::new(&policy.request_headers.of(session)),
            response_headers,
            shown,
            family: Family::of(session),
            term,
            identity: session.identity.clone(),
        }
    }

    /// About how many bytes it takes beside its own size.
    pub(crate) fn bytes(&self) -> usize {
        /// A place in a list, a small allocation.
        const PLACE: usize = 64;
        let identity = &self.identity;
        let names = [&identity.email, &identity.preferred_username].into_iter().flatten();
        let texts = names.chain(&identity.groups).chain([&identity.user]);
        let headers = self.response_headers.iter();
        texts.map(|text| PLACE + text.len()).sum::<usize>()
            + headers.map(|(name, value)| PLACE + name.as_str().len() + value.len()).sum::<usize>()
            + self.request_headers.bytes()
    }

    #[cfg(test)]
    pub(crate) fn nobody() -> Self {
        Self::judged(Verdict::Allowed)
    }

    #[cfg(test)]
    pub(crate) fn judged(verdict: Verdict) -> Self {
        Self {
            identity: Identity::default(),
            verdict,
            meets: verdict.meets(),
            request_headers: IdentityLines::default(),
            response_headers: Vec::new(),
            shown: HeaderValue::from_static(""),
            family: None,
            term: Term::starting(jiff::Timestamp::UNIX_EPOCH),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{COOKIE, SERVER};

    #[test]
    fn a_person_counts_for_the_texts_and_a_place_for_each() {
        let mut person = Person::nobody();
        let nothing = person.bytes();
        person.identity.user = "u".repeat(1000);
        person.identity.email = Some("e".repeat(2000));
        person.identity.preferred_username = Some("p".repeat(3000));
        person.identity.groups = vec!["g".repeat(4000), "h".repeat(5000)];
        let value = HeaderValue::from_str(&"v".repeat(1000)).unwrap();
        person.request_headers = IdentityLines::new(&[(SERVER, value.clone())]);
        person.response_headers = vec![(COOKIE, value)];
        let (texts, places) = (15_000 + 2 * (6 + 1000), 7);
        let bytes = person.bytes() - nothing;
        assert!((texts..=texts + 100 * places).contains(&bytes), "{bytes}");
    }
}
