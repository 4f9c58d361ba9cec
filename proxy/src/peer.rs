//! Who is at the other end of a client's connection, as everybody on the way of a request may know it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often, at least, everything that waits for a client of HTTP/1 is polled, whether something has come or not.
pub(crate) const LOOKED_AFTER: Duration = Duration::from_secs(1);

/// A client, or a proxy in front of us.
#[derive(Debug)]
pub(crate) struct Peer {
    /// None: a unix domain socket.
    pub(crate) address: Option<SocketAddr>,
    /// The connection is encrypted.
    pub(crate) tls: bool,
    /// Something went one way or the other since the connection last looked.
    moved: AtomicBool,
}

impl Peer {
    /// The peer of a connection that was just accepted.
    pub(crate) fn new(address: Option<SocketAddr>, tls: bool) -> Arc<Self> {
        Arc::new(Self { address, tls, moved: AtomicBool::new(false) })
    }

    /// Bytes of a body went one way or the other, so the connection does not stand still.
    pub(crate) fn note_moved(&self) {
        self.moved.store(true, Ordering::Relaxed);
    }

    /// Whether anything moved since this was last asked.
    pub(crate) fn take_moved(&self) -> bool {
        self.moved.swap(false, Ordering::Relaxed)
    }
}
