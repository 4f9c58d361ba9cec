//! Whether files are what they were: by identity, size and times, links followed. Cheap enough to ask often.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Files that are written in place are read once they have rested this long.
const REST: Duration = Duration::from_millis(50);

/// Files that never rest are read all the same after this many rests.
const RESTS: u32 = 20;

/// Files and the state that they were seen in, missing ones included.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen(BTreeMap<PathBuf, Option<Mark>>);

/// Device, inode, size, modification and change in nanoseconds.
type Mark = (u64, u64, u64, i128, i128);

impl Seen {
    /// Adds the present state of `files`, but for those that were seen before. To be called before they are read: what
    /// changes after it is then known to be newer than what was read.
    pub(crate) fn add(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        for path in files {
            self.0.entry(path).or_insert_with_key(|path| mark(path));
        }
    }

    /// The files.
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.keys()
    }

    /// The present state of the same files.
    pub(super) fn now(&self) -> Self {
        Self(self.0.keys().map(|path| (path.clone(), mark(path))).collect())
    }

    /// Waits until the files rest.
    pub(super) async fn settle(&self) {
        let mut last = self.now();
        for _ in 0..RESTS {
            tokio::time::sleep(REST).await;
            let now = last.now();
            if now == last {
                return;
            }
            last = now;
        }
    }
}

fn mark(path: &Path) -> Option<Mark> {
    let data = std::fs::metadata(path).ok()?;
    let nanos = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    Some((
        data.dev(),
        data.ino(),
        data.size(),
        nanos(data.mtime(), data.mtime_nsec()),
        nanos(data.ctime(), data.ctime_nsec()),
    ))
}
