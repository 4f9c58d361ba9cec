//! Servers behind us: compiled targets, the forwarding of one request, and what may go wrong on the way.
//!
//! Nothing here decides whether a request may pass; whoever calls has decided.

mod abandoned;
mod attempt;
mod connect;
mod headers;
mod http1;
mod known;
mod patience;
mod pool;
mod reply;
mod request_body;
mod target;
mod tls;
mod upgrade;

pub(crate) use connect::{Origin, OriginError};
pub(crate) use headers::{Forwarded, IdentityLines, Injection, Names, Outgoing};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use http1::fuzzing;
pub(crate) use pool::sweep;
pub(crate) use reply::{Reply, Streamed};
pub(crate) use target::{Question, Target};

use std::time::Duration;

/// Why an upstream gave no answer. No variant carries anything that the client or the upstream sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// No connection: refused, unreachable, unknown host, TLS failure, or not in time.
    #[error("connecting failed: {0}")]
    Connect(#[source] std::io::Error),
    /// The connection broke, or the answer can not be read.
    #[error("no answer that can be used: {0}")]
    Broken(#[source] http1::Error),
    /// No head of a response within the time limit.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// It switched to a protocol that nobody asked for.
    #[error("the upstream switched to a protocol that was not asked for")]
    Upgrade,
}

#[cfg(test)]
mod tests;
