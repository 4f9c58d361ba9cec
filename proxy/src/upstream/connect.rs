//! Where an upstream is, and opening a connection to it.

use super::known::Known;
use super::tls;
use crate::dial::dial;
use crate::stream::{Stream, find_dead};
use http::HeaderValue;
use rustls_pki_types::ServerName;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A server to connect to.
#[derive(Debug)]
pub(crate) struct Origin {
    /// The same for equal places over all configurations of this process, so that pooled connections survive a reload.
    pub(super) known: Arc<Known>,
    /// What to send as Host when the client's is not passed on.
    pub(super) host: HeaderValue,
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Tcp { host: String, port: u16 },
    Tls { host: String, port: u16, insecure: bool },
    Unix(PathBuf),
}

/// Why a URI names no upstream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OriginError {
    /// Not absolute, or no URI at all.
    #[error("{0:?} is no URI with scheme and host: write http://host:port or https://host:port")]
    NotAbsolute(String),
    /// Neither `http` nor `https`.
    #[error("{0:?} has a scheme that is neither http nor https")]
    Scheme(String),
}

impl Origin {
    /// The server of an `http` or `https` URI; path and query are ignored. `upstream`: who leads to it.
    pub(super) fn parse(text: &str, insecure: bool, upstream: &str) -> Result<Self, OriginError> {
        let url = url::Url::parse(text).map_err(|_| OriginError::NotAbsolute(text.to_owned()))?;
        let host = url.host_str().ok_or_else(|| OriginError::NotAbsolute(text.to_owned()))?;
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let place = match url.scheme() {
            "http" => Place::Tcp { host: bare, port: url.port().unwrap_or(80) },
            "https" => Place::Tls { host: bare, port: url.port().unwrap_or(443), insecure },
            _ => return Err(OriginError::Scheme(text.to_owned())),
        };
        let header = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let header = HeaderValue::from_str(&header)
            .map_err(|_| OriginError::NotAbsolute(text.to_owned()))?;
        Ok(Self { known: Known::of(&place, upstream), host: header, place })
    }

    /// A server on a unix domain socket.
    pub(super) fn unix(path: &Path, upstream: &str) -> Self {
        let place = Place::Unix(path.to_owned());
        Self {
            known: Known::of(&place, upstream),
            host: HeaderValue::from_static("localhost"),
            place,
        }
    }

    /// Opens a connection that the present thread's runtime watches.
    pub(super) async fn connect(&self) -> io::Result<Stream> {
        match &self.place {
            Place::Tcp { host, port } => Ok(Stream::Tcp(tcp(host, *port).await?)),
            Place::Tls { host, port, insecure } => {
                let connector = tls::connector(*insecure).await?;
                let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                let stream = tcp(host, *port).await?;
                let stream = timeout(HANDSHAKE_TIMEOUT, connector.connect(name, stream))
                    .await
                    .map_err(late)??;
                Ok(Stream::Tls(Box::new(stream.into())))
            }
            Place::Unix(path) => {
                let stream = timeout(CONNECT_TIMEOUT, UnixStream::connect(path)).await;
                Ok(Stream::Unix(stream.map_err(late)??))
            }
        }
    }
}

pub(super) fn late(_: tokio::time::error::Elapsed) -> io::Error {
    io::ErrorKind::TimedOut.into()
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = timeout(CONNECT_TIMEOUT, dial(host, port)).await.map_err(late)??;
    find_dead(&stream);
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_places_share_their_connections_and_others_do_not() {
        let id = |text, insecure| Origin::parse(text, insecure, "app").unwrap().known.id();
        assert_eq!(id("http://one.example/a", false), id("http://one.example:80/b?c", false));
        assert_ne!(id("http://one.example", false), id("https://one.example:80", false));
        assert_ne!(id("https://one.example", false), id("https://one.example", true));
    }

    #[test]
    fn what_names_no_server_is_refused() {
        for text in ["", "/path", "localhost", "ftp://host/", "unix:///run/x"] {
            assert!(Origin::parse(text, false, "app").is_err(), "{text}");
        }
    }

    #[test]
    fn the_host_header_has_the_port_only_if_it_is_not_the_usual_one() {
        for (uri, host) in [
            ("http://h:80/x", "h"),
            ("http://h:8080", "h:8080"),
            ("https://[::1]:8443", "[::1]:8443"),
        ] {
            assert_eq!(Origin::parse(uri, false, "app").unwrap().host, host);
        }
    }
}
