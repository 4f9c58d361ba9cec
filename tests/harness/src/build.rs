//! Builds the project's own programs and their images.

use std::path::{Path, PathBuf};

use crate::cache::repository;
use crate::error::Result;
use crate::image::programs;
use crate::program::{program, run_shown};
use crate::report::Report;

/// Builds the programs for release and writes their images to `target/images`.
///
/// # Errors
/// The build failed or a file cannot be written.
pub fn images(report: &Report) -> Result<Vec<PathBuf>> {
    let root = repository();
    report.long_step("build the programs (minutes the first time)", || {
        let mut cargo = program("cargo", ["build", "--release", "--locked", "--quiet"]);
        for name in programs::PROGRAMS {
            cargo.args(["--bin", name]);
        }
        run_shown(cargo.current_dir(&root))
    })?;
    programs::write_all(&target(&root).join("release"), &root.join("target/images"), report)
}

fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}
