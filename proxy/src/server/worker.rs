//! A worker thread: it accepts on sockets of its own, serves what it accepts, hands over what others have more room for,
//! and stops when it is told to and has nothing left in flight.

use super::accepted::{Accepted, Handed};
use super::bound::Bound;
use super::conn::Conn;
use super::connection;
use super::listener::{Socket, breathe};
use super::load::{Loads, Slot};
use super::service::Handle;
use super::{BLOCKING_THREADS, http2};
use crate::entry::Answered;
use crate::metrics::Event;
use crate::peer::Peer;
use crate::stream::{Stream, find_dead};
use http::Request;
use hyper::body::Incoming;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener};
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

#[derive(Default)]
pub(super) struct Own {
    http: Option<std::net::TcpListener>,
    https: Option<std::net::TcpListener>,
    unix: Option<Socket>,
}

/// A set of sockets for each worker; a unix socket can not be shared, so one worker accepts for all.
pub(super) fn sockets_of(bound: Bound, count: usize) -> io::Result<Vec<Own>> {
    let Bound { http, https, admin: _, metrics: _ } = bound;
    let mut sets: Vec<Own> = Vec::new();
    for _ in 1..count {
        let sibling = |socket: &Option<Socket>| socket.as_ref().map_or(Ok(None), Socket::sibling);
        sets.push(Own { http: sibling(&http)?, https: sibling(&https)?, unix: None });
    }
    let mut first = Own::default();
    for (socket, tls) in [(http, false), (https, true)] {
        match socket {
            Some(Socket::Tcp(listener)) if tls => first.https = Some(listener),
            Some(Socket::Tcp(listener)) => first.http = Some(listener),
            Some(unix @ Socket::Unix(..)) => first.unix = Some(unix),
            None => {}
        }
    }
    sets.push(first);
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
        own: Own,
        handed: mpsc::UnboundedReceiver<(Handed, Slot)>,
        stopped: watch::Receiver<Phase>,
    ) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = match builder.enable_all().max_blocking_threads(BLOCKING_THREADS).build() {
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
        own: Own,
        mut handed: mpsc::UnboundedReceiver<(Handed, Slot)>,
        mut stopped: watch::Receiver<Phase>,
    ) {
        let mut tasks = Vec::new();
        for (listener, tls) in [(own.http, false), (own.https, true)] {
            match listener.map(TcpListener::from_std) {
                Some(Ok(listener)) => {
                    tasks.push(tokio::spawn(Arc::clone(&self).accept_tcp(listener, tls)));
                }
                Some(Err(error)) => tracing::error!(%error, "a worker can not use its listener"),
                None => {}
            }
        }
        if let Some(Socket::Unix(listener, file)) = own.unix {
            match UnixListener::from_std(listener) {
                Ok(listener) => {
                    tasks.push(tokio::spawn(Arc::clone(&self).accept_unix(listener, file)));
                }
                Err(error) => tracing::error!(%error, "a worker can not use its listener"),
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

    async fn accept_tcp(self: Arc<Self>, listener: TcpListener, tls: bool) {
        loop {
            match listener.accept().await {
                Ok((stream, address)) => self.place(Accepted::Tcp(stream, address, tls)),
                Err(error) => breathe(&error).await,
            }
        }
    }

    async fn accept_unix(
        self: Arc<Self>,
        listener: UnixListener,
        _file: super::listener::SocketFile,
    ) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => self.place(Accepted::Unix(stream)),
                Err(error) => breathe(&error).await,
            }
        }
    }

    /// Serves a new connection here, or has the least loaded worker do it.
    fn place(self: &Arc<Self>, accepted: Accepted) {
        let worker = &self.handle.worker;
        let target = self.loads.target(worker.index);
        let Some(slot) = self.loads.enter(target) else {
            worker.shard.count(Event::ConnectionRefused);
            return;
        };
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
        match accepted {
            Accepted::Tcp(stream, address, tls) => {
                // Without it answers wait for acknowledgements; with a socket that is gone already it does not matter.
                let _ = stream.set_nodelay(true);
                find_dead(&stream);
                let conn = Conn::new(&self.handle.worker, Peer::new(Some(address), tls), slot);
                match self.acceptor.as_ref().filter(|_| tls) {
                    Some(acceptor) => {
                        drop(tokio::spawn(handshake(acceptor.clone(), handle, stream, conn)));
                    }
                    None => {
                        drop(tokio::spawn(connection::serve(handle, Stream::Tcp(stream), conn)));
                    }
                }
            }
            Accepted::Unix(stream) => {
                let conn = Conn::new(&self.handle.worker, Peer::new(None, false), slot);
                drop(tokio::spawn(connection::serve(handle, Stream::Unix(stream), conn)));
            }
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
        Box::pin(http2::serve(handle, stream, conn)).await;
    } else {
        connection::serve(handle, stream, conn).await;
    }
}
