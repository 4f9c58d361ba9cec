//! The images of the project's own programs: the program, the few libraries it links to, and
//! what a TLS client and a resolver look for. Nothing else, no shell.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::image::libraries::add_program;
use crate::image::{Image, Tree, write};
use crate::report::Report;

/// The certificates that Debian trusts.
const TRUSTED: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The programs that have an image: the package each is built from, and the name of the program, of its image and of its
/// archive.
pub const PROGRAMS: [(&str, &str); 3] =
    [("proxy", "oauth2-proxy"), ("operator", "oauth2-proxy-operator"), ("harness", "sample-app")];

/// The public name of the image of `program`.
#[must_use]
pub fn image_name(program: &str) -> String {
    format!("ghcr.io/oauth2proxy/{program}:{}", env!("CARGO_PKG_VERSION"))
}

/// Writes the images of all programs found in `from` below `to`: an archive each, and the staged
/// root that the Containerfiles copy. Returns the archives.
///
/// # Errors
/// A program is missing or a file cannot be written.
pub fn write_all(from: &Path, to: &Path, report: &Report) -> Result<Vec<PathBuf>> {
    PROGRAMS.iter().map(|(_, name)| write_one(name, from, to, report)).collect()
}

fn write_one(name: &str, from: &Path, to: &Path, report: &Report) -> Result<PathBuf> {
    let program = from.join(name);
    if !program.exists() {
        return Err(Error::Need(format!(
            "there is no {}: build it first, as `make images` does",
            program.display()
        )));
    }
    let archive = to.join(format!("{name}.tar"));
    report.step(&format!("image {} in {}", image_name(name), archive.display()), || {
        let tree = tree(name, &program)?;
        tree.stage(&to.join("root").join(name))?;
        write(&Image::new(&image_name(name), tree, &[&format!("/usr/local/bin/{name}")]), &archive)
    })?;
    Ok(archive)
}

fn tree(name: &str, program: &Path) -> Result<Tree> {
    let mut tree = Tree::new();
    add_program(&mut tree, &format!("/usr/local/bin/{name}"), program)?;
    tree.bytes("/etc/passwd", "nonroot:x:65532:65532::/:/nonexistent\n", 0o644);
    tree.bytes("/etc/group", "nonroot:x:65532:\n", 0o644);
    // Without it the resolver asks the network before the pod's own hosts file.
    tree.bytes("/etc/nsswitch.conf", "hosts: files dns\n", 0o644);
    if Path::new(TRUSTED).exists() {
        tree.copy(TRUSTED, TRUSTED, 0o644);
    }
    Ok(tree)
}
