//! Listening sockets, TCP and unix.

use crate::stream::Stream;
use crate::telemetry::Sparing;
use proxy_config::Address;
use socket2::{Domain, Protocol, Socket as RawSocket, Type};
use std::io;
use std::net::{Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

const BACKLOG: i32 = 1024;
/// For want of file descriptors or memory.
const BREATH: Duration = Duration::from_millis(50);

/// A bound and listening socket, not yet tied to a runtime.
#[derive(Debug)]
pub(crate) enum Socket {
    /// TCP.
    Tcp(TcpListener),
    /// A unix domain socket; its file is removed when this is dropped.
    Unix(UnixListener, SocketFile),
}

/// The file of a unix domain socket.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have removed it before us; then there is nothing left to do.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Socket {
    /// Binds and listens. TCP: a port that another process listens on is an error, although the workers share theirs.
    ///
    /// # Errors
    /// As the operating system says.
    pub(crate) fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Unix(path) => bind_unix(path),
            Address::Tcp { host, port } => {
                let address = resolve(host, *port)?;
                if *port != 0 {
                    look(address)?;
                }
                Ok(Self::Tcp(bind_tcp(address)?))
            }
        }
    }

    /// Another socket on the same port; the kernel spreads connections over both. A unix socket has none.
    pub(super) fn sibling(&self) -> io::Result<Option<Self>> {
        match self {
            Self::Tcp(listener) => Ok(Some(Self::Tcp(bind_tcp(listener.local_addr()?)?))),
            Self::Unix(..) => Ok(None),
        }
    }

    /// Ties it to the present runtime.
    ///
    /// # Errors
    /// As the operating system says.
    pub(crate) fn open(self) -> io::Result<Open> {
        Ok(match self {
            Self::Tcp(listener) => Open::Tcp(tokio::net::TcpListener::from_std(listener)?),
            Self::Unix(listener, file) => {
                Open::Unix(tokio::net::UnixListener::from_std(listener)?, file)
            }
        })
    }

    /// Address and port, for TCP.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }
}

/// A socket that accepts.
pub(crate) enum Open {
    /// TCP.
    Tcp(tokio::net::TcpListener),
    /// A unix domain socket.
    Unix(tokio::net::UnixListener, SocketFile),
}

impl Open {
    /// The next connection, and over TCP who it is from.
    pub(crate) async fn accept(&self) -> (Stream, Option<SocketAddr>) {
        loop {
            let accepted = match self {
                Self::Tcp(listener) => {
                    listener.accept().await.map(|(stream, from)| (Stream::Tcp(stream), Some(from)))
                }
                Self::Unix(listener, _file) => {
                    listener.accept().await.map(|(stream, _)| (Stream::Unix(stream), None))
                }
            };
            match accepted {
                Ok(accepted) => return accepted,
                Err(error) => breathe(&error).await,
            }
        }
    }
}

fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    if host.is_empty() {
        return Ok(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
    }
    (host, port).to_socket_addrs()?.next().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

/// Whether this port is free. It is bound and not listened on: whoever connected at that moment would lose the connection.
fn look(address: SocketAddr) -> io::Result<()> {
    or_without_ipv6(address, |address| bound(address, false)).map(drop)
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = or_without_ipv6(address, |address| bound(address, true))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(TcpListener::from(socket))
}

fn bound(address: SocketAddr, shared: bool) -> io::Result<RawSocket> {
    let socket = RawSocket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // All interfaces means both families, as it does for oauth2-proxy.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn or_without_ipv6<T>(
    address: SocketAddr,
    open: impl Fn(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    match open(address) {
        // A machine without IPv6.
        Err(error)
            if address.ip() == Ipv6Addr::UNSPECIFIED
                && error.kind() != io::ErrorKind::AddrInUse =>
        {
            open(SocketAddr::from(([0, 0, 0, 0], address.port())))
        }
        outcome => outcome,
    }
}

fn bind_unix(path: &Path) -> io::Result<Socket> {
    // A socket that a process before us left behind; one that is alive, or any other file, is an error.
    let stale = std::fs::symlink_metadata(path)
        .is_ok_and(|metadata| metadata.file_type().is_socket())
        && std::os::unix::net::UnixStream::connect(path).is_err();
    if stale {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(Socket::Unix(listener, SocketFile(path.to_owned())))
}

/// After a failed accept: waits, where the next one would fail as well. That a client is gone already is no such reason.
async fn breathe(error: &io::Error) {
    thread_local!(static WANT: Sparing = const { Sparing::new() });
    if is_want(error) {
        if let Some(left_out) = WANT.with(Sparing::admit) {
            tracing::warn!(%error, left_out, "a connection can not be accepted");
        }
        tokio::time::sleep(BREATH).await;
    }
}

fn is_want(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS]
        .iter()
        .any(|want| error.raw_os_error() == Some(want.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;
    use std::net::{Ipv4Addr, TcpStream};

    #[test]
    fn accepting_pauses_for_want_of_something_and_not_for_a_client_that_has_gone() {
        assert!(is_want(&Errno::MFILE.into()) && is_want(&Errno::NOMEM.into()));
        for gone in [Errno::CONNABORTED, Errno::INTR, Errno::PROTO, Errno::NETDOWN] {
            assert!(!is_want(&gone.into()), "{gone}");
        }
    }

    #[test]
    fn nobody_can_connect_while_we_look_whether_a_port_is_free() {
        let socket = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), false).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let refused = TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_not_free() {
        let listener = bind_tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(look(address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let sibling = bind_tcp(address).unwrap();
        assert_eq!(sibling.local_addr().unwrap(), address, "the workers share it");
    }
}
