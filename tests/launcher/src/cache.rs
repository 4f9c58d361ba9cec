//! Where the one folder is that is kept outside of the repository, and where the logs of builds are.

use std::env;
use std::path::{Path, PathBuf};

/// Names another cache folder.
pub const VARIABLE: &str = "OAUTH2_PROXY_OPERATOR_CACHE";

/// `$OAUTH2_PROXY_OPERATOR_CACHE`, or `oauth2-proxy-operator` in `$XDG_CACHE_HOME` or `~/.cache`; nothing if none of the
/// variables is set.
#[must_use]
pub fn root() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set(VARIABLE)
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("oauth2-proxy-operator")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/oauth2-proxy-operator")))
}

/// The repository that this program was built from.
#[must_use]
pub fn repository() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).to_path_buf()
}

/// Where cargo puts what it builds.
#[must_use]
pub fn target() -> PathBuf {
    let root = repository();
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}

/// The log of the build called `name`.
#[must_use]
pub fn log(name: &str) -> PathBuf {
    target().join("logs").join(name).with_added_extension("log")
}
