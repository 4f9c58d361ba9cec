//! Runs other programs and keeps what they say for the error message.

use std::process::{Command, Output, Stdio};

pub(crate) use launcher::logged::tail;

use crate::error::{Doing as _, Error, Result};

/// A command for `program` with `args`.
pub(crate) fn program<A: AsRef<std::ffi::OsStr>>(
    program: impl AsRef<std::ffi::OsStr>,
    args: impl IntoIterator<Item = A>,
) -> Command {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs to the end and returns standard output.
///
/// # Errors
/// The program could not be started or failed; the message carries the end of its output.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    if !output.status.success() {
        return Err(failure(command, &output));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs to the end whatever the outcome.
///
/// # Errors
/// The program could not be started.
pub(crate) fn output(command: &mut Command) -> Result<Output> {
    command.output().doing(|| format!("run {}", shown(command)))
}

/// As [`run`], with `input` on standard input.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_with_input(command: &mut Command, input: &str) -> Result<String> {
    use std::io::Write as _;
    let doing = |command: &Command| format!("run {}", shown(command));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .doing(|| doing(command))?;
    if let Some(mut pipe) = child.stdin.take() {
        // A program that ends before it read everything says why itself.
        let _ = pipe.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().doing(|| doing(command))?;
    if !output.status.success() {
        return Err(failure(command, &output));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn failure(command: &Command, output: &Output) -> Error {
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    Error::Program {
        shown: shown(command),
        status: output.status,
        output: tail(&String::from_utf8_lossy(&said), 30),
    }
}

fn shown(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args() {
        text.push(' ');
        text.push_str(&arg.to_string_lossy());
    }
    if text.len() > 300 {
        text = text.chars().take(300).collect::<String>() + "…";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_carries_the_end_of_the_output() {
        let error = run(&mut program("sh", ["-c", "echo first; echo last >&2; exit 3"]));
        let text = error.unwrap_err().to_string();
        assert!(text.contains("exit status: 3"), "{text}");
        assert!(text.ends_with("    first\n    last"), "{text}");
    }
}
