//! Builds the project's own programs and their images.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::image::programs;
use crate::program::program;
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
    report.long_step("build the programs (minutes the first time)", |progress| {
        let mut cargo = program("cargo", ["build", "--release", "--locked"]);
        // By package: the workspace as a whole would also build what only tests need, and link some of it in.
        for (package, name) in programs::PROGRAMS {
            cargo.args(["--package", package, "--bin", name]);
        }
        launcher::build::run(&mut cargo, "build-programs", progress).map_err(Error::Need)
    })?;
    Ok(launcher::cache::target().join("release"))
}
