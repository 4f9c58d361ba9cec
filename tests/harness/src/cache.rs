//! Where the harness keeps things: one cache folder outside the repository, with
//! the built components, the images' parts and the state of running clusters.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{Doing as _, Error, Result};

pub use launcher::cache::repository;

/// The cache folder.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The one that [`launcher::cache::root`] names.
    ///
    /// # Errors
    /// No variable is set that says where it is, or the folder cannot be made.
    pub fn open() -> Result<Self> {
        let root = launcher::cache::root().ok_or_else(|| {
            Error::Need(format!("no home folder: set {}", launcher::cache::VARIABLE))
        })?;
        Self::at(&root)
    }

    /// A cache in `root`.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn at(root: &Path) -> Result<Self> {
        fs::create_dir_all(root).doing(|| format!("make {}", root.display()))?;
        let root = root.canonicalize().doing(|| format!("find {}", root.display()))?;
        Ok(Self { root })
    }

    /// Built components, one folder per module and key.
    pub(crate) fn components(&self) -> PathBuf {
        self.root.join("components")
    }

    /// Downloads, by name and version.
    pub(crate) fn downloads(&self) -> PathBuf {
        self.root.join("downloads")
    }

    /// Images that do not change with the repository's own programs.
    pub(crate) fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// State of clusters, one folder each.
    pub(crate) fn clusters(&self) -> PathBuf {
        self.root.join("clusters")
    }

    /// What is remembered of the demo.
    pub(crate) fn demo(&self) -> PathBuf {
        self.root.join("demo")
    }

    /// Waits for, and holds until dropped, the lock called `name`.
    pub(crate) fn lock(&self, name: &str) -> Result<File> {
        let folder = self.root.join("locks");
        fs::create_dir_all(&folder).doing(|| format!("make {}", folder.display()))?;
        let path = folder.join(name);
        let file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .doing(|| format!("open {}", path.display()))?;
        file.lock().doing(|| format!("lock {}", path.display()))?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_is_exclusive_until_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path()).unwrap();
        let held = cache.lock("x").unwrap();
        let path = folder.path().join("locks/x");
        assert!(File::open(&path).unwrap().try_lock().is_err());
        drop(held);
        assert!(File::open(&path).unwrap().try_lock().is_ok());
    }
}
