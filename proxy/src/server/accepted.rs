//! A connection between its acceptance and the worker that serves it.

use super::bound::Transport;
use crate::stream::Stream;
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpStream, UnixStream};

/// A connection that was accepted here.
pub(super) struct Accepted {
    pub(super) stream: Stream,
    /// Of the client; none: a unix domain socket.
    pub(super) address: Option<SocketAddr>,
    pub(super) transport: Transport,
}

/// The same on its way to another worker, tied to no runtime.
pub(super) struct Handed {
    stream: Unregistered,
    address: Option<SocketAddr>,
    transport: Transport,
}

enum Unregistered {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Accepted {
    pub(super) fn unregister(self) -> io::Result<Handed> {
        let Self { stream, address, transport } = self;
        let stream = match stream {
            Stream::Tcp(stream) => Unregistered::Tcp(stream.into_std()?),
            Stream::Unix(stream) => Unregistered::Unix(stream.into_std()?),
            // Whoever has begun to speak stays where it is.
            Stream::Tls(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(Handed { stream, address, transport })
    }
}

impl Handed {
    pub(super) fn register(self) -> io::Result<Accepted> {
        let Self { stream, address, transport } = self;
        let stream = match stream {
            Unregistered::Tcp(stream) => Stream::Tcp(TcpStream::from_std(stream)?),
            Unregistered::Unix(stream) => Stream::Unix(UnixStream::from_std(stream)?),
        };
        Ok(Accepted { stream, address, transport })
    }
}
