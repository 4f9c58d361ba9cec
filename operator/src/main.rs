//! Reads the command line, does what it says, and turns what went wrong into a message and an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    operator::main(std::env::args_os())
}
