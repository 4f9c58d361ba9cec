//! Wakes up when something happens near the watched files. It watches folders, because a file that is replaced, and above
//! all the link `..data` that Kubernetes swaps, is a change of its folder. Whether a file changed is for others to see.

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Without inotify, or where it does not see changes (some network file systems), this is how long a change waits.
const POLL: Duration = Duration::from_secs(15);

/// Watches the folders of files.
pub(super) struct Watcher {
    inotify: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    woken: Arc<Notify>,
}

impl Watcher {
    /// A watcher of nothing yet. Where there is no inotify, it wakes up by the clock alone.
    pub(super) fn new() -> Self {
        let woken = Arc::new(Notify::new());
        let wake = Arc::clone(&woken);
        let inotify = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if !matches!(event.map(|event| event.kind), Ok(EventKind::Access(_))) {
                wake.notify_one();
            }
        });
        let inotify = inotify
            .inspect_err(|error| tracing::warn!(%error, "changed files are seen late: the system does not tell of changes"))
            .ok();
        Self { inotify, folders: BTreeSet::new(), woken }
    }

    /// Watches the folders of `files` from now on, and no others.
    pub(super) fn watch<'a>(&mut self, files: impl Iterator<Item = &'a PathBuf>) {
        let wanted: BTreeSet<PathBuf> = files.flat_map(|file| folders(file)).collect();
        let Some(inotify) = &mut self.inotify else { return };
        for folder in self.folders.difference(&wanted) {
            // A folder that is gone is watched no more anyway.
            let _ = inotify.unwatch(folder);
        }
        // Again even if it was watched: a folder of this name may be another one by now.
        self.folders = wanted
            .into_iter()
            .filter(|folder| inotify.watch(folder, RecursiveMode::NonRecursive).is_ok())
            .collect();
    }

    /// Returns when something happened, or some time has passed.
    pub(super) async fn changed(&self) {
        let _ = tokio::time::timeout(POLL, self.woken.notified()).await;
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
