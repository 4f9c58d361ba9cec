//! Worker threads: each accepts on sockets of its own, serves what it accepts, hands over what others have more room for,
//! and stops when it is told to and has nothing left in flight.

use super::bound::Bound;
use super::connection::{self, Bounds, Conn};
use super::listener::{Socket, breathe};
use super::load::{Loads, Slot};
use super::service::Handle;
use super::{BLOCKING_THREADS, Certificate, Drain, TlsError, http2};
use crate::entry::Answered;
use crate::metrics::{Event, Registry};
use crate::output::Writer;
use crate::peer::Peer;
use crate::stream::{Stream, find_dead};
use crate::worker::{Busy, Worker};
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use proxy_config::{Limits, TlsVersion};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;

const HOUSEKEEPING: Duration = Duration::from_secs(10);

/// What a server needs beside its sockets.
pub(crate) struct Settings<'a> {
    /// Bounds and the number of workers.
    pub(crate) limits: &'a Limits,
    /// The certificate, if TLS is served, and the oldest version spoken.
    pub(crate) tls: Option<(&'a Certificate, TlsVersion)>,
    /// Where counters are registered.
    pub(crate) registry: &'a Registry,
    /// Where access lines go.
    pub(crate) log: &'a Writer,
    /// What each worker does for its handler once in a while.
    pub(crate) tick: fn(Instant),
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("a worker can not be started: {0}")]
    Thread(#[from] io::Error),
}

/// A running server. Dropping it stops it at once.
#[derive(Debug)]
pub(crate) struct Server {
    stop: watch::Sender<Phase>,
    workers: Vec<Arc<Worker>>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Serving,
    Draining(Duration),
    Stopped,
}

/// A connection that was accepted here.
enum Accepted {
    Tcp(TcpStream, SocketAddr, bool),
    Unix(UnixStream),
}

/// The same on its way to another worker, tied to no runtime.
enum Handed {
    Tcp(std::net::TcpStream, SocketAddr, bool),
    Unix(std::os::unix::net::UnixStream),
}

impl Accepted {
    fn unregister(self) -> io::Result<Handed> {
        Ok(match self {
            Self::Tcp(stream, address, tls) => Handed::Tcp(stream.into_std()?, address, tls),
            Self::Unix(stream) => Handed::Unix(stream.into_std()?),
        })
    }
}

impl Handed {
    fn register(self) -> io::Result<Accepted> {
        Ok(match self {
            Self::Tcp(stream, address, tls) => {
                Accepted::Tcp(TcpStream::from_std(stream)?, address, tls)
            }
            Self::Unix(stream) => Accepted::Unix(UnixStream::from_std(stream)?),
        })
    }
}

impl Server {
    /// Starts the workers. `make` gives each its handler; what that owns is the worker's alone.
    ///
    /// # Errors
    /// TLS can not be set up, a socket can not be shared, or the system gives no more threads.
    pub(crate) fn start<H, F>(
        bound: Bound,
        settings: &Settings<'_>,
        make: impl Fn(&Arc<Worker>) -> H,
    ) -> Result<Self, StartError>
    where
        H: Fn(Arc<Peer>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output: Into<Answered>> + Send + 'static,
    {
        raise_open_files();
        let acceptor =
            settings.tls.map(|(certificate, oldest)| certificate.acceptor(oldest)).transpose()?;
        let count = match usize::from(settings.limits.workers) {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        };
        let loads = Loads::new(count, settings.limits.max_connections as usize);
        let (stop, stopped) = watch::channel(Phase::Serving);
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..count).map(|_| mpsc::unbounded_channel()).unzip();
        let mut server = Self { stop, workers: Vec::new(), threads: Vec::new() };
        let mut sockets = sockets_of(bound, count)?;
        for (index, handed) in receivers.into_iter().enumerate() {
            let worker = Arc::new(Worker {
                index,
                shard: settings.registry.shard(),
                log: settings.log.log(),
                busy: Arc::new(Busy::default()),
            });
            let handler = make(&worker);
            server.workers.push(Arc::clone(&worker));
            let thread = Thread {
                handle: Arc::new(Handle {
                    worker,
                    handler,
                    bounds: bounds(settings.limits),
                    http1: http1_builder(),
                }),
                loads: Arc::clone(&loads),
                acceptor: acceptor.clone(),
                peers: senders.clone(),
                tick: settings.tick,
            };
            let (own, stopped) = (sockets.pop().unwrap_or_default(), stopped.clone());
            let run = move || thread.run(own, handed, stopped);
            server
                .threads
                .push(std::thread::Builder::new().name(format!("worker-{index}")).spawn(run)?);
        }
        Ok(server)
    }

    /// The workers, for whoever looks at what they do.
    #[cfg(test)]
    pub(crate) fn workers(&self) -> Vec<Arc<Worker>> {
        self.workers.clone()
    }

    /// A way to have every answer close its connection while the server goes on: the pod is about to end, and clients
    /// that stay on their connections would meet nobody.
    pub(crate) fn farewell(&self) -> Farewell {
        Farewell(self.workers.clone())
    }

    /// Stops: answers close their connections, then no new ones are accepted, then what is in flight gets its time.
    pub(crate) async fn drain(mut self, drain: Drain) {
        self.workers.iter().for_each(|worker| worker.busy.stop());
        tokio::time::sleep(drain.linger).await;
        self.stop.send_replace(Phase::Draining(drain.timeout));
        let threads = std::mem::take(&mut self.threads);
        let join = move || threads.into_iter().for_each(|thread| drop(thread.join()));
        // A worker that panicked has said so; the others end by their own deadline.
        let _ = tokio::task::spawn_blocking(join).await;
    }
}

/// See [`Server::farewell`].
#[derive(Clone, Debug)]
pub(crate) struct Farewell(Vec<Arc<Worker>>);

impl Farewell {
    /// From now on.
    pub(crate) fn begin(&self) {
        self.0.iter().for_each(|worker| worker.busy.stop());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(Phase::Stopped);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[derive(Default)]
struct Own {
    http: Option<std::net::TcpListener>,
    https: Option<std::net::TcpListener>,
    unix: Option<Socket>,
}

/// A set of sockets for each worker; a unix socket can not be shared, so one worker accepts for all.
fn sockets_of(bound: Bound, count: usize) -> io::Result<Vec<Own>> {
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

/// Each connection is a file here and one at the upstream. The soft limit is a thousand on many systems, for programs that
/// use `select`; the hard one is what the administrator means.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::warn!(%error, "the limit of open files can not be raised");
    }
}

fn bounds(limits: &Limits) -> Bounds {
    Bounds {
        header_timeout: limits.header_timeout.get(),
        idle_timeout: limits.idle_timeout.get(),
        stream_idle_timeout: Some(limits.stream_idle_timeout.get()).filter(|time| !time.is_zero()),
        stall_timeout: limits.stall_timeout.get(),
        max_header_bytes: limits.max_header_bytes as usize,
    }
}

fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    // As most programs write them: old clients compare letters.
    builder.title_case_headers(true);
    // The parser's own time-out would move a timer with every request; the connection has a lazy one.
    builder.timer(TokioTimer::new()).header_read_timeout(None);
    builder
}

/// One worker's thread.
struct Thread<H> {
    handle: Arc<Handle<H>>,
    loads: Arc<Loads>,
    acceptor: Option<TlsAcceptor>,
    peers: Vec<mpsc::UnboundedSender<(Handed, Slot)>>,
    tick: fn(Instant),
}

impl<H, F> Thread<H>
where
    H: Fn(Arc<Peer>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output: Into<Answered>> + Send + 'static,
{
    fn run(
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
