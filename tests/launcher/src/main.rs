//! `launcher <arguments of the harness>`: checks what can be checked before anything is built, builds the harness and becomes it.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use launcher::check;
use launcher::choice::Choice;
use launcher::machine;
use launcher::report::{Report, say};

fn main() -> ExitCode {
    let report = Report::new();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let for_demo = matches!(&arguments[..], [demo, up, ..] if demo == "demo" && up == "up");
    let from = arguments.iter().any(|argument| argument.starts_with("--from"));
    if for_demo && !fit_for_the_demo(from) {
        return ExitCode::FAILURE;
    }
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let what = if machine::built().harness {
        "build the harness, if something changed"
    } else {
        "build the harness (one to five minutes, once)"
    };
    let built = report.long_step(what, |progress| launcher::build::harness(&cargo, progress));
    if let Err(error) = built {
        say(error);
        return ExitCode::FAILURE;
    }
    let harness = launcher::cache::target().join("debug/harness");
    let mut command = Command::new(&harness);
    command.args(&arguments);
    if for_demo {
        command.arg(format!("--spent={}", report.elapsed().as_millis()));
    }
    let error = command.exec();
    say(format_args!("cannot start {}: {error}", Path::display(&harness)));
    ExitCode::FAILURE
}

/// Tells what stands in the way, or else what is to come. Programs that come `from` a folder need not be built.
fn fit_for_the_demo(from: bool) -> bool {
    let mut built = machine::built();
    built.programs |= from;
    let (choice, mut problems) = Choice::read(|name| std::env::var(name).ok());
    let facts = machine::look(&choice, &machine::remembered_ports(), built);
    problems.extend(check::problems(&choice, &facts));
    if problems.is_empty() {
        say(check::expectation(&choice, &facts));
        return true;
    }
    say(check::refusal(&problems));
    false
}
