//! Carries out a command line and says how it went: output, messages, exit code.

use crate::app::{App, Signal};
use crate::args::{self, ArgumentError, Command, Serving};
use crate::clock::SystemClock;
use crate::metrics::Registry;
use crate::options::{Source, document};
use crate::reload;
use crate::site::Context;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Time for the answer of the own process.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the program with these arguments, without its own name, and this environment.
///
/// Exit codes are oauth2-proxy's: 0 for a normal end, 1 for what is wrong with the configuration or the start, 2 for a
/// command line that can not be read.
#[must_use]
pub fn main(arguments: &[String], environment: Vec<(String, String)>) -> ExitCode {
    let outcome = match args::parse(arguments, environment) {
        Ok(Command::Print(text)) => {
            let _ = io::stdout().write_all(text.as_bytes());
            Ok(())
        }
        Ok(Command::Help) => {
            let _ = io::stderr().write_all(document::help().as_bytes());
            Ok(())
        }
        Ok(Command::Drain(port)) => {
            drain(port).map_err(|error| format!("the proxy could not be told: {error}"))
        }
        Ok(Command::Test(source)) => test(&source),
        Ok(Command::Serve(settings)) => serve(settings),
        Err(ArgumentError::Usage(message)) => {
            let _ = writeln!(
                io::stderr(),
                "usage: oauth2-proxy [flags]; oauth2-proxy --help lists them\n{message}"
            );
            return ExitCode::from(2);
        }
        Err(error) => Err(error.to_string()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Said even when logging is switched off: a start that fails in silence helps nobody.
            let _ = writeln!(io::stderr(), "{message}");
            ExitCode::FAILURE
        }
    }
}

/// Compiles the configuration as a start would, and starts nothing.
fn test(source: &Source) -> Result<(), String> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let loaded = source.load().map_err(|error| error.to_string())?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
    // The runtime is never driven, so what compiling starts in the background does not run.
    let context = Context::new(runtime.handle().clone(), Arc::new(SystemClock), &Registry::new());
    let site = reload::compile(&loaded, &context, None)?;
    for warning in loaded.spell(proxy_config::Problems(site.config.warnings())).0 {
        let _ = writeln!(io::stderr(), "WARNING: {}: {}", warning.field, warning.message);
    }
    let _ = io::stdout().write_all(b"configuration is valid\n");
    Ok(())
}

/// Tells the proxy in the same network namespace that its pod ends.
fn drain(port: u16) -> io::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(
        b"POST /drain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    )?;
    let mut answer = String::new();
    stream.take(1024).read_to_string(&mut answer)?;
    match answer.lines().next() {
        Some(status) if status.contains(" 200 ") => Ok(()),
        status => Err(io::Error::other(status.unwrap_or("no answer").to_owned())),
    }
}

fn serve(settings: Serving) -> Result<(), String> {
    let runtime = App::runtime().map_err(|error| error.to_string())?;
    // Before anything listens: whoever sees an open port may send signals, and their default is to kill, or nothing in a
    // container, where this process is the first.
    let signals = signals(&runtime)?;
    crate::telemetry::tell_panics();
    let app = App::bind(settings, runtime).map_err(|error| error.to_string())?;
    app.run(signals);
    Ok(())
}

/// What the process is told from now on. It is acted upon once the runtime runs.
fn signals(runtime: &Runtime) -> Result<mpsc::Receiver<Signal>, String> {
    let (sender, signals) = mpsc::channel(8);
    let _guard = runtime.enter();
    for (kind, meaning) in [
        (SignalKind::terminate(), Signal::Stop),
        (SignalKind::interrupt(), Signal::Stop),
        (SignalKind::hangup(), Signal::Reload),
    ] {
        let mut stream =
            signal(kind).map_err(|error| format!("signals can not be received: {error}"))?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                let _ = sender.send(meaning).await;
            }
        });
    }
    Ok(signals)
}
