//! From a specification and what it refers to, to a form that can not be wrong. Pure: no client, no clock.

use super::dereference::Found;
use super::ring::{self, Ring};
use crate::report::FleetReport;
use crate::spec::{Finding, ValidSpec};
use crds::OAuth2ProxyStatus;

/// An object that is valid together with what it refers to. Builders take nothing else.
#[derive(Debug)]
pub(crate) struct ValidatedProxy {
    /// The specification.
    pub(super) spec: ValidSpec,
    /// Which keys open sessions and which one seals them.
    pub(super) ring: Ring,
    /// What was found in the cluster.
    pub(super) found: Found,
    /// What is known of its pods.
    pub(super) report: FleetReport,
}

/// Checks an object together with what it refers to.
///
/// # Errors
/// Everything that is missing or wrong there.
pub(super) fn validate(
    spec: ValidSpec,
    found: Found,
    status: Option<&OAuth2ProxyStatus>,
    report: &FleetReport,
) -> Result<ValidatedProxy, Vec<Finding>> {
    let mut findings = found.problems(&spec);
    let ring = match ring::decide(&spec, &found, status, report) {
        Ok(ring) => Some(ring),
        Err(finding) => {
            findings.push(finding);
            None
        }
    };
    match ring {
        Some(ring) if findings.is_empty() => {
            Ok(ValidatedProxy { spec, ring, found, report: report.clone() })
        }
        _ => Err(findings),
    }
}
