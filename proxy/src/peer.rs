//! Who is at the other end of a client's connection, as everybody on the way of a request may know it.

use std::net::{IpAddr, SocketAddr};
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
    /// The address with its port as text, and behind it the address alone in its usual form.
    text: Box<str>,
    alone: usize,
    /// The connection is encrypted.
    pub(crate) tls: bool,
    /// Something went one way or the other since the connection last looked.
    moved: AtomicBool,
}

impl Peer {
    /// The peer of a connection that was just accepted.
    pub(crate) fn new(address: Option<SocketAddr>, tls: bool) -> Arc<Self> {
        let text = address.map(|address| address.to_string()).unwrap_or_default();
        let alone = address.map(|address| address.ip().to_canonical().to_string());
        Arc::new(Self {
            address,
            alone: text.len(),
            text: (text + &alone.unwrap_or_default()).into(),
            tls,
            moved: AtomicBool::new(false),
        })
    }

    /// The address with its port.
    pub(crate) fn text(&self) -> Option<&str> {
        self.text.get(..self.alone).filter(|text| !text.is_empty())
    }

    /// The address alone; that of an IPv4 client as such, whichever socket it came by.
    pub(crate) fn ip(&self) -> Option<&str> {
        self.text.get(self.alone..).filter(|text| !text.is_empty())
    }

    /// The same as an address.
    pub(crate) fn canonical(&self) -> Option<IpAddr> {
        self.address.map(|address| address.ip().to_canonical())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_with_its_port_and_alone() {
        for (text, ip) in [
            ("192.0.2.7:80", "192.0.2.7"),
            ("[2001:db8::7]:8080", "2001:db8::7"),
            ("[::ffff:192.0.2.7]:80", "192.0.2.7"),
        ] {
            let peer = Peer::new(Some(text.parse().expect("an address")), false);
            assert_eq!((peer.text(), peer.ip()), (Some(text), Some(ip)));
        }
        let peer = Peer::new(None, false);
        assert_eq!((peer.text(), peer.ip()), (None, None));
    }
}
