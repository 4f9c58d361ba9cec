//! Listening sockets, TCP and unix.

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
                    drop(bind_tcp(address, false)?);
                }
                Ok(Self::Tcp(bind_tcp(address, true)?))
            }
        }
    }

    /// Another socket on the same port; the kernel spreads connections over both.
    pub(super) fn sibling(&self) -> io::Result<Option<TcpListener>> {
        match self {
            Self::Tcp(listener) => bind_tcp(listener.local_addr()?, true).map(Some),
            Self::Unix(..) => Ok(None),
        }
    }

    /// Address and port, for TCP.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }
}

fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    if host.is_empty() {
        return Ok(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
    }
    (host, port).to_socket_addrs()?.next().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

fn bind_tcp(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let open = |address: SocketAddr| {
        let socket =
            RawSocket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            // All interfaces means both families, as it does for the peer.
            socket.set_only_v6(!address.ip().is_unspecified())?;
        }
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(shared)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok::<_, io::Error>(TcpListener::from(socket))
    };
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
pub(crate) async fn breathe(error: &io::Error) {
    if is_want(error) {
        tracing::warn!(%error, "a connection can not be accepted");
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

    #[test]
    fn accepting_pauses_for_want_of_something_and_not_for_a_client_that_has_gone() {
        assert!(is_want(&Errno::MFILE.into()) && is_want(&Errno::NOMEM.into()));
        for gone in [Errno::CONNABORTED, Errno::INTR, Errno::PROTO, Errno::NETDOWN] {
            assert!(!is_want(&gone.into()), "{gone}");
        }
    }
}
