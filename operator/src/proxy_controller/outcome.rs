//! How a reconcile ended. The status is a total function of it.

use super::apply::Applied;
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
    /// Everything is as it should be in the API server.
    Applied(Applied),
}
