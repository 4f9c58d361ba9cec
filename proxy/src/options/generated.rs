//! The generated file: of those beside each other the newest that this version knows and that is meant for this pod.
//!
//! A newer file that is there and can not be read is an error and no reason to take an older one. One that names a file which
//! the pod does not have is for pods that have it: the folder is made by the pod's specification, which is behind then.

use super::{Loaded, PodPorts, ReadError, digest, read, spelling};
use proxy_config::{Config, Problems, level};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A newer file and what it names that this pod lacks.
pub(crate) struct PassedOver {
    /// The configuration.
    pub(crate) config: PathBuf,
    /// The first file that is not there.
    pub(crate) missing: PathBuf,
}

/// All files that may hold the configuration, `path` last.
pub(super) fn files(path: &Path) -> Vec<PathBuf> {
    let mut files = level::newer_than(path);
    files.push(path.to_owned());
    files
}

/// Reads the one that counts.
///
/// # Errors
/// It can not be read, or is not what the schema says.
pub(super) fn load(path: &Path, ports: PodPorts) -> Result<Loaded, ReadError> {
    let mut passed_over = None;
    for newer in level::newer_than(path) {
        let bytes = match read(&newer) {
            Err(ReadError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => continue,
            read => read?,
        };
        let config = parse(&newer, &bytes)?;
        match missing(&config, path) {
            None => return Ok(loaded(config, &bytes, ports, passed_over)),
            Some(missing) => {
                passed_over.get_or_insert(PassedOver { config: newer, missing });
            }
        }
    }
    let bytes = read(path)?;
    Ok(loaded(parse(path, &bytes)?, &bytes, ports, passed_over))
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Config, ReadError> {
    Config::parse(bytes).map_err(|source| ReadError::Parse { path: path.to_owned(), source })
}

/// A file of the folder of `path` that is named and not there. Keys do not count, as they come and go with the entries of
/// their Secret; nor does a file about which nothing can be learned.
fn missing(config: &Config, path: &Path) -> Option<PathBuf> {
    let folder = path.parent()?;
    let mut files = config.mounted_files().into_iter();
    files.find(|file| file.starts_with(folder) && file.try_exists().is_ok_and(|there| !there))
}

fn loaded(
    mut config: Config,
    bytes: &[u8],
    ports: PodPorts,
    passed_over: Option<PassedOver>,
) -> Loaded {
    ports.apply(&mut config);
    Loaded {
        config,
        hash: Some(digest::sha256_hex(bytes)),
        problems: Problems::default(),
        spelling: spelling::Spelling::Fields,
        passed_over,
    }
}
