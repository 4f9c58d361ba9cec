//! The files of an image, in a fixed order and without anything that differs between two machines.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::error::{Doing as _, Result};

/// Files by their path in the image, without the leading slash.
#[derive(Debug, Default, Clone)]
pub struct Tree {
    entries: BTreeMap<PathBuf, Entry>,
    owned: Option<(PathBuf, u64)>,
}

#[derive(Debug, Clone)]
enum Entry {
    Folder { mode: u32 },
    Copy { from: PathBuf, mode: u32 },
    Bytes { content: Vec<u8>, mode: u32 },
    Link { target: PathBuf },
}

impl Tree {
    /// No files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A folder with `mode`.
    pub fn folder(&mut self, path: impl AsRef<Path>, mode: u32) {
        self.put(path.as_ref(), Entry::Folder { mode });
    }

    /// The content of the file `from`, with `mode`.
    pub fn copy(&mut self, path: impl AsRef<Path>, from: impl Into<PathBuf>, mode: u32) {
        let from = from.into();
        self.put(path.as_ref(), Entry::Copy { from, mode });
    }

    /// A small file.
    pub fn bytes(&mut self, path: impl AsRef<Path>, content: impl Into<Vec<u8>>, mode: u32) {
        let content = content.into();
        self.put(path.as_ref(), Entry::Bytes { content, mode });
    }

    /// A symbolic link.
    pub fn link(&mut self, path: impl AsRef<Path>, target: impl Into<PathBuf>) {
        let target = target.into();
        self.put(path.as_ref(), Entry::Link { target });
    }

    /// The folder `from` and all below it, as `at`. Links to files outside are followed,
    /// those inside kept; `skip` leaves out what it answers `true` to.
    ///
    /// # Errors
    /// A folder or link cannot be read.
    pub fn folder_of(
        &mut self,
        at: &Path,
        from: &Path,
        skip: &dyn Fn(&Path) -> bool,
    ) -> Result<()> {
        let listing = fs::read_dir(from).doing(|| format!("read {}", from.display()))?;
        for entry in listing {
            let entry = entry.doing(|| format!("read {}", from.display()))?;
            let (path, source) = (at.join(entry.file_name()), entry.path());
            if skip(&path) {
                continue;
            }
            // Followed: Debian's packages link from /usr/lib to /etc.
            let Ok(meta) = fs::metadata(&source) else {
                continue;
            };
            if meta.is_dir() {
                self.folder_of(&path, &source, skip)?;
            } else {
                let executable = meta.permissions().mode() & 0o111 != 0;
                self.copy(&path, &source, if executable { 0o755 } else { 0o644 });
            }
        }
        Ok(())
    }

    /// Gives all below `path` to the user with the number `user`; everything else is root's.
    pub fn own(&mut self, path: impl Into<PathBuf>, user: u64) {
        self.owned = Some((path.into(), user));
    }

    fn owner(&self, path: &Path) -> u64 {
        self.owned
            .as_ref()
            .filter(|(below, _)| path.starts_with(below))
            .map_or(0, |(_, user)| *user)
    }

    fn put(&mut self, path: &Path, entry: Entry) {
        let path = path.strip_prefix("/").unwrap_or(path);
        for parent in path.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()) {
            self.entries.entry(parent.to_path_buf()).or_insert(Entry::Folder { mode: 0o755 });
        }
        self.entries.insert(path.to_path_buf(), entry);
    }

    /// Writes the tree as a tar archive that depends on nothing but its content.
    ///
    /// # Errors
    /// A file cannot be read, or `out` not written.
    pub fn write_tar(&self, out: impl Write) -> Result<()> {
        let mut tar = tar::Builder::new(out);
        for (path, entry) in &self.entries {
            append(&mut tar, path, entry, self.owner(path))
                .doing(|| format!("pack {}", path.display()))?;
        }
        tar.into_inner().and_then(|mut out| out.flush()).doing(|| "write the layer".to_owned())
    }

    /// Writes the tree as files below `root`, which is emptied first.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn stage(&self, root: &Path) -> Result<()> {
        if root.exists() {
            fs::remove_dir_all(root).doing(|| format!("empty {}", root.display()))?;
        }
        fs::create_dir_all(root).doing(|| format!("make {}", root.display()))?;
        for (path, entry) in &self.entries {
            let to = root.join(path);
            stage(&to, entry).doing(|| format!("write {}", to.display()))?;
        }
        Ok(())
    }
}

fn append(
    tar: &mut tar::Builder<impl Write>,
    path: &Path,
    entry: &Entry,
    owner: u64,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_uid(owner);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header.set_entry_type(tar::EntryType::Regular);
    match entry {
        Entry::Folder { mode } => {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(*mode);
            tar.append_data(&mut header, path, io::empty())
        }
        Entry::Copy { from, mode } => {
            let file = fs::File::open(from)?;
            header.set_size(file.metadata()?.len());
            header.set_mode(*mode);
            tar.append_data(&mut header, path, file)
        }
        Entry::Bytes { content, mode } => {
            header.set_size(u64::try_from(content.len()).unwrap_or(u64::MAX));
            header.set_mode(*mode);
            tar.append_data(&mut header, path, content.as_slice())
        }
        Entry::Link { target } => {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_mode(0o777);
            tar.append_link(&mut header, path, target)
        }
    }
}

fn stage(to: &Path, entry: &Entry) -> io::Result<()> {
    let mode = match entry {
        Entry::Folder { mode } => {
            fs::create_dir_all(to)?;
            *mode
        }
        Entry::Copy { from, mode } => {
            fs::copy(from, to)?;
            *mode
        }
        Entry::Bytes { content, mode } => {
            fs::write(to, content)?;
            *mode
        }
        Entry::Link { target } => return std::os::unix::fs::symlink(target, to),
    };
    fs::set_permissions(to, fs::Permissions::from_mode(mode))
}
