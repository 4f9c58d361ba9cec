//! Container images without a container engine: a tree of files becomes one layer, and the layer
//! an archive that `ctr images import`, `docker load` and `podman load` take.
//!
//! The same input gives the same bytes: no times, no owners, no order of the file system.

mod archive;
pub mod keycloak;
mod libraries;
pub mod programs;
pub(crate) mod system;
mod tree;

use serde_json::{Value, json};

pub use self::archive::{Described, describe, write};
pub use self::tree::Tree;

/// The user and group that images run as.
pub(crate) const NON_ROOT: &str = "65532:65532";

/// An image to be written.
#[derive(Debug)]
pub struct Image {
    /// Its full public name with the tag.
    pub name: String,
    /// Its files.
    pub tree: Tree,
    /// What runs in it.
    pub entrypoint: Vec<String>,
    /// `NAME=value` for what runs.
    pub env: Vec<String>,
    /// The user and group, or empty for root.
    pub user: String,
}

impl Image {
    /// An image that runs `entrypoint` as a user without rights.
    #[must_use]
    pub fn new(name: &str, tree: Tree, entrypoint: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            tree,
            entrypoint: entrypoint.iter().map(ToString::to_string).collect(),
            env: vec!["PATH=/usr/local/bin:/usr/bin:/bin".to_owned()],
            user: NON_ROOT.to_owned(),
        }
    }

    /// The image's configuration, by the OCI image specification.
    fn config(&self, layer_digest: &str) -> Value {
        json!({
            "created": "1970-01-01T00:00:00Z",
            "architecture": architecture(),
            "os": "linux",
            "config": {"Entrypoint": self.entrypoint, "Env": self.env, "User": self.user, "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
        })
    }
}

/// This machine's architecture, in the words of the OCI.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
