//! Shell completions, from the same rows as everything else.

use super::flags::{CONTROL_SWITCHES, CONTROL_VALUES};
use super::row::{Kind, Row};
use super::supported::SUPPORTED;
use clap::{Arg, ArgAction, Command, ValueHint};
use clap_complete::{Shell, generate};

/// Shells with a completion script.
pub(crate) const SHELLS: [&str; 5] = ["bash", "elvish", "fish", "powershell", "zsh"];

/// The completion script for `shell`.
pub(crate) fn script(shell: &str) -> Option<String> {
    let shell = match shell {
        "bash" => Shell::Bash,
        "elvish" => Shell::Elvish,
        "fish" => Shell::Fish,
        "powershell" => Shell::PowerShell,
        "zsh" => Shell::Zsh,
        _ => return None,
    };
    let mut script = Vec::new();
    generate(shell, &mut command(), "oauth2-proxy", &mut script);
    String::from_utf8(script).ok()
}

fn command() -> Command {
    let files =
        CONTROL_VALUES.iter().filter(|name| name.ends_with("config") && **name != "alpha-config");
    let switches = CONTROL_SWITCHES.iter().filter(|name| **name != "convert-config-to-alpha");
    Command::new("oauth2-proxy")
        .disable_version_flag(true)
        .args(SUPPORTED.iter().map(argument))
        .args(files.map(|name| Arg::new(*name).long(*name).value_hint(ValueHint::FilePath)))
        .args(switches.map(|name| Arg::new(*name).long(*name).action(ArgAction::SetTrue)))
        .subcommand(Command::new("completions").arg(Arg::new("shell").value_parser(SHELLS)))
}

fn argument(row: &Row) -> Arg {
    let argument = Arg::new(row.key).long(row.flag).help(row.meaning());
    match row.kind {
        Kind::Switch => argument.action(ArgAction::SetTrue),
        _ if row.key.ends_with("_file")
            || row.key.ends_with("_files")
            || row.key.ends_with("_path") && row.key.contains("ca_") =>
        {
            argument.value_hint(ValueHint::FilePath)
        }
        _ => argument,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_supported_flag_is_completed_in_every_shell() {
        for shell in SHELLS {
            let script = script(shell).unwrap();
            for row in SUPPORTED {
                assert!(script.contains(row.flag), "{shell}: {}", row.flag);
            }
        }
    }
}
