//! What holds the parts of the repository apart and together. Fast, and needs nothing but the sources and cargo.

mod advisories;
mod chart;
mod circles;
mod dependencies;
mod limits;
mod links;
mod named;
mod newcomer;
mod orphans;
mod threads;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The top of the repository.
const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// All files below `folder`, but for what is built and what is hidden.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("its entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name == "target" || name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path);
        }
    }
    found
}

/// The sources among them.
fn sources(folder: &Path) -> BTreeSet<PathBuf> {
    files(folder).into_iter().filter(|path| is_a(path, "rs")).collect()
}

fn is_a(path: &Path, kind: &str) -> bool {
    path.extension().is_some_and(|extension| extension == kind)
}
