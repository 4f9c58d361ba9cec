//! Why a reconcile ended early, and who has to act.

use kube::core::Status;
use std::time::Duration;

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FailureClass {
    /// The user: nothing helps but a change of what was written, which a watch reports.
    User,
    /// Nobody: somebody else wrote at the same time.
    Conflict,
    /// The API server, which did not answer, or not now.
    Api,
    /// Whoever looks after the cluster: the API server answered, and says no. A quota, an admission policy or a missing right
    /// is in the way, or the object is not valid; no watch reports when that changes.
    Refused,
}

impl FailureClass {
    /// Label in logs and metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Conflict => "conflict",
            Self::Api => "api",
            Self::Refused => "refused",
        }
    }

    /// What an answer of the API server means.
    fn of(status: &Status) -> Self {
        match status.code {
            409 => Self::Conflict,
            // Not known who we are, gone in the meantime, too slow, too old, too much: all of it passes.
            401 | 404 | 408 | 410 | 429 => Self::Api,
            400..500 => Self::Refused,
            _ => Self::Api,
        }
    }
}

/// Why a reconcile ended early.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    /// Decides when it is tried again.
    pub(crate) class: FailureClass,
    /// What was being done, and what went wrong; where the API server said it, in its own words.
    pub(crate) message: String,
}

impl Failure {
    /// A mistake of the user.
    pub(crate) fn user(message: impl Into<String>) -> Self {
        Self { class: FailureClass::User, message: message.into() }
    }

    /// A write that met another.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Conflict, message: message.into() }
    }

    /// What the API server answered while `doing` something.
    pub(crate) fn api(doing: &str, error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self {
                class: FailureClass::of(status),
                message: format!("{doing}: {}", words(status)),
            },
            _ => Self { class: FailureClass::Api, message: format!("{doing}: {error}") },
        }
    }

    pub(crate) fn timeout(limit: Duration) -> Self {
        Self { class: FailureClass::Api, message: format!("not done within {} s", limit.as_secs()) }
    }
}

/// The API server's own words, if it has any: the rest of its answer says the same for programs.
fn words(status: &Status) -> String {
    match status.message.trim() {
        "" => format!("{} {}", status.code, status.reason).trim_end().to_owned(),
        message => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: u16, message: &str) -> Failure {
        let status = Status::failure(message, "Reason").with_code(code);
        Failure::api("applying Service web", &kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn a_no_of_the_api_server_is_told_from_what_passes() {
        for code in [400, 403, 405, 413, 415, 422] {
            assert_eq!(answered(code, "no").class, FailureClass::Refused, "{code}");
        }
        for code in [401, 404, 408, 410, 429, 500, 502, 503, 504] {
            assert_eq!(answered(code, "later").class, FailureClass::Api, "{code}");
        }
        assert_eq!(answered(409, "meanwhile").class, FailureClass::Conflict);
    }

    #[test]
    fn the_message_is_in_the_words_of_the_api_server() {
        let denied = answered(403, "exceeded quota: small, requested: pods=1");
        assert_eq!(
            denied.message,
            "applying Service web: exceeded quota: small, requested: pods=1"
        );
        assert_eq!(answered(403, " ").message, "applying Service web: 403 Reason");
    }
}
