//! Processes under measurement: on a core of their own, with their processor time and memory read from `/proc`.

use crate::Outcome;
use crate::clock::within;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running program; killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// An address of loopback that nobody listens on.
pub(crate) fn free() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// `program`, tied to the first core; the load and the upstream have the others.
pub(crate) fn pinned(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.arg("--cpu-list").arg("0").arg(program);
    command
}

impl Process {
    /// Starts `command`, which is to listen at `address`, and waits until it does. Its output goes to `log`.
    pub(crate) fn start(mut command: Command, address: SocketAddr, log: &Path) -> Outcome<Self> {
        let file = fs::File::create(log)?;
        let child = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn()?;
        let process = Self { child, address };
        let listens = || TcpStream::connect(address).is_ok();
        if within(Duration::from_secs(20), Duration::from_millis(2), listens) {
            return Ok(process);
        }
        Err(format!("{command:?} does not listen on {address}:\n{}", fs::read_to_string(log)?)
            .into())
    }

    /// Nanoseconds that all threads of the program and of its children have run.
    pub(crate) fn cpu(&self) -> u64 {
        self.family().iter().map(|pid| run_time(*pid)).sum()
    }

    /// Bytes resident in memory, of the program and its children.
    pub(crate) fn resident(&self) -> u64 {
        self.family().iter().map(|pid| resident(*pid)).sum()
    }

    fn family(&self) -> Vec<u32> {
        let id = self.child.id();
        let children =
            fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let children = children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok());
        std::iter::once(id).chain(children).collect()
    }
}

fn run_time(pid: u32) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    let times = tasks.flatten().filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_ascii_whitespace().next()?.parse::<u64>().ok()
    });
    times.sum()
}

fn resident(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages: u64 =
        text.split_ascii_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4096
}

impl Drop for Process {
    fn drop(&mut self) {
        // nginx takes its workers along only if it is asked politely.
        let _ = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        if !within(Duration::from_secs(3), Duration::from_millis(5), || {
            matches!(self.child.try_wait(), Ok(Some(_)))
        }) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
