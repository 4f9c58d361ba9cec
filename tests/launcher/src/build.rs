//! Builds with cargo under one line of progress.

use std::process::Command;

use crate::cache;
use crate::logged;
use crate::report::Progress;

/// Builds the harness.
///
/// # Errors
/// The build failed: the end of what cargo said.
pub fn harness(cargo: &str, progress: Progress<'_>) -> Result<(), String> {
    let mut command = Command::new(cargo);
    command.args(["build", "--locked", "--package", "harness", "--bin", "harness"]);
    run(&mut command, "build-harness", progress)
}

/// Runs a build of cargo whose output goes to the log called `name`.
///
/// # Errors
/// As [`logged::run`].
pub fn run(command: &mut Command, name: &str, progress: Progress<'_>) -> Result<(), String> {
    // The bar is how cargo tells how far it is; it wants to be told how long that may be.
    command
        .env("CARGO_TERM_PROGRESS_WHEN", "always")
        .env("CARGO_TERM_PROGRESS_WIDTH", "80")
        .env("CARGO_TERM_COLOR", "never")
        .current_dir(cache::repository());
    logged::run(command, &cache::log(name), |line| {
        if let Some(at) = logged::cargo(line) {
            progress.at(at);
        }
    })
}
