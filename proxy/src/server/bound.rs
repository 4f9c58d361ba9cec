//! The listeners of one process, bound before anything is served, so that addresses are known and connections queue while
//! the rest starts.

use super::listener::Socket;
use proxy_config::{Address, Listeners};
use std::io;
use std::net::SocketAddr;

/// What clients of a listener reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serves {
    /// The application.
    Application,
    /// What only those who run the proxy should see.
    Internal(Internal),
}

/// What a listener shows to those who run the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Internal {
    /// `/livez`, `/readyz`, `/metrics`, `/status`.
    Admin,
    /// Metrics on every path, as oauth2-proxy's metrics listener does.
    Metrics,
}

/// How clients of a listener speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// TLS, in which ALPN chooses HTTP/1.1 or HTTP/2.
    Tls,
    /// HTTP/1.1 as it is, and with `h2c` HTTP/2 for clients that begin with it.
    Plain {
        /// See [`proxy_config::PlainListener::h2c`].
        h2c: bool,
    },
}

/// One listener, listening.
#[derive(Debug)]
pub(crate) struct Listener {
    /// What it is called in the configuration, below `listeners`.
    pub(crate) name: &'static str,
    /// Where.
    pub(crate) socket: Socket,
    /// How.
    pub(crate) transport: Transport,
    /// For whom.
    pub(crate) serves: Serves,
}

impl Listener {
    /// The same for another worker; none where a socket can not be shared.
    pub(super) fn sibling(&self) -> io::Result<Option<Self>> {
        Ok(self.socket.sibling()?.map(|socket| Self { socket, ..*self }))
    }
}

/// Why a socket can not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} (listeners.{name}): {source}")]
pub(crate) struct BindError {
    /// See [`Listener::name`].
    pub(crate) name: &'static str,
    /// The address.
    pub(crate) address: Address,
    /// What the operating system says.
    #[source]
    pub(crate) source: io::Error,
}

/// Binds what `listeners` names.
///
/// # Errors
/// The first address that can not be had.
pub(crate) fn bind(listeners: &Listeners) -> Result<Vec<Listener>, BindError> {
    const PLAIN: Transport = Transport::Plain { h2c: false };
    let Listeners { http, https, admin, metrics } = listeners;
    let http = http.as_ref().map(|l| (&l.address, Transport::Plain { h2c: l.h2c }));
    let https = https.as_ref().map(|l| (&l.address, Transport::Tls));
    let admin = admin.as_ref().map(|l| (&l.address, PLAIN));
    let metrics = metrics.as_ref().map(|l| (&l.address, PLAIN));
    let all = [
        ("http", http, Serves::Application),
        ("https", https, Serves::Application),
        ("admin", admin, Serves::Internal(Internal::Admin)),
        ("metrics", metrics, Serves::Internal(Internal::Metrics)),
    ];
    let wanted =
        all.into_iter().filter_map(|(name, wanted, serves)| wanted.map(|w| (name, w, serves)));
    wanted
        .map(|(name, (address, transport), serves)| match Socket::bind(address) {
            Ok(socket) => Ok(Listener { name, socket, transport, serves }),
            Err(source) => Err(BindError { name, address: address.clone(), source }),
        })
        .collect()
}

/// Where the listener of this name is, if there is one and it is on TCP.
pub(crate) fn address_of(listeners: &[Listener], name: &str) -> Option<SocketAddr> {
    listeners.iter().find(|listener| listener.name == name)?.socket.address()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listener_is_bound_under_its_name() {
        let any = r#"{"address": "127.0.0.1:0"}"#;
        let tls = r#"{"address": "127.0.0.1:0", "certificateFile": "c", "key": {"file": "k"}}"#;
        let text =
            format!(r#"{{"http": {any}, "https": {tls}, "admin": {any}, "metrics": {any}}}"#);
        let listeners: Listeners = serde_json::from_str(&text).expect("listeners");
        let wanted = listeners.each().map(|(name, address)| (name, address.is_some()));
        let bound = bind(&listeners).expect("free ports");
        assert_eq!(bound.iter().map(|l| (l.name, true)).collect::<Vec<_>>(), wanted);
    }
}
