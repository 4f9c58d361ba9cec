//! Wakes up when something happens near the watched files. It watches folders, because a file that is replaced, and above
//! all the link `..data` that Kubernetes swaps, is a change of its folder. Whether a file changed is for others to see.
//! It needs no thread of its own: where the system gives none, it watches all the same.

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;
use tokio::net::unix::pipe::Receiver;

/// Without inotify, or where it does not see changes (some network file systems), this is how long a change waits.
const POLL: Duration = Duration::from_secs(15);

/// Whatever may make a file another one. Not that somebody reads it, which we do ourselves.
const CHANGES: WatchFlags = WatchFlags::ATTRIB
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// Watches the folders of files.
pub(super) struct Watcher {
    /// Read as a pipe is: it ends never, and whoever reads it gets what there is.
    inotify: Option<Receiver>,
    /// What the system calls the folders: two paths of one folder have the same number.
    folders: BTreeSet<i32>,
}

impl Watcher {
    /// A watcher of nothing yet. Where there is no inotify, it wakes up by the clock alone.
    pub(super) fn new() -> Self {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)
            .map_err(io::Error::from)
            .and_then(Receiver::from_owned_fd_unchecked)
            .inspect_err(|error| tracing::warn!(%error, "changed files are seen late: the system does not tell of changes"))
            .ok();
        Self { inotify, folders: BTreeSet::new() }
    }

    /// Watches the folders of `files` from now on, and no others.
    pub(super) fn watch<'a>(&mut self, files: impl Iterator<Item = &'a PathBuf>) {
        let Some(inotify) = &self.inotify else { return };
        let wanted: BTreeSet<PathBuf> = files.flat_map(|file| folders(file)).collect();
        // Again even if it was watched: a folder of this name may be another one by now.
        let watch = |folder: &PathBuf| {
            let added = inotify::add_watch(inotify, folder, CHANGES);
            // One that is not there is for those to report who read in it.
            if added == Err(Errno::NOSPC) {
                let folder = folder.display();
                tracing::warn!(%folder, "changed files are seen late: the system watches no more folders (max_user_watches)");
            }
            added.ok()
        };
        let watched: BTreeSet<i32> = wanted.iter().filter_map(watch).collect();
        for folder in self.folders.difference(&watched) {
            // A folder that is gone is watched no more anyway.
            let _ = inotify::remove_watch(inotify, *folder);
        }
        self.folders = watched;
    }

    /// Returns when something happened, or some time has passed.
    pub(super) async fn changed(&self) {
        let _ = tokio::time::timeout(POLL, self.woken()).await;
    }

    async fn woken(&self) {
        let Some(inotify) = &self.inotify else { return std::future::pending().await };
        if inotify.readable().await.is_err() {
            return std::future::pending().await;
        }
        // What happened is of no interest, and many events are one reason to look.
        let mut events = [0; 4096];
        while inotify.try_read(&mut events).is_ok() {}
    }
}

/// The folders in which a change can make `file` another one: its own, those of links on the way, and where links lead.
fn folders(file: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let mut path = PathBuf::new();
    for part in file.components() {
        path.push(part);
        let link = matches!(part, Component::Normal(_)) && path.is_symlink();
        if link || path == file {
            folders.extend(path.parent().map(Path::to_owned));
        }
        if link {
            // The link itself may lead over another one, such as `..data`.
            folders.extend(
                path.canonicalize().ok().and_then(|target| target.parent().map(Path::to_owned)),
            );
        }
    }
    folders
        .iter_mut()
        .filter(|folder| folder.as_os_str().is_empty())
        .for_each(|folder| *folder = PathBuf::from("."));
    folders
}
