//! Servers behind us: compiled targets, the forwarding of one request, and what may go wrong on the way.
//!
//! Nothing here decides whether a request may pass; whoever calls has decided.

mod connect;
mod file;
mod fixed;
mod forward;
mod headers;
mod http1;
mod pool;
mod request_body;
mod tls;
mod upgrade;

pub(crate) use connect::{Origin, OriginError};
pub(crate) use file::Files;
pub(crate) use fixed::Fixed;
pub(crate) use headers::{Forwarded, Injection, Names, prepare};
pub(crate) use http1::Download;
pub(crate) use pool::{give_back, sweep};

use std::sync::Arc;
use std::time::Duration;

/// One HTTP server, ready to be asked.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    origin: Arc<Origin>,
    pass_host_header: bool,
    upgrades: bool,
    timeout: Option<Duration>,
    stream_idle_timeout: Duration,
}

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

impl Server {
    /// Compiles an `http`, `https` or `unix` target. Returns `None` for the others, which are no servers.
    ///
    /// # Errors
    /// What is wrong with the URI, in words.
    pub(crate) fn compile(
        upstream: &proxy_config::Upstream,
        stream_idle_timeout: Duration,
    ) -> Result<Option<Self>, OriginError> {
        use proxy_config::Target;
        let (origin, pass_host_header, upgrades, timeout) = match &upstream.target {
            Target::Http {
                uri,
                insecure_skip_tls_verify,
                pass_host_header,
                proxy_web_sockets,
                timeout,
            } => (
                Origin::parse(uri, *insecure_skip_tls_verify)?,
                *pass_host_header,
                *proxy_web_sockets,
                *timeout,
            ),
            Target::Unix { socket, pass_host_header, proxy_web_sockets, timeout } => {
                (Origin::unix(socket), *pass_host_header, *proxy_web_sockets, *timeout)
            }
            Target::File { .. } | Target::Static { .. } => return Ok(None),
        };
        Ok(Some(Self {
            origin: Arc::new(origin),
            pass_host_header,
            upgrades,
            timeout: (!timeout.is_zero()).then(|| timeout.get()),
            stream_idle_timeout,
        }))
    }
}

#[cfg(test)]
mod tests;
