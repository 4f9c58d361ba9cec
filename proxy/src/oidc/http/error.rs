//! Why a request to the identity provider gave nothing, without the secrets that were in it.

use std::error::Error;
use std::io;
use std::time::Duration;
use url::Url;

/// Why there was no whole answer. The address is shown without its query.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// Took longer than it may.
    #[error("{address} did not answer within {seconds} s", seconds = time.as_secs())]
    Timeout {
        /// Where.
        address: String,
        /// The time that it had.
        time: Duration,
    },
    /// No connection, a TLS failure, a broken answer.
    #[error("{address} can not be reached: {reason}")]
    Unreachable {
        /// Where.
        address: String,
        /// What the network or the TLS library said.
        reason: String,
    },
    /// The answer is larger than anything a provider sends.
    #[error("the answer of {address} is longer than {limit} bytes")]
    TooLarge {
        /// Where.
        address: String,
        /// In bytes.
        limit: usize,
    },
    /// A redirect that is not followed.
    #[error("{address} redirects {reason}")]
    Redirect {
        /// Where.
        address: String,
        /// Why not.
        reason: &'static str,
    },
    /// CA files that can not be read, or no usable root.
    #[error("the provider's certificate can not be checked: {0}")]
    Trust(String),
}

/// Why an exchange came to nothing, wherever that was.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// No connection.
    #[error(transparent)]
    Connection(#[from] io::Error),
    /// The connection broke, or what came is no HTTP.
    #[error(transparent)]
    Exchange(#[from] hyper::Error),
    /// The request can not be written.
    #[error(transparent)]
    Request(#[from] http::Error),
    /// Something of this on the way through a proxy.
    #[error(transparent)]
    Proxied(reqwest::Error),
    /// The proxy on the way does not know us.
    #[error("the proxy of the environment wants a name and a password (407)")]
    Unknown,
    /// So many bytes are the most.
    #[error("longer than {0} bytes")]
    TooLarge(usize),
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        Self::Proxied(error.without_url())
    }
}

impl Failure {
    /// What is said of it.
    pub(super) fn at(self, url: &Url) -> HttpError {
        let late = match &self {
            Self::Connection(error) => error.kind() == io::ErrorKind::TimedOut,
            Self::Proxied(error) => error.is_timeout(),
            Self::TooLarge(limit) => {
                return HttpError::TooLarge { address: address(url), limit: *limit };
            }
            Self::Exchange(_) | Self::Request(_) | Self::Unknown => false,
        };
        if late {
            return HttpError::Timeout { address: address(url), time: super::CONNECT_TIME };
        }
        HttpError::Unreachable { address: address(url), reason: chain(&self) }
    }
}

/// The error and what caused it, because the cause ("connection refused") is the part that helps.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let next = cause.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        source = cause.source();
    }
    text
}

/// Scheme, host, port and path; what is safe to log.
pub(in crate::oidc) fn address(url: &Url) -> String {
    let origin = url.origin().ascii_serialization();
    format!("{origin}{}", url.path())
}
