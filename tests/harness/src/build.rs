//! Builds the project's own programs and their images.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use crate::cache::repository;
use crate::error::Result;
use crate::image::programs;
use crate::program::{program, run_shown};
use crate::report::Report;

/// Writes the images of the programs in `from`, or else of those it builds for release, to `to`.
///
/// # Errors
/// The build failed or a file cannot be written.
pub fn images(from: Option<&Path>, to: &Path, report: &Report) -> Result<Vec<PathBuf>> {
    match from {
        Some(from) => programs::write_all(from, to, report),
        None => programs::write_all(&build(report)?, to, report),
    }
}

/// Builds the programs and returns the folder that has them.
fn build(report: &Report) -> Result<PathBuf> {
    let root = repository();
    report.long_step("build the programs (minutes the first time)", || {
        let mut cargo = program("cargo", ["build", "--release", "--locked"]);
        // A person sees how far it is; a log does not need each crate's name.
        if !std::io::stderr().is_terminal() {
            cargo.arg("--quiet");
        }
        // By package: the workspace as a whole would also build what only tests need, and link some of it in.
        for (package, name) in programs::PROGRAMS {
            cargo.args(["--package", package, "--bin", name]);
        }
        run_shown(cargo.current_dir(&root))
    })?;
    Ok(target(&root).join("release"))
}

fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}
