//! A server that runs: its workers are started together, told together and ended together.

use super::bound::Listener;
use super::load::Loads;
use super::service::Handle;
use super::watch::Bounds;
use super::worker::{Phase, Thread, shared};
use super::{Certificate, Drain, TlsError};
use crate::entry::Answered;
use crate::metrics::Registry;
use crate::output::Writer;
use crate::peer::Peer;
use crate::thread;
use crate::worker::{Busy, Worker};
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use proxy_config::{Limits, TlsVersion};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Files that are needed for anything but clients and upstreams.
const OTHER_FILES: usize = 64;

/// How often it is looked whether the workers have ended.
const LOOK: Duration = Duration::from_millis(5);

/// What a server needs beside its sockets.
pub(crate) struct Fittings<'a> {
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
pub(crate) enum ServeError {
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

impl Server {
    /// Starts the workers, which accept on `listeners`. `make` gives each its handler; what that owns is the worker's alone.
    ///
    /// # Errors
    /// TLS can not be set up, a socket can not be shared, or the system gives no more threads.
    pub(crate) fn start<H, F>(
        listeners: Vec<Listener>,
        settings: &Fittings<'_>,
        make: impl Fn(&Arc<Worker>) -> H,
    ) -> Result<Self, ServeError>
    where
        H: Fn(Arc<Peer>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output: Into<Answered>> + Send + 'static,
    {
        let most = fitting(settings.limits.max_connections as usize, raise_open_files());
        let acceptor =
            settings.tls.map(|(certificate, oldest)| certificate.acceptor(oldest)).transpose()?;
        let count = match usize::from(settings.limits.workers) {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        };
        let loads = Loads::new(count, most);
        let (stop, stopped) = watch::channel(Phase::Serving);
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..count).map(|_| mpsc::unbounded_channel()).unzip();
        let mut server = Self { stop, workers: Vec::new(), threads: Vec::new() };
        let mut sockets = shared(listeners, count)?;
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
            server.threads.push(thread::spawn(&format!("worker-{index}"), run)?);
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
    pub(crate) async fn drain(self, drain: Drain) {
        self.workers.iter().for_each(|worker| worker.busy.stop());
        tokio::time::sleep(drain.linger).await;
        self.stop.send_replace(Phase::Draining(drain.timeout));
        // A worker that panicked has said so; the others end by their own deadline. To be told of it would take a thread more.
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            tokio::time::sleep(LOOK).await;
        }
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
/// Each connection is a file here and one at the upstream. The soft limit is a thousand on many systems, for programs that
/// use `select`; the hard one is what the administrator means.
///
/// Gives back how many there may be, if that is bounded.
fn raise_open_files() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files can not be raised");
            current
        }
    }
}

/// How many connections of clients there may be: as many as configured, if the system allows for a file at the upstream for each
/// of them. Silent ones would take the files of those who ask.
fn fitting(wanted: usize, files: Option<u64>) -> usize {
    let Some(files) = files else { return wanted };
    let fitting =
        (usize::try_from(files).unwrap_or(usize::MAX).saturating_sub(OTHER_FILES) / 2).max(1);
    if fitting < wanted {
        tracing::warn!(
            files,
            "the limit of open files allows for {fitting} connections of clients instead of {wanted} (limits.maxConnections)"
        );
    }
    wanted.min(fitting)
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

#[cfg(test)]
mod tests {
    use super::fitting;

    #[test]
    fn there_are_no_more_connections_than_the_limit_of_open_files_has_room_for() {
        assert_eq!(fitting(50_000, None), 50_000);
        assert_eq!(fitting(50_000, Some(1 << 20)), 50_000);
        assert_eq!(fitting(50_000, Some(1024)), 480);
        assert_eq!(fitting(100, Some(1024)), 100);
        assert_eq!(fitting(100, Some(10)), 1);
    }
}
