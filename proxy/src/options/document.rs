//! The help text and `docs/options.md`, from the same rows as everything else.

use super::row::{Group, Kind, Row};
use super::supported::SUPPORTED;
use super::unsupported::UNSUPPORTED;
use std::fmt::Write as _;

/// The text of `--help`.
pub(crate) fn help() -> String {
    let mut text = String::from(
        "Usage: oauth2-proxy [flags]\n\
         \x20      oauth2-proxy --generated-config FILE\n\
         \x20      oauth2-proxy completions bash|elvish|fish|powershell|zsh\n\
         \n\
         Every flag has a variable: OAUTH2_PROXY_ and the key in capitals; lists are separated by commas there.\n\
         Flags win over variables, variables over the file, the file over defaults.\n\
         \n\
         Commands and files:\n",
    );
    for (flag, meaning) in CONTROL {
        entry(&mut text, flag, meaning);
    }
    for group in Group::ALL {
        let _ = write!(text, "\n{}:\n", group.title());
        for row in SUPPORTED.iter().filter(|row| row.group == group) {
            let value = row.kind.placeholder().map(|name| format!(" {name}")).unwrap_or_default();
            entry(&mut text, &format!("--{}{value}", row.flag), &meaning(row));
        }
    }
    text
}

/// The page `docs/options.md`.
#[must_use]
pub fn page() -> String {
    let mut text = String::from(
        "# Options\n\n\
         <!-- Generated from proxy/src/options/supported.rs by `cargo run -p proxy --example options`. -->\n\n\
         Each option can be given as a flag, as an environment variable, or as a key of the TOML file of `--config`. Flags win over\n\
         variables, variables over the file, the file over defaults. List flags may be repeated, and each value is one line of CSV;\n\
         list variables are split at every comma. Names, types and defaults are those of oauth2-proxy v7.15.3, but for the last\n\
         section of supported options, which is ours.\n\n\
         An option that is not supported yet is refused by name unless it is set to its default.\n\n\
         ## Commands and files\n\n\
         These are flags only.\n\n\
         | flag | meaning |\n|---|---|\n",
    );
    for (flag, meaning) in CONTROL {
        let _ = writeln!(text, "| `{flag}` | {meaning} |");
    }
    for group in Group::ALL {
        let _ = write!(
            text,
            "\n## {}\n\n| flag | variable | key | type | default | meaning |\n|---|---|---|---|---|---|\n",
            group.title()
        );
        for row in SUPPORTED.iter().filter(|row| row.group == group) {
            let _ = writeln!(
                text,
                "| `--{}` | `{}` | `{}` | {} | {} | {} |",
                row.flag,
                row.variable(),
                row.key,
                type_name(row.kind),
                default(row),
                row.meaning().replace('|', "\\|"),
            );
        }
    }
    let _ = write!(text, "\n## {}\n\n", Group::Later.title());
    for row in UNSUPPORTED {
        let _ = writeln!(text, "- `--{}` (`{}`)", row.flag, row.key);
    }
    text
}

const CONTROL: [(&str, &str); 11] = [
    ("--config FILE", "Read options from this TOML file."),
    (
        "--generated-config FILE",
        "Read everything from this versioned JSON file, as the operator writes it; reloaded when it changes. Beside `config.v1.json` the file of a newer level (`config.v1.2.json`) counts.",
    ),
    ("--config-test", "Check the configuration, print the verdict, and exit with 0 or 1."),
    ("--listen-port PORT", "In a pod: serve on this port, whatever the generated file says."),
    (
        "--admin-port PORT",
        "In a pod: probes, metrics and status on this port, whatever the generated file says.",
    ),
    ("--application-port PORT", "In a sidecar: everything goes to this port of the same pod."),
    (
        "--watch-direct-port PORT",
        "In a sidecar: list in /status who is connected to this port without going through the proxy.",
    ),
    ("--node-ip ADDRESS", "In a sidecar: the node, whose probes of that port are not listed."),
    (
        "drain --admin-port=PORT",
        "In a pod that ends: every answer closes its connection from now on, so that clients turn to other pods.",
    ),
    ("--version", "Print the version."),
    ("--help", "Print this help."),
];

fn entry(text: &mut String, flag: &str, meaning: &str) {
    let _ = writeln!(text, "  {flag:<44} {meaning}");
}

fn meaning(row: &Row) -> String {
    let shown = matches!(row.kind, Kind::Switch) || row.default.is_empty();
    let default = if shown && row.default != "true" {
        String::new()
    } else {
        format!(" [default: {}]", row.default)
    };
    format!("{}{default}", row.meaning())
}

fn default(row: &Row) -> String {
    if row.default.is_empty() { String::new() } else { format!("`{}`", row.default) }
}

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Secret => "secret",
        Kind::Switch | Kind::TextSwitch => "boolean",
        Kind::Int => "number",
        Kind::Span => "duration",
        Kind::List => "list",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_page_in_docs_is_fresh() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/options.md");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == page(),
            "docs/options.md is stale: run `cargo run -p proxy --example options`"
        );
    }

    #[test]
    fn help_has_a_line_for_every_supported_flag() {
        let help = help();
        for row in SUPPORTED {
            assert!(help.contains(&format!("--{}", row.flag)), "{}", row.flag);
        }
    }
}
