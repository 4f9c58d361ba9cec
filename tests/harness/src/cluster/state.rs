//! The state folder of one cluster: where each file is, and the record of what was made.
//!
//! Everything a cluster writes lies in this folder; removing the cluster removes it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cluster::network::Network;
use crate::error::{Doing as _, Error, Result};

/// Paths of a cluster's files.
#[derive(Debug, Clone)]
pub struct State {
    dir: PathBuf,
}

impl State {
    /// The state in `dir`.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The folder itself.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A file or folder of the state.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The administrator's kubeconfig, usable from the machine.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    /// The API server's audit log: one JSON event per line, all writes and all reads of Secrets.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.path("log/audit.json")
    }

    /// The log of one component.
    #[must_use]
    pub fn log(&self, component: &str) -> PathBuf {
        self.path(&format!("log/{component}.log"))
    }

    /// containerd's socket, for `ctr --address`.
    #[must_use]
    pub fn containerd(&self) -> PathBuf {
        self.path("containerd.sock")
    }

    /// What was made, if this state was begun.
    ///
    /// # Errors
    /// The record is there and cannot be read.
    pub fn record(&self) -> Result<Option<Record>> {
        let path = self.path("cluster.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).doing(|| format!("read {}", path.display())),
        };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| Error::Damaged { path, reason: error.to_string() })
    }

    /// Writes the record in one step.
    pub(crate) fn write_record(&self, record: &Record) -> Result<()> {
        let text = serde_json::to_vec_pretty(record).map_err(std::io::Error::from);
        let text = text.doing(|| "describe the cluster".to_owned())?;
        self.write("cluster.json.new", &text)?;
        let path = self.path("cluster.json");
        fs::rename(self.path("cluster.json.new"), &path)
            .doing(|| format!("write {}", path.display()))
    }

    /// Writes a file, its folders included; readable by root alone.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<()> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).doing(|| format!("make {}", parent.display()))?;
        }
        fs::File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(content.as_ref()))
            .doing(|| format!("write {}", path.display()))
    }
}

/// What was made for a cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// The cluster's name.
    pub name: String,
    /// Its addresses.
    pub network: Network,
    /// Its first process, the parent of all others; absent while it is being made.
    pub node: Option<Process>,
    /// Whether the link was made, so that the interface is this cluster's.
    #[serde(default)]
    pub linked: bool,
    /// Whether it came up completely.
    pub ready: bool,
}

/// A process, told from a later one with the same number by its start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its start, in clock ticks since boot.
    pub started: u64,
}

impl Process {
    /// The process with the number `pid`, if there is one that has not ended.
    #[must_use]
    pub fn find(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        let state = fields.next()?;
        if matches!(state, "Z" | "X") {
            return None;
        }
        Some(Self { pid, started: fields.nth(18)?.parse().ok()? })
    }

    /// Whether this very process still runs.
    #[must_use]
    pub fn runs(&self) -> bool {
        Self::find(self.pid).as_ref() == Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_is_known_by_number_and_start() {
        let me = Process::find(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(me.runs());
        let earlier = Process { started: me.started - 1, ..me };
        assert!(!earlier.runs());
    }

    #[test]
    fn record_survives_being_written() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::new(folder.path().to_path_buf());
        assert!(state.record().unwrap().is_none());
        let record = Record {
            name: "a".to_owned(),
            network: Network::new(3).unwrap(),
            node: Process::find(1),
            linked: true,
            ready: true,
        };
        state.write_record(&record).unwrap();
        let read = state.record().unwrap().unwrap();
        assert_eq!(read.network, record.network);
        assert_eq!(read.node, record.node);
    }
}
