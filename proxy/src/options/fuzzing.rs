//! oauth2-proxy's own configuration file, for [`crate::fuzzing`].

use super::file;
use proxy_config::Problems;

/// Options, problems or an error; the error shows no line of the file, which may hold a secret.
pub(crate) fn toml(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = file::parse(text, &mut Problems::default());
}
