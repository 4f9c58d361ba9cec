//! Log lines for events: what is not the access log. Text in the form of oauth2-proxy's standard and authentication
//! lines, or one JSON object a line with stable names.
//!
//! No value can end a line or start an escape sequence. Dependencies are heard from `warn` on only: what they say below
//! that may hold headers and tokens. Lines are written by the threads of `output`: whoever makes an event waits for nobody.

mod line;
mod sparing;

pub(crate) use sparing::Sparing;

use crate::clock::{Clock, SystemClock};
use crate::output::{self, Log, Writer};
use line::EventLine;
use proxy_config::{LogFormat, Logging};
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

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
    /// Makes this process log to these, errors to the second, as `logging` says. A process has one; a second call, as in
    /// tests, changes nothing.
    pub(crate) fn start(logging: &Logging, (out, errors): (&Writer, &Writer)) -> Self {
        let telemetry = Self(Arc::new(Switches {
            json: AtomicBool::new(false),
            standard: AtomicBool::new(true),
            authentication: AtomicBool::new(true),
        }));
        telemetry.apply(logging);
        let switches = Arc::clone(&telemetry.0);
        let output =
            OUTPUT.get_or_init(|| Output { switches, out: out.log(), errors: errors.log() });
        let _ = tracing::subscriber::set_global_default(output);
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

/// The one of this process, for panics as well.
static OUTPUT: OnceLock<Output> = OnceLock::new();

/// Takes events to where they are written: errors to standard error, the rest to standard output.
struct Output {
    switches: Arc<Switches>,
    out: Log,
    errors: Log,
}

impl Output {
    fn put(&self, line: &EventLine, pace: Pace) {
        let log = if pace == Pace::Error { &self.errors } else { &self.out };
        let json = self.switches.json.load(Ordering::Relaxed);
        let line = if json { line.json() } else { line.text(log.zone()) };
        match pace {
            Pace::Auth => log.append(|lines, _, _| lines.extend_from_slice(line.as_bytes())),
            Pace::Event | Pace::Error => log.event(&line),
        }
    }
}

/// How a line is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// About a person: there may be as many as requests, and they are written together as those of the access log are.
    Auth,
    /// At once.
    Event,
    /// At once, to standard error.
    Error,
}

/// Of events only: no span is ever enabled.
impl Subscriber for &'static Output {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if wanted(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        wanted(metadata)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let auth = event.metadata().target() == AUTH;
        let switch = if auth { &self.switches.authentication } else { &self.switches.standard };
        if !switch.load(Ordering::Relaxed) {
            return;
        }
        let mut line = EventLine::new(event.metadata(), SystemClock.now());
        event.record(&mut line);
        let pace = match *event.metadata().level() {
            Level::ERROR => Pace::Error,
            _ if auth => Pace::Auth,
            _ => Pace::Event,
        };
        self.put(&line, pace);
    }
}

/// Has panics told like errors, whatever is switched off, because standard error may be blocked when a worker panics in
/// one request of many. Where a backtrace is asked for somebody is watching, and gets the usual text.
pub(crate) fn tell_panics() {
    if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
        return;
    }
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| match OUTPUT.get() {
        Some(output) if !output::is_own_thread() => output.put(&told(panic), Pace::Error),
        _ => usual(panic),
    }));
}

fn told(panic: &PanicHookInfo<'_>) -> EventLine {
    let thread = std::thread::current();
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let what = panic.payload_as_str().unwrap_or("no message");
    let text = format!("thread {} panicked at {place}: {what}", thread.name().unwrap_or("unnamed"));
    EventLine::plain(Level::ERROR, "proxy", SystemClock.now(), &text)
}

fn wanted(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let own = target == AUTH || target.split("::").next() == Some("proxy");
    metadata.is_event() && *metadata.level() <= if own { Level::INFO } else { Level::WARN }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::Mutex;

    struct Collector(Arc<Mutex<Vec<String>>>);

    impl Subscriber for Collector {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.is_event() && *metadata.level() <= Level::WARN
        }

        fn event(&self, event: &Event<'_>) {
            let mut line = EventLine::new(event.metadata(), SystemClock.now());
            event.record(&mut line);
            self.0.lock().unwrap().push(line.json());
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    /// What `run` warns of on this thread.
    pub(crate) fn warnings(run: impl FnOnce()) -> Vec<String> {
        let lines = Arc::<Mutex<_>>::default();
        let collector = Collector(Arc::clone(&lines));
        tracing::subscriber::with_default(collector, run);
        lines.lock().unwrap().clone()
    }
}
