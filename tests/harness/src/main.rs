//! The harness's command line; see `harness --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    match harness::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            harness::report::say(format_args!("harness: {error}"));
            ExitCode::FAILURE
        }
    }
}
