//! Brings Services of the demo to ports on loopback with `kubectl port-forward`, which ends with
//! the pod it leads to and is then started again.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::clock::{self, Deadline};
use crate::cluster::state::Process;
use crate::demo::NAMESPACE;
use crate::demo::settings::{Settings, State};
use crate::demo::target::Target;
use crate::error::{Doing as _, Error, Result};
use crate::interrupt::Interrupts;
use crate::report::{Report, say};

/// What the forwarding process does; `forwards.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Forwards {
    /// Command lines that forward, each until it ends.
    commands: Vec<Vec<String>>,
}

/// Starts the forwarding process and waits until both ports answer.
pub(crate) fn start(
    state: &State,
    target: &Target,
    settings: &Settings,
    report: &Report,
) -> Result<()> {
    // kubectl goes to a pod past its Service, so not to one of the app: the entrance reaches that as others in the cluster do.
    let commands = [
        ("deployment/entrance", settings.port, 8080),
        ("service/keycloak", settings.keycloak_port, 8080),
    ]
    .map(|(to, local, remote)| command(target, to, local, remote));
    let text = serde_json::to_vec(&Forwards { commands: commands.to_vec() });
    state.write(
        "forwards.json",
        text.map_err(std::io::Error::from).doing(|| "describe the forwards".to_owned())?,
    )?;
    report.step(&format!("forward ports {} and {}", settings.port, settings.keycloak_port), || {
        let log = state.path("forwards.log");
        let errors = File::create(&log).doing(|| format!("write {}", log.display()))?;
        let doing = || "start the forwarding process".to_owned();
        let child = Command::new(std::env::current_exe().doing(doing)?)
            .args(["forward"])
            .arg(state.path("forwards.json"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .doing(doing)?;
        let process = i32::try_from(child.id()).ok().and_then(Process::find);
        let text = serde_json::to_vec(&process).map_err(std::io::Error::from).doing(doing)?;
        state.write("forwards.pid", text)?;
        answers(settings.port, "/", &log)?;
        answers(settings.keycloak_port, "/realms/demo", &log)
    })
}

fn command(target: &Target, to: &str, local: u16, remote: u16) -> Vec<String> {
    let kubectl = target.kubectl();
    let mut line = vec![kubectl.get_program().to_string_lossy().into_owned()];
    line.extend(kubectl.get_args().map(|arg| arg.to_string_lossy().into_owned()));
    line.extend(
        ["--namespace", NAMESPACE, "port-forward", "--address=127.0.0.1"].map(str::to_owned),
    );
    line.extend([to.to_owned(), format!("{local}:{remote}")]);
    line
}

/// Waits until something answers HTTP on `port`.
fn answers(port: u16, path: &str, log: &Path) -> Result<()> {
    let deadline = Deadline::after(Duration::from_mins(1));
    loop {
        let seen = match ask(port, path) {
            Ok(status) if status.starts_with("HTTP/1.1 ") && !status.contains(" 50") => {
                return Ok(());
            }
            Ok(status) => status,
            Err(error) => error.to_string(),
        };
        if deadline.passed() {
            let log = fs::read_to_string(log).unwrap_or_default();
            return Err(Error::Late {
                what: format!("http://localhost:{port}{path} to answer"),
                limit: deadline.limit(),
                seen,
                log: format!("\n  kubectl port-forward said:\n{}", crate::program::tail(&log, 10)),
            });
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// The first bytes of the answer.
fn ask(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n")?;
    let mut start = [0; 32];
    let count = stream.read(&mut start)?;
    Ok(String::from_utf8_lossy(start.get(..count).unwrap_or_default()).into_owned())
}

/// The forwarding process of `state`, if one was started.
fn process(state: &State) -> Option<Process> {
    let text = fs::read(state.path("forwards.pid")).ok()?;
    serde_json::from_slice::<Option<Process>>(&text).ok().flatten()
}

/// Whether the forwarding process of `state` runs.
pub(crate) fn run(state: &State) -> bool {
    process(state).is_some_and(|process| process.runs())
}

/// Ends the forwarding process of `state`, if there is one.
pub(crate) fn stop(state: &State) -> Result<()> {
    let Some(process) = process(state) else {
        return Ok(());
    };
    let deadline = Deadline::after(Duration::from_secs(10));
    while process.runs() {
        let signal = if deadline.passed() { Signal::SIGKILL } else { Signal::SIGTERM };
        let _ = kill(Pid::from_raw(process.pid), signal);
        thread::sleep(Duration::from_millis(50));
    }
    fs::remove_file(state.path("forwards.pid"))
        .doing(|| format!("remove {}", state.path("forwards.pid").display()))
}

/// Is the forwarding process: keeps every command of `file` running until told to stop.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn serve(file: &Path) -> Result<()> {
    nix::unistd::setsid().doing(|| "start a session".to_owned())?;
    let interrupts = Interrupts::install()?;
    let text = fs::read(file).doing(|| format!("read {}", file.display()))?;
    let forwards: Forwards = serde_json::from_slice(&text)
        .map_err(|error| Error::Damaged { path: file.to_path_buf(), reason: error.to_string() })?;
    thread::scope(|scope| {
        for command in &forwards.commands {
            scope.spawn(|| keep_running(command, &interrupts));
        }
    });
    Ok(())
}

fn keep_running(command: &[String], interrupts: &Interrupts) {
    while !interrupts.stopping() {
        let began = clock::now();
        // The kernel ends kubectl when the thread that started it ends, however it ends.
        let status = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .args(command)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        say(format_args!("forward ended: {status:?}"));
        // One that lasted is replaced at once; one that cannot start is not hurried.
        if began.elapsed() < Duration::from_secs(2) {
            thread::sleep(Duration::from_millis(500));
        }
    }
}
