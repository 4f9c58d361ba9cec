//! A connection between its acceptance and the worker that serves it.

use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpStream, UnixStream};

/// A connection that was accepted here.
pub(super) enum Accepted {
    Tcp(TcpStream, SocketAddr, bool),
    Unix(UnixStream),
}

/// The same on its way to another worker, tied to no runtime.
pub(super) enum Handed {
    Tcp(std::net::TcpStream, SocketAddr, bool),
    Unix(std::os::unix::net::UnixStream),
}

impl Accepted {
    pub(super) fn unregister(self) -> io::Result<Handed> {
        Ok(match self {
            Self::Tcp(stream, address, tls) => Handed::Tcp(stream.into_std()?, address, tls),
            Self::Unix(stream) => Handed::Unix(stream.into_std()?),
        })
    }
}

impl Handed {
    pub(super) fn register(self) -> io::Result<Accepted> {
        Ok(match self {
            Self::Tcp(stream, address, tls) => {
                Accepted::Tcp(TcpStream::from_std(stream)?, address, tls)
            }
            Self::Unix(stream) => Accepted::Unix(UnixStream::from_std(stream)?),
        })
    }
}
