//! The cgroup of a cluster: made before the kubelet starts, removed after all its processes ended.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::clock::Deadline;
use crate::error::{Doing as _, Result};

/// Makes the cgroup `name` (with a leading slash) in every hierarchy.
pub(crate) fn create(name: &str) -> Result<()> {
    for hierarchy in hierarchies() {
        let path = below(&hierarchy, name);
        delegate(&hierarchy)?;
        fs::create_dir_all(&path).doing(|| format!("make the cgroup {}", path.display()))?;
        // In version 1 a fresh cpuset is empty and takes no process until it is filled.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if let Ok(value) = fs::read(hierarchy.join(file)) {
                fs::write(path.join(file), value)
                    .doing(|| format!("fill {}", path.join(file).display()))?;
            }
        }
    }
    Ok(())
}

/// In version 2 a cgroup has only the controllers that its parent hands down. systemd hands down
/// all that the kubelet needs; elsewhere they are asked for here, as the kubelet would itself.
fn delegate(hierarchy: &Path) -> Result<()> {
    let read = |file: &str| fs::read_to_string(hierarchy.join(file)).unwrap_or_default();
    let (there, given) = (read("cgroup.controllers"), read("cgroup.subtree_control"));
    let has = |list: &str, name: &str| list.split_whitespace().any(|word| word == name);
    for controller in ["cpu", "cpuset", "memory", "pids"] {
        if has(&there, controller) && !has(&given, controller) {
            let file = hierarchy.join("cgroup.subtree_control");
            fs::write(&file, format!("+{controller}"))
                .doing(|| format!("hand down {controller} in {}", file.display()))?;
        }
    }
    Ok(())
}

/// Removes the cgroup `name` and all below it, waiting a little for ended processes to leave.
pub(crate) fn remove(name: &str) -> Result<()> {
    let deadline = Deadline::after(Duration::from_secs(10));
    for hierarchy in hierarchies() {
        let path = below(&hierarchy, name);
        while path.exists() {
            match remove_tree(&path) {
                Ok(()) => break,
                Err(_) if !deadline.passed() => thread::sleep(Duration::from_millis(50)),
                Err(error) => {
                    return Err(error).doing(|| format!("remove the cgroup {}", path.display()));
                }
            }
        }
    }
    Ok(())
}

/// A cgroup is removed folder by folder; its files go with it.
fn remove_tree(path: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(path)?.flatten() {
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}

fn below(hierarchy: &Path, name: &str) -> PathBuf {
    hierarchy.join(name.trim_start_matches('/'))
}

/// The mount points of all cgroup hierarchies.
fn hierarchies() -> Vec<PathBuf> {
    mounted(&fs::read_to_string("/proc/mounts").unwrap_or_default())
}

fn mounted(mounts: &str) -> Vec<PathBuf> {
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let path = fields.next()?;
            matches!(fields.next()?, "cgroup" | "cgroup2").then(|| PathBuf::from(path))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_both_versions_are_found() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
            cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
            cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(
            mounted(mounts),
            [PathBuf::from("/sys/fs/cgroup/cpu"), PathBuf::from("/sys/fs/cgroup/unified")]
        );
    }
}
