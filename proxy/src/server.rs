//! Accepting connections and turning them into requests: listeners, worker threads, TLS, parking of idle connections,
//! strict framing, draining. It hands each request to one function and knows nothing of what that does.
//!
//! Each worker is a thread with a runtime of its own; nothing that a request touches is shared between them.

mod accepted;
mod bound;
mod checked;
mod conn;
mod connection;
mod framing;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod goodbye;
mod heads;
mod http2;
mod listener;
mod load;
mod preface;
mod running;
mod service;
mod tls;
mod watch;
mod worker;

pub(crate) use bound::{BindError, Internal, Listener, Serves, address_of, bind};
pub(crate) use framing::Framing;
pub(crate) use running::{Farewell, Fittings, ServeError, Server};
pub(crate) use tls::{Certificate, TlsError};

use std::time::Duration;

/// How a server stops.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drain {
    /// How long connections are still accepted after readiness is off, for load balancers that take a while to notice.
    /// Every answer closes its connection meanwhile.
    pub(crate) linger: Duration,
    /// How long requests in flight and upgraded connections may take after that.
    pub(crate) timeout: Duration,
}

#[cfg(test)]
pub(crate) mod tests;
