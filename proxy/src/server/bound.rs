//! The sockets of one process, bound before anything is served, so that addresses are known and connections queue while
//! the rest starts.

use super::listener::Socket;
use proxy_config::{Address, Listeners};
use std::io;
use std::net::SocketAddr;

/// All sockets, listening.
#[derive(Debug)]
pub(crate) struct Bound {
    /// The application over plain HTTP.
    pub(crate) http: Option<Socket>,
    /// The application over TLS.
    pub(crate) https: Option<Socket>,
    /// Health and status.
    pub(crate) admin: Option<Socket>,
    /// Metrics only.
    pub(crate) metrics: Option<Socket>,
}

/// Why a socket can not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({field}): {source}")]
pub(crate) struct BindError {
    /// The setting that names it.
    pub(crate) field: &'static str,
    /// The address.
    pub(crate) address: Address,
    /// What the operating system says.
    #[source]
    pub(crate) source: io::Error,
}

impl Bound {
    /// Binds what `listeners` names.
    ///
    /// # Errors
    /// The first address that can not be had.
    pub(crate) fn bind(listeners: &Listeners) -> Result<Self, BindError> {
        let bind = |field, address: Option<&Address>| {
            let bind = |address: &Address| {
                Socket::bind(address).map_err(|source| BindError {
                    field,
                    address: address.clone(),
                    source,
                })
            };
            address.map(bind).transpose()
        };
        Ok(Self {
            http: bind(
                "listeners.http",
                listeners.http.as_ref().map(|listener| &listener.address),
            )?,
            https: bind(
                "listeners.https",
                listeners.https.as_ref().map(|listener| &listener.address),
            )?,
            admin: bind(
                "listeners.admin",
                listeners.admin.as_ref().map(|listener| &listener.address),
            )?,
            metrics: bind(
                "listeners.metrics",
                listeners.metrics.as_ref().map(|listener| &listener.address),
            )?,
        })
    }

    /// Where plain HTTP is served, if on TCP.
    pub(crate) fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().and_then(Socket::address)
    }

    /// Where TLS is served, if on TCP.
    pub(crate) fn https_address(&self) -> Option<SocketAddr> {
        self.https.as_ref().and_then(Socket::address)
    }
}
