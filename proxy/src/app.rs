//! The composition root: makes the parts, joins them, and ends them in order. The program and the tests start the proxy
//! here and nowhere else.
//!
//! The thread that calls [`App::run`] becomes the control runtime: signals, reloads, discovery and refreshes. Requests are
//! served by the workers' own threads, and so are probes.

use crate::admin::{Admin, Listening};
use crate::args::Serving;
use crate::clock::SystemClock;
use crate::gate;
use crate::metrics::Registry;
use crate::options::ReadError;
use crate::output::Writer;
use crate::refresh::Refresher;
use crate::reload::{self, InForce, Reloader, Seen};
use crate::server::{self, BindError, Drain, Internal, Listener, Server, Serves};
use crate::site::{Context, SiteCell, SiteReader};
use crate::telemetry::Telemetry;
use crate::upstream;
use proxy_config::Listeners;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How long new connections are still accepted once readiness is off. Only where there is an admin listener, because only
/// there somebody watches readiness.
const LINGER: Duration = Duration::from_secs(2);

/// What the process is told while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Read the configuration again.
    Reload,
    /// Finish what is in flight and end; a second one: end at once.
    Stop,
}

/// Why the proxy did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The configuration can not be read.
    #[error(transparent)]
    Load(#[from] ReadError),
    /// The configuration is wrong; every problem, one a line.
    #[error("{0}")]
    Invalid(String),
    /// A listener.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A thread.
    #[error(transparent)]
    Server(#[from] server::ServeError),
    /// The control runtime.
    #[error("the runtime can not be started: {0}")]
    Runtime(#[from] io::Error),
}

/// Where the proxy listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// The application over plain HTTP.
    pub(crate) http: Option<SocketAddr>,
    /// The application over TLS.
    pub(crate) https: Option<SocketAddr>,
    /// Health, metrics, status.
    pub(crate) admin: Option<SocketAddr>,
    /// Metrics on every path.
    pub(crate) metrics: Option<SocketAddr>,
}

/// Standard output and standard error. Dropped last, so that the last lines come out.
struct Outputs {
    out: Writer,
    errors: Writer,
}

impl Outputs {
    fn new(registry: &Registry) -> Self {
        Self {
            out: Writer::new(io::stdout(), registry),
            errors: Writer::new(io::stderr(), registry),
        }
    }
}

/// A proxy that listens; it serves as soon as it exists.
pub(crate) struct App {
    /// Where.
    pub(crate) addresses: Addresses,
    runtime: Runtime,
    server: Server,
    outputs: Outputs,
    admin: Arc<Admin>,
    listening: Option<Listening>,
    reloader: Reloader,
    seen: Seen,
}

impl App {
    /// The control runtime, of which the caller may make use before [`App::bind`].
    ///
    /// # Errors
    /// The system gives none.
    pub(crate) fn runtime() -> Result<Runtime, StartError> {
        Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
    }

    /// Reads the configuration, opens the listeners and starts the workers.
    ///
    /// # Errors
    /// See [`StartError`].
    pub(crate) fn bind(serving: Serving, runtime: Runtime) -> Result<Self, StartError> {
        let Serving { source, direct_port, node } = serving;
        // Another part of the process, such as a test, may have installed the same one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (loaded, seen) = reload::first(&source)?;
        let registry = Registry::new();
        let outputs = Outputs::new(&registry);
        let telemetry = Telemetry::start(&loaded.config.logging, (&outputs.out, &outputs.errors));
        let context = Context::new(runtime.handle().clone(), Arc::new(SystemClock), &registry);
        let site = reload::compile(&loaded, &context, None).map_err(StartError::Invalid)?;
        let listeners = server::bind(&site.config.listeners)?;
        let addresses = addresses(&site.config.listeners, &listeners);
        let Sorted { application, internal } = Sorted::of(listeners);
        let cell = SiteCell::new(site);
        let server = serve(application, &cell, &registry, &outputs.out)?;
        let status = Arc::new(InForce::new(loaded.hash.clone(), &registry));
        reload::warn(&loaded, &cell.load().config);
        let (at, state) = (Arc::clone(&cell), Arc::clone(&status));
        let reloader = Reloader { source, cell: at, context, telemetry, status: state };
        let draining = AtomicBool::new(false);
        let farewell = server.farewell();
        let last = tokio::sync::Mutex::default();
        let admin =
            Arc::new(Admin { registry, status, cell, draining, farewell, direct_port, node, last });
        let watched = !internal.is_empty();
        let listening = watched.then(|| admin.start(internal)).transpose()?;
        Ok(Self { addresses, runtime, server, outputs, admin, listening, reloader, seen })
    }

    /// Serves until it is told to stop, then finishes what is in flight.
    pub(crate) fn run(self, mut signals: mpsc::Receiver<Signal>) {
        let Self { addresses, runtime, server, outputs, admin, listening, reloader, seen } = self;
        let linger = if listening.is_some() { LINGER } else { Duration::ZERO };
        // Said only now: who reads it may send signals.
        announce(addresses);
        runtime.block_on(async {
            let (demand, demands) = mpsc::channel(1);
            tokio::spawn(reloader.run(seen, demands));
            while signals.recv().await == Some(Signal::Reload) {
                // One that waits already will see the same files.
                let _ = demand.try_send(());
            }
            admin.draining.store(true, Ordering::Relaxed);
            let site = admin.cell.load();
            let timeout = site.config.limits.drain_timeout.get();
            tracing::info!(?timeout, "stopping: requests in flight are finished");
            tokio::select! {
                () = finish(server, &site.context.refresher, Drain { linger, timeout }) => {
                    tracing::info!("stopped");
                }
                () = second_stop(&mut signals) => tracing::warn!("stopped at once"),
            }
        });
        // Workers that a second signal cut off may still be there: nobody waits for them.
        runtime.shutdown_background();
        drop(listening);
        drop(outputs);
    }
}

fn announce(addresses: Addresses) {
    let Addresses { http, https, admin, metrics } = addresses;
    tracing::info!(
        http = http.map(tracing::field::display),
        https = https.map(tracing::field::display),
        admin = admin.map(tracing::field::display),
        metrics = metrics.map(tracing::field::display),
        "listening"
    );
}

/// Finishes what is in flight: requests, and then what they have left behind, in the same time. A refresh that is cut off may
/// have used up a refresh token, and a renewed session that is not written is lost.
async fn finish(server: Server, refresher: &Refresher, drain: Drain) {
    let deadline = Instant::now() + drain.linger + drain.timeout;
    refresher.leave();
    server.drain(drain).await;
    if tokio::time::timeout_at(deadline, refresher.finish()).await.is_err() {
        tracing::warn!(
            "sessions are being renewed or removed that did not reach their store in time: they may have to log in again, or \
             stay until they expire"
        );
    }
}

async fn second_stop(signals: &mut mpsc::Receiver<Signal>) {
    loop {
        match signals.recv().await {
            Some(Signal::Stop) => return,
            Some(Signal::Reload) => {}
            // Nobody is left who could send one.
            None => std::future::pending().await,
        }
    }
}

/// The listeners by who answers on them.
#[derive(Default)]
struct Sorted {
    application: Vec<Listener>,
    internal: Vec<(Internal, Listener)>,
}

impl Sorted {
    /// None is left to whoever takes the rest: health and metrics must not be told to those for whom a listener was not made.
    fn of(listeners: Vec<Listener>) -> Self {
        let mut sorted = Self::default();
        for listener in listeners {
            match listener.serves {
                Serves::Application => sorted.application.push(listener),
                Serves::Internal(shows) => sorted.internal.push((shows, listener)),
            }
        }
        sorted
    }
}

fn addresses(wanted: &Listeners, bound: &[Listener]) -> Addresses {
    // Named so that a new one does not compile until it is told too.
    let Listeners { http: _, https: _, admin: _, metrics: _ } = wanted;
    let of = |name| server::address_of(bound, name);
    Addresses { http: of("http"), https: of("https"), admin: of("admin"), metrics: of("metrics") }
}

/// Starts the workers, each with its own view of the configuration in force.
fn serve(
    listeners: Vec<Listener>,
    cell: &Arc<SiteCell>,
    registry: &Registry,
    writer: &Writer,
) -> Result<Server, server::ServeError> {
    let site = cell.load();
    let oldest = site.config.listeners.https.as_ref().map(|listener| listener.min_version);
    let settings = server::Fittings {
        limits: &site.config.limits,
        tls: site.tls.as_ref().map(|tls| &tls.live).zip(oldest),
        registry,
        log: writer,
        tick: upstream::sweep,
    };
    Server::start(listeners, &settings, |worker| {
        let (worker, sites) = (Arc::clone(worker), Arc::new(SiteReader::new(cell)));
        move |peer, request| {
            let (worker, site) = (Arc::clone(&worker), sites.current());
            gate::handle(worker, site, peer, request)
        }
    })
}
