//! From exec to the first answer, memory at rest, size on disk.

use crate::process::Process;
use crate::report::{Report, median};
use crate::targets::{KINDS, Kind, Setup, log_in};
use crate::{Outcome, clock, http, nginx, process};
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

const STARTS: usize = 15;

/// Adds the rows.
pub(crate) fn measure(setup: &Setup<'_>, report: &mut Report) -> Outcome<()> {
    let times: Vec<f64> = (0..STARTS).map(|_| one(setup)).collect::<Outcome<_>>()?;
    report.start(times.iter().copied().fold(f64::INFINITY, f64::min), median(&times));
    for kind in KINDS {
        let process: Process = setup.start(kind)?;
        if kind == Kind::Proxy {
            // With discovery and keys loaded, which happens beside serving.
            log_in(&process)?;
        }
        let size = match kind {
            Kind::Proxy => fs::metadata(setup.program)?.len(),
            Kind::Floor => fs::metadata(std::env::current_exe()?)?.len(),
            Kind::Nginx => nginx::size(),
        };
        report.rest(kind, &process.memory(), size);
    }
    Ok(())
}

/// Milliseconds until a fresh proxy answers its liveness path.
fn one(setup: &Setup<'_>) -> Outcome<f64> {
    let address = process::free()?;
    let mut command = Command::new(setup.program);
    command
        .env_clear()
        .args(setup.flags(address))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let start = clock::now();
    let mut child = command.spawn()?;
    let answered = clock::within(Duration::from_secs(10), Duration::from_micros(100), || {
        http::get(address, "/ping", "").is_ok_and(|answer| answer.status == 200)
    });
    let time = start.elapsed();
    child.kill()?;
    child.wait()?;
    if answered {
        Ok(time.as_secs_f64() * 1000.0)
    } else {
        Err("the proxy never answered /ping".into())
    }
}
