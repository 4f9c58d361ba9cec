//! Go's `regexp` itself, as a process that answers: the oracle for expressions.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/regexp");

struct Oracle {
    _child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What Go says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It does not take the expression.
    Invalid,
    /// Where it first matches, in bytes, if it does.
    Found(Option<(usize, usize)>),
}

/// Lets Go search `text`.
pub(super) fn find(expression: &str, text: &str) -> Verdict {
    static ORACLE: LazyLock<Mutex<Oracle>> = LazyLock::new(|| Mutex::new(start()));
    let mut oracle = ORACLE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut line = hex(expression);
    line.push(' ');
    line.push_str(&hex(text));
    line.push('\n');
    oracle.questions.write_all(line.as_bytes()).expect("the oracle reads");
    let mut answer = String::new();
    oracle.answers.read_line(&mut answer).expect("the oracle answers");
    match answer.trim_end() {
        "invalid" => Verdict::Invalid,
        "none" => Verdict::Found(None),
        found => {
            let (from, to) = found.split_once(' ').expect("two offsets");
            let offset = |text: &str| text.parse().expect("an offset");
            Verdict::Found(Some((offset(from), offset(to))))
        }
    }
}

fn start() -> Oracle {
    let program = std::env::temp_dir().join(format!("regexp-oracle-{}", std::process::id()));
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(Path::new(SOURCE))
        .status()
        .expect("Go is needed to compare expressions with its own: install Go");
    assert!(built.success(), "the oracle does not build");
    let child = Command::new(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("the oracle starts");
    // It runs on without its file.
    std::fs::remove_file(&program).expect("the oracle's file can be removed");
    let questions = child.stdin.take().expect("a pipe");
    let answers = BufReader::new(child.stdout.take().expect("a pipe"));
    Oracle { _child: child, questions, answers }
}

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |mut hex, byte| {
        // Writing to a String can not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
