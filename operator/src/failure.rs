//! Why a reconcile ended early, and who has to act.

use std::time::Duration;

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FailureClass {
    /// The user: nothing helps but a change of what was written, which a watch reports.
    User,
    /// Nobody: somebody else wrote at the same time.
    Conflict,
    /// The API server, which did not answer or refused.
    Api,
}

impl FailureClass {
    /// Label in logs and metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Conflict => "conflict",
            Self::Api => "api",
        }
    }
}

/// Why a reconcile ended early.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    /// Decides when it is tried again.
    pub(crate) class: FailureClass,
    /// What was being done, and what went wrong.
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
        let class = match error {
            kube::Error::Api(status) if status.code == 409 => FailureClass::Conflict,
            _ => FailureClass::Api,
        };
        Self { class, message: format!("{doing}: {error}") }
    }

    pub(crate) fn timeout(limit: Duration) -> Self {
        Self { class: FailureClass::Api, message: format!("not done within {} s", limit.as_secs()) }
    }
}
