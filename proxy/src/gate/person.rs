//! Somebody with a session, judged once, with everything ready that their requests need.

use super::identity_headers::{Headers, single};
use super::rules::Rules;
use crate::identity::Identity;
use crate::session::Session;
use http::HeaderValue;
use jiff::Timestamp;

/// A judged session. It holds tokens only inside the headers that are configured to carry them.
pub(crate) struct Person {
    /// Who it is.
    pub(super) identity: Identity,
    /// Whether they may pass at all.
    pub(super) verdict: Verdict,
    /// For the upstream.
    pub(super) request_headers: Headers,
    /// For the answer; `GAP-Auth` among them.
    pub(super) response_headers: Headers,
    /// E-mail or else user, for the log.
    pub(super) shown: HeaderValue,
    /// Until when the judgement may be used without looking at the session again; `None`: for ever.
    pub(super) good_until: Option<Timestamp>,
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
    /// What the log says.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::EmailNotAllowed => "the e-mail address is not allowed",
            Self::NotInGroup => "in none of the allowed groups",
        }
    }
}

impl Person {
    /// Judges a session.
    pub(super) fn of(session: &Session, rules: &Rules, good_until: Option<Timestamp>) -> Self {
        let shown = single(session.identity.shown());
        let mut response_headers = vec![(super::GAP_AUTH, shown.clone())];
        response_headers.extend(rules.response_headers.of(session));
        Self {
            verdict: rules.verdict(&session.identity),
            request_headers: rules.request_headers.of(session),
            response_headers,
            shown,
            good_until,
            identity: session.identity.clone(),
        }
    }

    /// Whether the judgement still holds.
    pub(super) fn is_good(&self, now: Timestamp) -> bool {
        self.good_until.is_none_or(|until| now < until)
    }

    #[cfg(test)]
    pub(super) fn nobody() -> Self {
        Self {
            identity: Identity::default(),
            verdict: Verdict::Allowed,
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            shown: HeaderValue::from_static(""),
            good_until: None,
        }
    }
}
