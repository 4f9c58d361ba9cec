//! How a reconcile ended. The status is a total function of it.

use super::apply::Applied;
use crate::failure::Failure;
use crds::Reason;
use std::fmt;

/// One thing that is wrong and can be put right by a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Reason of the condition.
    pub(crate) reason: Reason,
    /// Where: a field of the object, such as `spec.access.trustedIPs[1]`.
    pub(crate) field: String,
    /// What is wrong there and what would be right.
    pub(crate) message: String,
}

impl Finding {
    /// A finding.
    pub(crate) fn new(
        reason: Reason,
        field: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { reason, field: field.into(), message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// How a reconcile ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The specification is wrong. Nothing was written: what runs keeps the last good configuration.
    Invalid(Vec<Finding>),
    /// Something that the specification refers to is missing or wrong, or a name is taken. Nothing was written.
    Waiting(Vec<Finding>),
    /// The API server refused or did not answer.
    Failed(Failure),
    /// Everything is as it should be in the API server.
    Applied(Applied),
}
