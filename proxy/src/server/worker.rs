//! A worker thread: it accepts on sockets of its own, serves what it accepts, hands over what others have more room for,
//! and stops when it is told to and has nothing left in flight.

use super::accepted::{Accepted, Handed};
use super::bound::{Listener, Transport};
use super::conn::Conn;
use super::connection;
use super::http2;
use super::listener::Open;
use super::load::{Loads, Slot};
use super::preface::Begun;
use super::service::Handle;
use crate::entry::Answered;
use crate::metrics::Event;
use crate::peer::Peer;
use crate::stream::{Stream, find_dead};
use bytes::Bytes;
use http::Request;
use hyper::body::Incoming;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;

const HOUSEKEEPING: Duration = Duration::from_secs(10);

/// What a worker is told to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Phase {
    Serving,
    Draining(Duration),
    Stopped,
}

/// Listeners for each worker; what can not be shared the last one has, and accepts for all.
pub(super) fn shared(listeners: Vec<Listener>, count: usize) -> io::Result<Vec<Vec<Listener>>> {
    let mut sets = Vec::new();
    for _ in 1..count {
        let siblings = listeners.iter().filter_map(|listener| listener.sibling().transpose());
        sets.push(siblings.collect::<io::Result<Vec<_>>>()?);
    }
    sets.push(listeners);
    Ok(sets)
}

/// One worker's thread.
pub(super) struct Thread<H> {
    pub(super) handle: Arc<Handle<H>>,
    pub(super) loads: Arc<Loads>,
    pub(super) acceptor: Option<TlsAcceptor>,
    pub(super) peers: Vec<mpsc::UnboundedSender<(Handed, Slot)>>,
    pub(super) tick: fn(Instant),
}

impl<H, F> Thread<H>
where
    H: Fn(Arc<Peer>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output: Into<Answered>> + Send + 'static,
{
    pub(super) fn run(
        self,
        own: Vec<Listener>,
        handed: mpsc::UnboundedReceiver<(Handed, Slot)>,
        stopped: watch::Receiver<Phase>,
    ) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = match builder.enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(%error, "a worker has no runtime and serves nothing");
                return;
            }
        };
        // Whatever still runs when this returns is dropped with the runtime: parked connections, and what overran.
        runtime.block_on(Arc::new(self).work(own, handed, stopped));
    }

    async fn work(
        self: Arc<Self>,
        own: Vec<Listener>,
        mut handed: mpsc::UnboundedReceiver<(Handed, Slot)>,
        mut stopped: watch::Receiver<Phase>,
    ) {
        let mut tasks = Vec::new();
        for Listener { name, socket, transport, .. } in own {
            match socket.open() {
                Ok(open) => tasks.push(tokio::spawn(Arc::clone(&self).accept(open, transport))),
                Err(error) => tracing::error!(name, %error, "a worker can not use its listener"),
            }
        }
        let mut housekeeping = tokio::time::interval(HOUSEKEEPING);
        let phase = loop {
            tokio::select! {
                Some((stream, slot)) = handed.recv() => self.adopt(stream, slot),
                _ = housekeeping.tick() => (self.tick)(Instant::now()),
                _ = stopped.changed() => break *stopped.borrow(),
            }
        };
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        if let Phase::Draining(limit) = phase {
            let busy = &self.handle.worker.busy;
            if timeout(limit, busy.idle()).await.is_err() {
                tracing::warn!(
                    worker = self.handle.worker.index,
                    "requests were cut off: the drain timeout is over"
                );
            }
        }
    }

    async fn accept(self: Arc<Self>, open: Open, transport: Transport) {
        loop {
            let (stream, address) = open.accept().await;
            let slot = self.loads.place(&self.handle.worker).await;
            self.place(Accepted { stream, address, transport }, slot);
        }
    }

    /// Serves a new connection here, or has the worker do it that has a place for it.
    fn place(self: &Arc<Self>, accepted: Accepted, slot: Slot) {
        let (worker, target) = (&self.handle.worker, slot.index());
        match self.peers.get(target).filter(|_| target != worker.index) {
            Some(other) => {
                worker.shard.count(Event::ConnectionHandedOver);
                // A worker that has gone takes the connection along: the whole server is stopping.
                let _ = accepted.unregister().map(|accepted| other.send((accepted, slot)));
            }
            None => self.serve(accepted, slot),
        }
    }

    fn adopt(self: &Arc<Self>, handed: Handed, slot: Slot) {
        if let Ok(accepted) = handed.register() {
            self.serve(accepted, slot);
        }
    }

    fn serve(self: &Arc<Self>, accepted: Accepted, mut slot: Slot) {
        slot.take(&self.handle.worker);
        let handle = Arc::clone(&self.handle);
        let Accepted { stream, address, transport } = accepted;
        let peer = Peer::new(address, transport == Transport::Tls);
        let untold = transport == Transport::Plain { h2c: true };
        let conn = Conn::new(&self.handle.worker, peer, slot, untold);
        if let Stream::Tcp(stream) = &stream {
            // Without it answers wait for acknowledgements; with a socket that is gone already it does not matter.
            let _ = stream.set_nodelay(true);
            find_dead(stream);
        }
        match (stream, transport, &self.acceptor) {
            (Stream::Tcp(stream), Transport::Tls, Some(acceptor)) => {
                drop(tokio::spawn(handshake(acceptor.clone(), handle, stream, conn)));
            }
            (stream, Transport::Plain { .. }, _) => {
                drop(tokio::spawn(connection::serve(handle, stream, conn)));
            }
            // The configuration has no such listener; what is meant to be encrypted is never served as it is.
            (_, Transport::Tls, _) => {}
        }
    }
}

async fn handshake<H, F>(
    acceptor: TlsAcceptor,
    handle: Arc<Handle<H>>,
    stream: TcpStream,
    conn: Arc<Conn>,
) where
    H: Fn(Arc<Peer>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output: Into<Answered>> + Send + 'static,
{
    // Boxed, because the handshake's state is large and the connection keeps its task for hours.
    let accept = Box::pin(timeout(handle.bounds.header_timeout, acceptor.accept(stream)));
    let Ok(Ok(stream)) = accept.await else {
        handle.worker.shard.count(Event::TlsHandshakeFailed);
        return;
    };
    let wants_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let stream = Stream::Tls(Box::new(stream.into()));
    if wants_http2 {
        let begun = Begun::new(Bytes::new(), stream, Arc::clone(&conn));
        Box::pin(http2::serve(handle, begun, conn)).await;
    } else {
        connection::serve(handle, stream, conn).await;
    }
}
