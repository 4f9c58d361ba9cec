//! One-node clusters of real components, each in namespaces and a folder of its own.

pub(crate) mod cgroup;
pub(crate) mod config;
mod down;
mod load;
pub mod network;
pub(crate) mod pki;
pub mod state;
mod up;

use std::fs;
use std::path::PathBuf;

pub use self::down::down;
pub use self::load::{Loaded, load};
pub use self::up::{prepare, up};
use crate::cache::Cache;
use crate::cluster::state::{Record, State};
use crate::error::{Doing as _, Error, Result};

/// A cluster by its name.
#[derive(Debug, Clone)]
pub struct Cluster {
    name: String,
    state: State,
}

impl Cluster {
    /// The cluster called `name`, whether it exists or not.
    ///
    /// # Errors
    /// The name is not 1 to 20 of `a-z`, `0-9` and `-`.
    pub fn named(name: &str, cache: &Cache) -> Result<Self> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 20 || name.starts_with('-') || !name.chars().all(fits) {
            return Err(Error::Need(format!(
                "`{name}` cannot name a cluster: use 1 to 20 of a-z, 0-9 and -"
            )));
        }
        Ok(Self { name: name.to_owned(), state: State::new(cache.clusters().join(name)) })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its state folder.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The record of a cluster that came up and whose node still runs.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn running(&self) -> Result<Option<Record>> {
        let record = self.state.record()?;
        Ok(record.filter(|r| r.ready && r.node.is_some_and(|node| node.runs())))
    }

    /// As [`Cluster::running`], where there must be one.
    ///
    /// # Errors
    /// There is none.
    pub fn require_running(&self) -> Result<Record> {
        self.running()?.ok_or_else(|| {
            Error::Need(format!(
                "no cluster `{0}` is running: start it with `make cluster NAME={0}`",
                self.name
            ))
        })
    }
}

/// All clusters of the cache, with what is known of each.
///
/// # Errors
/// The folder of clusters cannot be read.
pub fn list(cache: &Cache) -> Result<Vec<(Cluster, Option<Record>)>> {
    let folder = cache.clusters();
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).doing(|| format!("read {}", folder.display())),
    };
    let mut names: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    names.sort();
    names
        .iter()
        .filter_map(|path| path.file_name()?.to_str())
        .filter_map(|name| Cluster::named(name, cache).ok())
        .map(|cluster| {
            let record = cluster.state.record()?;
            Ok((cluster, record))
        })
        .collect()
}
