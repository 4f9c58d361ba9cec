//! Shell completions, from the same rows as everything else.

use super::flags::{CONTROL_SWITCHES, CONTROL_VALUES};
use super::row::Kind;
use super::supported::SUPPORTED;
use std::fmt::Write as _;

/// Shells with a completion script.
pub(crate) const SHELLS: [&str; 5] = ["bash", "elvish", "fish", "powershell", "zsh"];

/// One flag as a shell knows it.
struct Flag {
    name: &'static str,
    meaning: String,
    takes: Takes,
}

/// What follows a flag.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Value,
    File,
}

/// The completion script for `shell`.
pub(crate) fn script(shell: &str) -> Option<String> {
    match shell {
        "bash" => Some(bash(&flags())),
        "elvish" => Some(elvish(&flags())),
        "fish" => Some(fish(&flags())),
        "powershell" => Some(powershell(&flags())),
        "zsh" => Some(zsh(&flags())),
        _ => None,
    }
}

fn flags() -> Vec<Flag> {
    let rows = SUPPORTED.iter().map(|row| {
        let file = row.key.ends_with("_file")
            || row.key.ends_with("_files")
            || row.key.ends_with("_path") && row.key.contains("ca_");
        let takes = match row.kind {
            Kind::Switch => Takes::Nothing,
            _ if file => Takes::File,
            _ => Takes::Value,
        };
        Flag { name: row.flag, meaning: row.meaning(), takes }
    });
    let control = |takes| move |name: &'static str| Flag { name, meaning: String::new(), takes };
    let files = CONTROL_VALUES.iter().map(|(name, _)| *name);
    let files = files.filter(|name| name.ends_with("config") && *name != "alpha-config");
    let switches = CONTROL_SWITCHES.iter().map(|(name, _)| *name);
    let switches = switches.filter(|name| *name != "convert-config-to-alpha");
    let help = Flag { name: "help", meaning: String::new(), takes: Takes::Nothing };
    rows.chain(files.map(control(Takes::File)))
        .chain(switches.map(control(Takes::Nothing)))
        .chain([help])
        .collect()
}

fn bash(flags: &[Flag]) -> String {
    let join = |takes: Option<Takes>, between: &str| {
        let flags = flags.iter().filter(|flag| takes.is_none_or(|takes| flag.takes == takes));
        flags.map(|flag| format!("--{}", flag.name)).collect::<Vec<_>>().join(between)
    };
    format!(
        "_oauth2_proxy() {{\n    \
             local cur=\"${{COMP_WORDS[COMP_CWORD]}}\" prev=\"${{COMP_WORDS[COMP_CWORD-1]}}\"\n    \
             COMPREPLY=()\n    \
             case \"$prev\" in\n        \
                 completions) COMPREPLY=($(compgen -W \"{}\" -- \"$cur\")) ;;\n        \
                 {}) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n        \
                 {}) ;;\n        \
                 *) COMPREPLY=($(compgen -W \"{} completions\" -- \"$cur\")) ;;\n    \
             esac\n}}\n\ncomplete -F _oauth2_proxy oauth2-proxy\n",
        SHELLS.join(" "),
        join(Some(Takes::File), "|"),
        join(Some(Takes::Value), "|"),
        join(None, " "),
    )
}

fn elvish(flags: &[Flag]) -> String {
    let mut script = format!(
        "set edit:completion:arg-completer[oauth2-proxy] = {{|@words|\n    \
             if (==s $words[-2] completions) {{\n        put {}\n        return\n    }}\n    \
             put completions\n",
        SHELLS.join(" ")
    );
    for Flag { name, meaning, .. } in flags {
        let shown = quoted(&format!("--{name}  {meaning}"));
        let _ = writeln!(script, "    edit:complex-candidate --{name} &display={shown}");
    }
    script + "}\n"
}

fn fish(flags: &[Flag]) -> String {
    let mut script = format!(
        "complete -c oauth2-proxy -f\n\
         complete -c oauth2-proxy -n __fish_use_subcommand -a completions\n\
         complete -c oauth2-proxy -n '__fish_seen_subcommand_from completions' -a '{}'\n",
        SHELLS.join(" ")
    );
    for Flag { name, meaning, takes } in flags {
        let takes = match takes {
            Takes::Nothing => "",
            Takes::Value => " -x",
            Takes::File => " -r -F",
        };
        let meaning = meaning.replace('\\', "\\\\").replace('\'', "\\'");
        let _ = writeln!(script, "complete -c oauth2-proxy -l {name}{takes} -d '{meaning}'");
    }
    script
}

fn powershell(flags: &[Flag]) -> String {
    let mut script =
        "Register-ArgumentCompleter -Native -CommandName 'oauth2-proxy' -ScriptBlock {\n    \
             param($word, $command, $position)\n    \
             $elements = $command.CommandElements\n    \
             if ($elements.Count -gt 1 -and \"$($elements[1])\" -eq 'completions') {\n        "
            .to_owned();
    let shells = SHELLS.map(quoted).join(", ");
    let _ = write!(
        script,
        "@({shells}) | Where-Object {{ $_ -like \"$word*\" }}\n        return\n    }}\n    @(\n        \
             [System.Management.Automation.CompletionResult]::new('completions')\n"
    );
    for Flag { name, meaning, .. } in flags {
        let tip = quoted(if meaning.is_empty() { name } else { meaning });
        let _ = writeln!(
            script,
            "        [System.Management.Automation.CompletionResult]::new('--{name}', '--{name}', 'ParameterName', {tip})"
        );
    }
    script + "    ) | Where-Object { $_.CompletionText -like \"$word*\" }\n}\n"
}

fn zsh(flags: &[Flag]) -> String {
    let mut script = "#compdef oauth2-proxy\n\n_oauth2-proxy() {\n    _arguments \\\n".to_owned();
    for Flag { name, meaning, takes } in flags {
        let (equals, takes) = match takes {
            Takes::Nothing => ("", ""),
            Takes::Value => ("=", ":value: "),
            Takes::File => ("=", ":file:_files"),
        };
        let meaning = meaning.replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]");
        let meaning = meaning.replace(':', "\\:");
        let line = quoted_posix(&format!("--{name}{equals}[{meaning}]{takes}"));
        let _ = writeln!(script, "        {line} \\");
    }
    let _ = write!(
        script,
        "        '1:command:(completions)' '2:shell:({})'\n}}\n\n\
         if [ \"$funcstack[1]\" = _oauth2-proxy ]; then\n    _oauth2-proxy \"$@\"\nelse\n    \
         compdef _oauth2-proxy oauth2-proxy\nfi\n",
        SHELLS.join(" ")
    );
    script
}

/// Between single quotes, of which one within is written twice: Elvish and `PowerShell`.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Between single quotes, of which one within ends and begins them.
fn quoted_posix(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn every_supported_flag_is_completed_in_every_shell() {
        for shell in SHELLS {
            let script = script(shell).unwrap();
            for row in SUPPORTED {
                assert!(script.contains(row.flag), "{shell}: {}", row.flag);
            }
        }
    }

    #[test]
    fn a_shell_completes_flags_files_and_shells() {
        let completed = |words: &str| {
            let script = script("bash").unwrap();
            let ask = format!(
                "{script}\nCOMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1)); _oauth2_proxy; echo \"${{COMPREPLY[*]}}\""
            );
            let output = Command::new("bash").arg("-c").arg(ask).output().unwrap();
            assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
        };
        assert_eq!(completed("oauth2-proxy --cookie-dom"), "--cookie-domain");
        assert_eq!(completed("oauth2-proxy --tls-cert-file Cargo.to"), "Cargo.toml");
        assert_eq!(completed("oauth2-proxy --client-id Cargo.to"), "");
        assert_eq!(completed("oauth2-proxy comp"), "completions");
        assert_eq!(completed("oauth2-proxy completions f"), "fish");
    }
}
