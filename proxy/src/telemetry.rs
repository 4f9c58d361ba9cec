//! Log lines for events: what is not the access log. Text in the form of oauth2-proxy's standard and authentication
//! lines, or one JSON object a line with stable names.
//!
//! No value can end a line or start an escape sequence. Dependencies are heard from `warn` on only: what they say below
//! that may hold headers and tokens.

mod line;

use crate::clock::{self, Clock, SystemClock};
use jiff::tz::TimeZone;
use line::Line;
use proxy_config::{LogFormat, Logging};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::{Event, Level, Metadata, Subscriber, subscriber::Interest};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// Target of events about a person: logins, sign-outs, refusals. Their fields `client`, `request_id`, `user` and `status`
/// have places of their own in a text line.
pub(crate) const AUTH: &str = "auth";

/// What is logged and how; changes with a reload.
#[derive(Debug)]
struct Switches {
    json: AtomicBool,
    standard: AtomicBool,
    authentication: AtomicBool,
}

/// The handle on the process' event log.
#[derive(Clone, Debug)]
pub(crate) struct Telemetry(Arc<Switches>);

impl Telemetry {
    /// Makes this process log, as `logging` says. A process has one; a second call, as in tests, changes nothing.
    pub(crate) fn start(logging: &Logging) -> Self {
        let telemetry = Self(Arc::new(Switches {
            json: AtomicBool::new(false),
            standard: AtomicBool::new(true),
            authentication: AtomicBool::new(true),
        }));
        telemetry.apply(logging);
        let output = Output { switches: Arc::clone(&telemetry.0), zone: clock::local_zone() };
        let _ =
            tracing::subscriber::set_global_default(tracing_subscriber::registry().with(output));
        telemetry
    }

    /// Logs as `logging` says from now on.
    pub(crate) fn apply(&self, logging: &Logging) {
        let Logging {
            format,
            standard,
            authentication,
            requests: _,
            exclude_paths: _,
            silence_ping: _,
        } = logging;
        self.0.json.store(*format == LogFormat::Json, Ordering::Relaxed);
        self.0.standard.store(*standard, Ordering::Relaxed);
        self.0.authentication.store(*authentication, Ordering::Relaxed);
    }
}

/// Writes events: errors to standard error, the rest to standard output.
struct Output {
    switches: Arc<Switches>,
    zone: TimeZone,
}

impl<S: Subscriber> Layer<S> for Output {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if wanted(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        wanted(metadata)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let auth = event.metadata().target() == AUTH;
        let switch = if auth { &self.switches.authentication } else { &self.switches.standard };
        if !switch.load(Ordering::Relaxed) {
            return;
        }
        let mut line = Line::new(event.metadata(), SystemClock.now());
        event.record(&mut line);
        let text = if self.switches.json.load(Ordering::Relaxed) {
            line.json()
        } else {
            line.text(&self.zone)
        };
        // A closed output must not stop the proxy.
        let _ = if *event.metadata().level() == Level::ERROR {
            std::io::stderr().lock().write_all(text.as_bytes())
        } else {
            std::io::stdout().lock().write_all(text.as_bytes())
        };
    }
}

fn wanted(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let own = target == AUTH || target.split("::").next() == Some("proxy");
    metadata.is_event() && *metadata.level() <= if own { Level::INFO } else { Level::WARN }
}
