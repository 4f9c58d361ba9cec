//! The operator. Life of an `OAuth2Proxy`, in order:
//!
//! - `controller` gives an object its turn, on the replica that holds the lease (`leader`), when a watch, a report of pods
//!   (`report`) or a changed Secret asks for it;
//! - `proxy_controller` does the phases: `dereference`, `validate`, `build`, `apply`, `status`;
//! - `poke` makes kubelets deliver what changed at once.
//!
//! Life of a workload that asks for the proxy: `workload_controller` takes its turns, `inject` decides on the pod template,
//! `traffic` on the Services, `fleet` asks the pods.
//!
//! `pod` renders the proxy as a container, for the stand-alone Deployment and for injection alike.

mod admin;
mod app;
mod args;
mod budget;
mod check;
mod client;
mod clock;
mod condition;
mod context;
mod controller;
mod controllers;
mod event;
mod excluded;
mod failure;
mod fleet;
mod inject;
mod jitter;
mod leader;
mod live;
mod metrics;
mod object;
mod past;
mod pod;
mod pods;
mod poke;
mod proxy_controller;
mod random;
mod report;
mod rights;
mod scope;
mod seen;
mod service_controller;
mod spec;
mod tasks;
mod telemetry;
#[cfg(test)]
mod testing;
mod traffic;
mod wake;
mod workload;
mod workload_controller;

use args::{Cli, Command};
use clap::{CommandFactory as _, Parser as _};
use clock::Clock;
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

/// Does what the command line says. Messages about what went wrong go to standard error.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // There is nowhere to report that the message could not be printed.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match perform(cli.command) {
        Ok(text) => match std::io::stdout().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "oauth2-proxy-operator: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The text to print.
fn perform(command: Command) -> Result<String, String> {
    match command {
        Command::Crd => crds::manifest().map_err(|error| error.to_string()),
        Command::Rbac => serde_json::to_string_pretty(&rights::RIGHTS)
            .map(|text| text + "\n")
            .map_err(|error| error.to_string()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(
                shell,
                &mut Cli::command(),
                "oauth2-proxy-operator",
                &mut script,
            );
            String::from_utf8(script).map_err(|error| error.to_string())
        }
        Command::Check(arguments) => block_on(async move {
            let scopes = arguments.scopes()?;
            let clients = client::Clients::infer().await?;
            let installation = check::Installation {
                scopes: &scopes,
                namespace: &arguments.pod_namespace,
                lease: &arguments.lease_name,
            };
            match check::run(&clients.lease, &installation, Clock::System.now()).await {
                missing if missing.is_empty() => Ok("everything is in place\n".to_owned()),
                missing => {
                    Err(format!("the installation is not complete:\n  {}", missing.join("\n  ")))
                }
            }
        }),
        Command::Run(arguments) => {
            telemetry::start(&arguments.log_level, arguments.log_format)?;
            block_on(app::run(*arguments)).map(|()| String::new())
        }
    }
}

/// One thread does all of it: the work is waiting for the API server.
fn block_on<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| "a cryptography provider is installed already".to_owned())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(work)
}
