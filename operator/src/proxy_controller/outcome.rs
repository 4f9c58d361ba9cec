//! How a reconcile ended. The status is a total function of it.

use super::apply::{Applied, Error};
use crate::failure::Failure;
use crate::spec::Finding;

/// How a reconcile ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The specification is wrong. Nothing was written: what runs keeps the last good configuration.
    Invalid(Vec<Finding>),
    /// Something that the specification refers to is missing or wrong, or a name is taken. Nothing was written.
    Waiting(Vec<Finding>),
    /// The API server refused or did not answer.
    Failed(Failure),
    /// The configuration is in the API server, and the rest as it should be, unless `standalone` says what is in its way.
    Applied(Applied),
}

impl Outcome {
    /// What the API server refused or did not answer, in whatever phase.
    pub(super) fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure)
            | Self::Applied(Applied { standalone: Err(Error::Failed(failure)), .. }) => {
                Some(failure)
            }
            Self::Invalid(_) | Self::Waiting(_) | Self::Applied(_) => None,
        }
    }
}
