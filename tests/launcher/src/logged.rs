//! Runs a build with its output in a file, reads from it how far the build is, and shows the end of it when it fails.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::Command;

/// Runs `command` to the end, with all that it says in `log`, and gives each of its lines to `read`.
///
/// # Errors
/// It could not be started or failed: what it was, the end of what it said, and where the rest is.
pub fn run(command: &mut Command, log: &Path, mut read: impl FnMut(&str)) -> Result<(), String> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let status = follow(command, log, &mut read).map_err(|error| {
        format!("cannot run {shown} with its output in {}: {error}", log.display())
    })?;
    if status.success() {
        return Ok(());
    }
    let said = fs::read(log).unwrap_or_default();
    Err(format!(
        "{shown} failed ({status}); the end of {}:\n{}",
        log.display(),
        tail(&String::from_utf8_lossy(&said), 30)
    ))
}

fn follow(
    command: &mut Command,
    log: &Path,
    read: &mut dyn FnMut(&str),
) -> io::Result<std::process::ExitStatus> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = File::create(log)?;
    let (mut reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let child = command.spawn();
    // The command holds ends of the pipe for writing: with them open the reading below would never end.
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut child = child?;
    let (mut buffer, mut line) = ([0; 4096], Vec::new());
    loop {
        let count = reader.read(&mut buffer)?;
        for byte in buffer.get(..count).unwrap_or_default() {
            if *byte != b'\n' && *byte != b'\r' {
                line.push(*byte);
                continue;
            }
            let text = String::from_utf8_lossy(&line).into_owned();
            read(&text);
            // What is written over on a terminal is nothing to keep.
            if *byte == b'\n' {
                writeln!(file, "{text}")?;
            }
            line.clear();
        }
        if count == 0 {
            file.write_all(&line)?;
            return child.wait();
        }
    }
}

/// The last `lines` lines of `text`, indented.
#[must_use]
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    let skip = all.len().saturating_sub(lines);
    all.iter().skip(skip).map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// How far cargo is, from a line of its own progress: `12 of 340`.
#[must_use]
pub fn cargo(line: &str) -> Option<String> {
    let line = line.trim_start();
    if line.starts_with("Downloading") || line.starts_with("Updating") {
        return Some("downloading".to_owned());
    }
    let (_, rest) = line.strip_prefix("Building [")?.split_once("] ")?;
    let (done, all) = rest.split(':').next()?.trim().split_once('/')?;
    let (done, all): (u32, u32) = (done.parse().ok()?, all.parse().ok()?);
    Some(format!("{done} of {all}"))
}

/// What `go build -v` did so far: a line each for a module that it downloads and for a package that it compiles.
#[derive(Debug, Default)]
pub struct Go {
    downloaded: u32,
    compiled: u32,
}

impl Go {
    /// Takes a line, and says how far it is.
    pub fn read(&mut self, line: &str) -> String {
        if line.starts_with("go: downloading ") {
            self.downloaded += 1;
        } else if !line.is_empty() && !line.contains(' ') {
            self.compiled += 1;
        }
        match self.compiled {
            0 => format!("{} modules downloaded", self.downloaded),
            compiled => format!("{compiled} packages compiled"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(name: &str, script: &str) -> (Result<(), String>, Vec<String>, String) {
        let log = std::env::temp_dir().join(format!("launcher-{}-{name}.log", std::process::id()));
        let mut lines = Vec::new();
        let mut command = Command::new("sh");
        let result = run(command.args(["-c", script]), &log, |line| lines.push(line.to_owned()));
        let kept = fs::read_to_string(&log).unwrap();
        fs::remove_file(&log).unwrap();
        (result, lines, kept)
    }

    #[test]
    fn every_line_of_both_outputs_is_read_and_only_bars_are_not_kept() {
        let (result, lines, kept) =
            shell("read", r"echo out; echo err >&2; printf '1/2\r2/2\r'; printf end");
        assert_eq!(result, Ok(()));
        assert_eq!(lines, ["out", "err", "1/2", "2/2"]);
        assert_eq!(kept, "out\nerr\nend");
    }

    #[test]
    fn failure_shows_the_end_of_the_log_and_where_it_is() {
        let (result, ..) = shell("fail", "seq 100; exit 3");
        let error = result.unwrap_err();
        assert!(error.starts_with("sh failed (exit status: 3); the end of /"), "{error}");
        assert!(error.contains(".log:\n    71\n") && error.ends_with("\n    100"), "{error}");
    }

    #[test]
    fn program_that_is_not_there_is_named() {
        let log = std::env::temp_dir().join(format!("launcher-{}-none.log", std::process::id()));
        let error = run(&mut Command::new("/no/such/program"), &log, |_| ()).unwrap_err();
        fs::remove_file(&log).unwrap();
        assert!(error.contains("cannot run /no/such/program"), "{error}");
    }

    #[test]
    fn progress_of_cargo_is_read_from_its_bar() {
        assert_eq!(
            cargo("    Building [=====>    ] 12/340: tokio, nix"),
            Some("12 of 340".to_owned())
        );
        assert_eq!(cargo("    Building [=====>    ] 12/340"), Some("12 of 340".to_owned()));
        assert_eq!(cargo("  Downloading 3 crates"), Some("downloading".to_owned()));
        assert_eq!(cargo("   Compiling tokio v1.54.0"), None);
        assert_eq!(cargo("warning: [x] 1/2"), None);
    }

    #[test]
    fn progress_of_go_counts_downloads_until_it_compiles() {
        let mut go = Go::default();
        assert_eq!(go.read("go: downloading k8s.io/api v0.35.4"), "1 modules downloaded");
        assert_eq!(go.read("k8s.io/api/core/v1"), "1 packages compiled");
        assert_eq!(go.read("# a remark"), "1 packages compiled");
    }
}
