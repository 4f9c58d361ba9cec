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

/// What a program has in memory, in bytes.
pub(crate) struct Memory {
    /// All of it.
    pub(crate) resident: u64,
    /// What others have as well counts in part.
    pub(crate) proportional: u64,
    /// What is in no file.
    pub(crate) anonymous: u64,
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
    pub(crate) fn start(command: &mut Command, address: SocketAddr, log: &Path) -> Outcome<Self> {
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
        self.memory().resident
    }

    /// The memory of the program and its children.
    pub(crate) fn memory(&self) -> Memory {
        let text =
            |pid| fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let rollups: Vec<String> = self.family().into_iter().map(text).collect();
        let sum = |name: &str| {
            let lines = rollups.iter().flat_map(|rollup| rollup.lines());
            let values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let kilobytes = values
                .filter_map(|value| value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
            kilobytes.sum::<u64>() * 1024
        };
        Memory { resident: sum("Rss"), proportional: sum("Pss"), anonymous: sum("Anonymous") }
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
