//! Removes a cluster and everything that was made for it.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::clock::Deadline;
use crate::cluster::state::{Process, Record};
use crate::cluster::{Cluster, cgroup, config};
use crate::error::{Doing as _, Error, Result};
use crate::packages;
use crate::program::{program, run};
use crate::report::Report;

/// Removes `cluster`; that there is none is no failure.
///
/// # Errors
/// Something could not be removed.
pub fn down(cluster: &Cluster, report: &Report) -> Result<()> {
    if !cluster.state().dir().exists() {
        report.note(&format!("there is no cluster {}", cluster.name()));
        return Ok(());
    }
    packages::require_root("removing a cluster")?;
    report.step(&format!("remove cluster {}", cluster.name()), || remove(cluster))
}

/// Ends the node, with which go all processes, mounts, namespaces and interfaces; then the
/// cgroup and the folder, which outlive it.
pub(crate) fn remove(cluster: &Cluster) -> Result<()> {
    let dir = cluster.state().dir();
    if !dir.exists() {
        return Ok(());
    }
    if let Some(record) = cluster.state().record()? {
        if let Some(node) = node(cluster, &record) {
            end(node)?;
        }
        if record.linked {
            unlink(&record.network.interface)?;
        }
        cgroup::remove(&config::cgroup(&record.name))?;
    }
    // No mount of the cluster is visible here, so nothing but its own files can be reached.
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).doing(|| format!("remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// The node's process. While a cluster is being made the record may not name it yet.
fn node(cluster: &Cluster, record: &Record) -> Option<Process> {
    let recorded = record.node.filter(Process::runs);
    recorded.or_else(|| {
        let text = fs::read_to_string(cluster.state().path("node.pid")).ok()?;
        let found = Process::find(text.trim().parse().ok()?)?;
        let command = fs::read(format!("/proc/{}/cmdline", found.pid)).ok()?;
        let dir = cluster.state().dir().as_os_str().as_encoded_bytes();
        let ours = command.split(|byte| *byte == 0).any(|word| word == dir);
        ours.then_some(found)
    })
}

/// The kernel takes the link away with the namespace, but only once the last connection in it has
/// timed out, which can be a minute. Not waited for: the network would be taken for so long.
fn unlink(interface: &str) -> Result<()> {
    let path = Path::new("/sys/class/net").join(interface);
    let removed = run(&mut program("ip", ["link", "delete", interface]));
    // Gone meanwhile is as good as removed.
    if path.exists() { removed.map(drop) } else { Ok(()) }
}

fn end(node: Process) -> Result<()> {
    let deadline = Deadline::after(Duration::from_mins(1));
    let _ = kill(Pid::from_raw(node.pid), Signal::SIGKILL);
    while node.runs() {
        if deadline.passed() {
            return Err(Error::Late {
                what: format!("the node's process {} to end", node.pid),
                limit: deadline.limit(),
                seen: "it still runs".to_owned(),
                log: String::new(),
            });
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
