//! Accepting connections and turning them into requests: listeners, worker threads, TLS, parking of idle connections,
//! strict framing, draining. It hands each request to one function and knows nothing of what that does.
//!
//! Each worker is a thread with a runtime of its own; nothing that a request touches is shared between them.

mod bound;
mod checked;
mod connection;
mod drain;
mod framing;
mod goodbye;
mod http2;
mod listener;
mod load;
mod service;
mod tls;
mod worker;

pub(crate) use bound::{BindError, Bound};
pub(crate) use drain::{Busy, Drain};
pub(crate) use framing::Framing;
pub(crate) use listener::Socket;
pub(crate) use tls::{Certificate, TlsError};
pub(crate) use worker::{Farewell, Server, Settings, StartError};

use crate::access_log::Log;
use crate::metrics::Shard;
use load::Slot;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a worker thread has for the requests that it serves.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Counts from zero.
    pub(crate) index: usize,
    /// This worker's counters.
    pub(crate) shard: Arc<Shard>,
    /// Where access lines go.
    pub(crate) log: Log,
    /// What must end before this worker may.
    pub(crate) busy: Arc<Busy>,
}

/// Who is at the other end of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    /// None: a unix domain socket.
    pub(crate) address: Option<SocketAddr>,
    /// The connection is encrypted.
    pub(crate) tls: bool,
    slot: Option<Slot>,
    /// Something went one way or the other since the connection last looked.
    moved: AtomicBool,
}

impl Peer {
    /// A peer that no listener has accepted, as tests of handlers need it.
    #[cfg(test)]
    pub(crate) fn new(address: Option<SocketAddr>, tls: bool) -> Arc<Self> {
        Self::with(address, tls, None)
    }

    fn with(address: Option<SocketAddr>, tls: bool, slot: Option<Slot>) -> Arc<Self> {
        Arc::new(Self { address, tls, slot, moved: AtomicBool::new(false) })
    }

    /// Bytes of a body went one way or the other, so the connection does not stand still.
    pub(crate) fn note_moved(&self) {
        self.moved.store(true, Ordering::Relaxed);
    }

    fn take_moved(&self) -> bool {
        self.moved.swap(false, Ordering::Relaxed)
    }

    fn is_crowded(&self, limit: usize) -> bool {
        self.slot.as_ref().is_some_and(|slot| slot.is_crowded(limit))
    }
}

#[cfg(test)]
pub(crate) mod tests;
