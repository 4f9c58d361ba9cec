//! The workloads that a sidecar can be in: their kinds, how one is named, and what of each is kept from a watch.
//!
//! Whatever differs between kinds stands in the table of `kind`; nothing else names one.

mod kind;
mod reference;
mod watched;

pub(crate) use kind::Kind;
pub(crate) use reference::WorkloadRef;
pub(crate) use watched::{STATUS, Watched, is_failure};
