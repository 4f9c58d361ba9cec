//! The node of a cluster: the first process of its own process, mount and network namespaces.
//!
//! Everything a cluster runs is a descendant of [`init`] and everything it mounts is mounted in
//! that namespace, so that the kernel itself takes all of it away when this one process ends.

mod event;
mod mounts;
mod processes;
mod serve;
mod start;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};
use serde::{Deserialize, Serialize};

pub(crate) use self::event::Event;
pub(crate) use self::start::ctr;
use crate::cluster::network::Network;
use crate::cluster::state::State;
use crate::error::{Doing as _, Result};

/// Line by which the node learns that its network link is in place.
pub(crate) const LINKED: &str = "linked";
/// Line by which the node learns that it may outlive the command that started it.
pub(crate) const KEEP: &str = "keep";

/// What the node needs to know; `node.json` in the state folder.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) network: Network,
    /// Folder with the Kubernetes programs.
    pub(crate) programs: PathBuf,
    /// Image archives loaded before the first pod.
    pub(crate) images: Vec<PathBuf>,
    /// Manifests applied at the start.
    pub(crate) manifests: String,
    /// Only etcd and the API server: nothing schedules, runs or collects anything.
    pub(crate) api_only: bool,
    /// A folder that stays visible to the node wherever it lies.
    pub(crate) keep: PathBuf,
}

/// Starts the node in `state` and ends. Its number is written to `node.pid`.
///
/// This is a process of its own because leaving a namespace cannot be undone.
///
/// # Errors
/// The namespaces cannot be made or the node cannot be started.
pub fn launch(state: &State) -> Result<()> {
    nix::unistd::setsid().doing(|| "start a session".to_owned())?;
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNET)
        .doing(|| "make the namespaces (does this kernel and container allow them?)".to_owned())?;
    mounts::detach_from_host()?;
    let program = std::env::current_exe().doing(|| "find this program".to_owned())?;
    let log = state.log("node");
    let log = File::create(&log).doing(|| format!("write {}", log.display()))?;
    let node = Command::new(program)
        .args(["node", "init"])
        .arg(state.dir())
        .current_dir("/")
        .stdin(Stdio::inherit())
        .stdout(Stdio::inherit())
        .stderr(log)
        .spawn()
        .doing(|| "start the node".to_owned())?;
    state.write("node.pid", node.id().to_string())
}

/// Brings the node up, tells the starting command so, and then serves until told to stop.
///
/// # Errors
/// Those of starting up, after they have been reported as an `Event`.
pub fn init(dir: &Path) -> Result<()> {
    let state = State::new(dir.to_path_buf());
    match start::start(&state) {
        Ok(processes) => serve::serve(processes),
        Err(error) => {
            start::yield_to_removal();
            Event::Failed { message: error.to_string() }.send();
            Err(error)
        }
    }
}
