//! How the last calls to the provider went, for those who run the proxy: a client secret that the provider does not take is
//! otherwise seen by nobody but the person who wants to sign in.
//!
//! Kinds and times, and the texts of errors that have no secrets. Nothing here decides anything.

use super::callback::CallbackError;
use super::token::TokenError;
use jiff::Timestamp;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Outcome {
    /// As it should.
    Succeeded,
    /// The provider does not take us for the client, or we have nothing to say who we are.
    ClientRefused,
    /// No answer, or one that says that the provider is in trouble.
    Unreachable,
    /// Everything else, for one login or session.
    Failed,
}

/// The last call of a kind.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Last {
    /// When it ended.
    #[serde(serialize_with = "as_text")]
    pub(crate) at: Timestamp,
    /// How.
    pub(crate) outcome: Outcome,
    /// What was wrong, where that is not the affair of one person.
    pub(crate) error: Option<String>,
}

impl Last {
    /// The issuer was asked for its discovery document and its keys.
    pub(super) fn asked(at: Timestamp, error: Option<&str>) -> Self {
        let outcome = if error.is_some() { Outcome::Unreachable } else { Outcome::Succeeded };
        Self { at, outcome, error: error.map(str::to_owned) }
    }
}

fn as_text<S: serde::Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(at)
}

/// The last call of each kind; absent: there was none since the start or the last change of the provider's settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lasts {
    /// Of any kind.
    pub(crate) call: Option<Last>,
    /// To the token endpoint, for which the client says who it is.
    pub(crate) token: Option<Last>,
    /// A login that came back.
    pub(crate) login: Option<Last>,
}

/// Where those of a client are kept.
#[derive(Debug, Default)]
pub(super) struct Outcomes(Mutex<Calls>);

#[derive(Clone, Debug, Default)]
struct Calls {
    token: Option<Last>,
    login: Option<Last>,
}

impl Outcomes {
    /// What is known now; `asked` is how it went when the issuer was last asked about itself.
    pub(super) fn lasts(&self, asked: Option<Last>) -> Lasts {
        let Calls { token, login } = self.lock().clone();
        let call = [asked, token.clone()].into_iter().flatten().max_by_key(|last| last.at);
        Lasts { call, token, login }
    }

    /// The token endpoint was asked.
    pub(super) fn token(&self, at: Timestamp, error: Option<&TokenError>) {
        let outcome = error.map_or(Outcome::Succeeded, Outcome::of_token);
        let shown = matches!(outcome, Outcome::ClientRefused | Outcome::Unreachable);
        let error = error.filter(|_| shown).map(ToString::to_string);
        self.lock().token = Some(Last { at, outcome, error });
    }

    /// A login came back. What was wrong with it is in the log only, because it may be about the person.
    pub(super) fn login(&self, at: Timestamp, error: Option<&CallbackError>) {
        let outcome = match error {
            None => Outcome::Succeeded,
            Some(CallbackError::Token(error)) => Outcome::of_token(error),
            Some(CallbackError::Unavailable(_) | CallbackError::Keys(_)) => Outcome::Unreachable,
            Some(_) => Outcome::Failed,
        };
        self.lock().login = Some(Last { at, outcome, error: None });
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outcome {
    fn of_token(error: &TokenError) -> Self {
        match error {
            error if error.is_outage() => Self::Unreachable,
            // RFC 6749 section 5.2: what they say about the client. 401 is for nothing else.
            TokenError::Refused { status, code, .. }
                if ["invalid_client", "unauthorized_client"].contains(&code.as_str())
                    || *status == 401 =>
            {
                Self::ClientRefused
            }
            TokenError::NoMethod(_) | TokenError::Secret(_) => Self::ClientRefused,
            _ => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    fn refused(status: u16, code: &str) -> TokenError {
        TokenError::Refused { status, code: code.to_owned(), description: String::new() }
    }

    #[test]
    fn only_what_is_about_the_client_counts_as_its_refusal() {
        for (error, outcome) in [
            (refused(401, "invalid_client"), Outcome::ClientRefused),
            (refused(400, "unauthorized_client"), Outcome::ClientRefused),
            (refused(401, ""), Outcome::ClientRefused),
            (TokenError::Secret("gone".to_owned()), Outcome::ClientRefused),
            // Anybody can come with a code that is none.
            (refused(400, "invalid_grant"), Outcome::Failed),
            (refused(503, ""), Outcome::Unreachable),
        ] {
            let outcomes = Outcomes::default();
            outcomes.token(Timestamp::UNIX_EPOCH, Some(&error));
            let lasts = outcomes.lasts(None);
            assert_eq!(lasts.token.as_ref().unwrap().outcome, outcome, "{error}");
            assert_eq!(lasts.token, lasts.call);
        }
    }

    #[test]
    fn an_answer_about_the_provider_does_not_hide_a_refused_client() {
        let outcomes = Outcomes::default();
        outcomes.token(Timestamp::UNIX_EPOCH, Some(&refused(401, "invalid_client")));
        let asked = Last::asked(Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1), None);
        let lasts = outcomes.lasts(Some(asked));
        assert_eq!(lasts.call.unwrap().outcome, Outcome::Succeeded);
        assert_eq!(lasts.token.unwrap().outcome, Outcome::ClientRefused);
    }
}
