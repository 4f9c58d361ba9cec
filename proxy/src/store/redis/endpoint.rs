//! The way to the server: the socket, TLS, and the login.

use super::guard::Guard;
use crate::dial::dial;
use crate::thread::Made;
use crate::trust::{self, Roots};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, ConnectionAddr, ErrorKind, ProtocolVersion, RedisConnectionInfo,
    RedisError, Value, cmd,
};
use rustls_pki_types::ServerName;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;

/// Bound on connecting, TLS and authentication included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Bound on one command.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(2);
/// Commands that wait to be written; more wait for room.
const QUEUE: usize = 512;

/// Where a server is, and what it is told and shown.
pub(super) struct Endpoint {
    address: ConnectionAddr,
    login: RedisConnectionInfo,
    /// The PEM file, and its text, with roots that are trusted beside the system's.
    roots: Option<Arc<(PathBuf, Vec<u8>)>>,
    /// Made at the first connection: reading the system's roots takes milliseconds.
    tls: Made<TlsConnector>,
}

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Wire for S {}

impl Endpoint {
    /// Connects to nothing yet.
    pub(super) fn new(
        address: ConnectionAddr,
        login: RedisConnectionInfo,
        roots: Option<(PathBuf, Vec<u8>)>,
    ) -> Self {
        // The answer to a name would mean nothing to us, and some users may not ask. Replies of the newer protocol have more
        // kinds than the guard bounds, and none that we need.
        let login = login.set_skip_set_lib_name().set_protocol(ProtocolVersion::RESP2);
        Self { address, login, roots: roots.map(Arc::new), tls: Made::new() }
    }

    /// A new connection, which the present runtime drives.
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        tokio::time::timeout(CONNECT_TIMEOUT, self.log_in()).await.unwrap_or_else(|_| {
            Err(io::Error::new(io::ErrorKind::TimedOut, "no connection in time").into())
        })
    }

    async fn log_in(&self) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_pipeline_buffer_size(QUEUE)
            .set_response_timeout(Some(COMMAND_TIMEOUT));
        let stream = Guard::new(self.open().await?);
        let (mut connection, driver) =
            MultiplexedConnection::new_with_config(&self.login, stream, config).await?;
        tokio::spawn(driver);
        // A server that accepts and says nothing is found out here, behind the requests. Any answer will do: who may not
        // ask is told so.
        match cmd("PING").query_async::<Value>(&mut connection).await {
            Err(error) if error.code().is_none() => Err(error),
            Ok(_) | Err(_) => Ok(connection),
        }
    }

    async fn open(&self) -> Result<Box<dyn Wire>, RedisError> {
        match &self.address {
            ConnectionAddr::Tcp(host, port) => Ok(Box::new(dial(host, *port).await?)),
            ConnectionAddr::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            ConnectionAddr::TcpTls { host, port, insecure, tls_params: _ } => {
                let connector = self.connector(*insecure).await?;
                let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
                Ok(Box::new(connector.connect(name, dial(host, *port).await?).await?))
            }
            _ => Err(RedisError::from((ErrorKind::InvalidClientConfig, "unknown kind of address"))),
        }
    }

    /// Somebody gives up on a connection in two seconds: whoever comes next waits for the same roots.
    async fn connector(&self, insecure: bool) -> io::Result<TlsConnector> {
        if insecure {
            return self
                .tls
                .at_once(|| Ok(TlsConnector::from(Arc::new(trust::client_of_anybody()?))));
        }
        let extra = self.roots.clone();
        let make = move || {
            let mut roots = Roots::none();
            roots.add_system();
            if let Some(file) = extra {
                roots.add_file(&file.0, &file.1)?;
            }
            Ok(TlsConnector::from(Arc::new(trust::client(roots)?)))
        };
        self.tls.get("roots", make).await
    }
}
