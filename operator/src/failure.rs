//! Why a reconcile ended early, and who has to act.

use kube::core::Status;
use std::any::Any;
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
    /// Whoever writes this program.
    Defect,
}

impl FailureClass {
    /// Label in logs and metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Conflict => "conflict",
            Self::Api => "api",
            Self::Refused => "refused",
            Self::Defect => "defect",
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
    /// Not to be tried before so much time has gone, because the API server said so.
    pub(crate) not_before: Duration,
}

/// Longest time that the API server may ask us to stay away. It has more pressing reasons for less.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

impl Failure {
    /// A mistake of the user.
    pub(crate) fn user(message: impl Into<String>) -> Self {
        Self::new(FailureClass::User, message)
    }

    /// A write that met another.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(FailureClass::Conflict, message)
    }

    /// What the API server answered while `doing` something.
    pub(crate) fn api(doing: &str, error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self {
                not_before: not_before(status),
                ..Self::new(FailureClass::of(status), format!("{doing}: {}", words(status)))
            },
            _ => Self::new(FailureClass::Api, format!("{doing}: {error}")),
        }
    }

    pub(crate) fn timeout(limit: Duration) -> Self {
        Self::new(FailureClass::Api, format!("not done within {} s", limit.as_secs()))
    }

    /// A turn that panicked.
    pub(crate) fn defect(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
        Self::new(
            FailureClass::Defect,
            format!("a defect of the operator, please report it: {text}"),
        )
    }

    fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), not_before: Duration::ZERO }
    }
}

/// What the API server asks for with "too many requests" and the like. Where it says so in a header alone, the client has waited.
fn not_before(status: &Status) -> Duration {
    let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    Duration::from_secs(seconds.into()).min(LONGEST_WAIT)
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
    use kube::core::response::StatusDetails;
    use serde_json::json;

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
    fn what_the_api_server_asks_for_is_kept_within_reason() {
        let asked = |seconds| {
            let details = json!({"retryAfterSeconds": seconds});
            let details: StatusDetails = serde_json::from_value(details).unwrap();
            let status =
                Status::failure("later", "TooManyRequests").with_code(429).with_details(details);
            Failure::api("listing pods", &kube::Error::Api(Box::new(status))).not_before
        };
        assert_eq!(asked(30), Duration::from_secs(30));
        assert_eq!(asked(u32::MAX), LONGEST_WAIT);
        assert_eq!(answered(500, "").not_before, Duration::ZERO);
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
