//! The node's own view of the file system: nothing mounted here is seen by the machine, and
//! what components insist on writing to fixed places lands in memory.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::error::{Doing as _, Result};

/// Folders that containerd, the CNI library and the kubelet write to whatever they are told.
const MASKED: [&str; 3] = ["/run", "/var/lib", "/var/log"];

const NONE: Option<&str> = None;

/// Cuts this mount namespace off from the machine's. Mounts made after it stay inside.
pub(crate) fn detach_from_host() -> Result<()> {
    let all = |flag: MsFlags| {
        mount(NONE, "/", NONE, MsFlags::MS_REC | flag, NONE)
            .doing(|| "detach from the machine's mounts".to_owned())
    };
    all(MsFlags::MS_PRIVATE)?;
    // Among themselves the node's processes share mounts, as pods that propagate them expect.
    all(MsFlags::MS_SHARED)
}

/// Mounts the node's own `/proc` and covers the fixed places, leaving `keep` in sight.
pub(crate) fn cover(keep: &Path) -> Result<()> {
    let kept = File::open(keep).doing(|| format!("open {}", keep.display()))?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, NONE).doing(|| "mount /proc".to_owned())?;
    for place in MASKED.into_iter().filter(|place| Path::new(place).exists()) {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some("node"), place, Some("tmpfs"), flags, Some("mode=755"))
            .doing(|| format!("cover {place}"))?;
        if keep.starts_with(place) {
            fs::create_dir_all(keep).doing(|| format!("make {}", keep.display()))?;
            let source = format!("/proc/self/fd/{}", kept.as_raw_fd());
            mount(Some(source.as_str()), keep, NONE, MsFlags::MS_BIND, NONE)
                .doing(|| format!("keep {} in sight", keep.display()))?;
        }
    }
    Ok(())
}

/// Takes off everything mounted below `folder` and says whether nothing is left.
///
/// Deleting a folder that still has mounts below it would delete what is mounted there.
pub(crate) fn uncover(folder: &Path) -> bool {
    for _ in 0..8 {
        let points = below(&fs::read_to_string("/proc/self/mounts").unwrap_or_default(), folder);
        if points.is_empty() {
            return true;
        }
        for point in points.iter().rev() {
            let _ = umount2(point.as_str(), MntFlags::MNT_DETACH);
        }
    }
    false
}

fn below(mounts: &str, folder: &Path) -> Vec<String> {
    mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .map(|point| point.replace("\\040", " "))
        .filter(|point| Path::new(point).starts_with(folder) && Path::new(point) != folder)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_below_the_folder_are_named() {
        let mounts = "a / ext4 rw 0 0\nb /s/x tmpfs rw 0 0\nc /s/x/a\\040b tmpfs rw 0 0\nd /s/xy tmpfs rw 0 0\n";
        assert_eq!(below(mounts, Path::new("/s/x")), ["/s/x/a b"]);
    }
}
