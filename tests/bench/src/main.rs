//! The proxy, nginx and a bare hyper reverse proxy side by side on loopback: CPU per request, throughput per CPU-second,
//! memory per idle connection, start, resident memory, size. It says how each compares with its bar, and fails if one is
//! missed. Absolute numbers are the machine's; only ratios within one run mean anything.

mod beside;
mod certificate;
mod clock;
mod floor;
mod http;
mod idle;
mod load;
mod nginx;
mod process;
mod provider;
mod redis;
mod report;
mod sealed;
mod start;
mod targets;
mod upstream;
mod work;

use std::error::Error;
use std::process::ExitCode;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        // How the benchmark starts its own bare reverse proxy, as a process whose time can be taken.
        ["floor", listen, upstream] => floor::run(listen, upstream, None).map(|()| true),
        ["floor", listen, upstream, certificate, key] => {
            floor::run(listen, upstream, Some((certificate, key))).map(|()| true)
        }
        [program] => run(program, None),
        [program, part] => run(program, Some(part)),
        _ => Err("usage: bench PATH-OF-OAUTH2-PROXY [PART-OF-THE-NAME-OF-SOME-WORK]".into()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report::say(&format!("bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Measures all, or only the work that `part` is in the name of.
fn run(program: &str, part: Option<&str>) -> Outcome<bool> {
    let folder = tempfile::tempdir()?;
    let certificate = certificate::Certificate::new(folder.path())?;
    let beside = beside::Beside::start()?;
    let setup = targets::Setup {
        program,
        folder: folder.path(),
        beside: &beside,
        certificate: &certificate,
    };
    let mut report = report::Report::default();
    work::measure(&setup, part.unwrap_or_default(), &mut report)?;
    if part.is_none() {
        idle::measure(&setup, &mut report)?;
        start::measure(&setup, &mut report)?;
    }
    Ok(report.finish())
}
