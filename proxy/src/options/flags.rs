//! The command line, read as oauth2-proxy's flag library reads it: GNU long flags, lists as CSV, booleans without a
//! following word, words that are no flags ignored.

use super::row::{Kind, Row};
use super::value::{Value, boolean, csv_record};
use super::values::{Values, rows};

/// What the command line asks for beside options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Control {
    /// `--config`: the TOML file.
    pub(crate) config: Option<String>,
    /// `--generated-config`: the versioned JSON file.
    pub(crate) generated_config: Option<String>,
    /// `--watch-direct-port`: the port whose direct connections `/status` counts.
    pub(crate) watch_direct_port: Option<String>,
    /// `--node-ip`: the node's address, whose connections are not counted.
    pub(crate) node_ip: Option<String>,
    /// `--listen-port`, `--admin-port`, `--application-port`: see [`crate::options::PodPorts`].
    pub(crate) listen_port: Option<String>,
    pub(crate) admin_port: Option<String>,
    pub(crate) application_port: Option<String>,
    /// `--alpha-config`.
    pub(crate) alpha_config: Option<String>,
    /// `--convert-config-to-alpha`.
    pub(crate) convert: bool,
    /// `--config-test`.
    pub(crate) config_test: bool,
    /// `--version`.
    pub(crate) version: bool,
}

/// The control flags that take a value, each with its place.
pub(crate) const CONTROL_VALUES: [(&str, Keep); 8] = [
    ("config", |control| &mut control.config),
    ("generated-config", |control| &mut control.generated_config),
    ("listen-port", |control| &mut control.listen_port),
    ("admin-port", |control| &mut control.admin_port),
    ("application-port", |control| &mut control.application_port),
    ("watch-direct-port", |control| &mut control.watch_direct_port),
    ("node-ip", |control| &mut control.node_ip),
    ("alpha-config", |control| &mut control.alpha_config),
];

/// The control flags that are switches, each with its place.
pub(crate) const CONTROL_SWITCHES: [(&str, Turn); 3] = [
    ("convert-config-to-alpha", |control| &mut control.convert),
    ("config-test", |control| &mut control.config_test),
    ("version", |control| &mut control.version),
];

/// Where the value of a control flag is kept.
type Keep = fn(&mut Control) -> &mut Option<String>;
/// Which field a switch turns.
type Turn = fn(&mut Control) -> &mut bool;

fn given(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

/// What a flag is.
enum Flag {
    Keep(Keep),
    Turn(Turn),
    Option(Vec<&'static Row>),
}

impl Flag {
    /// Sets a control flag; an option is none.
    fn set(&self, control: &mut Control, name: &str, value: &str) -> Result<(), String> {
        match self {
            Self::Keep(place) => *place(control) = given(value),
            Self::Turn(place) => {
                *place(control) = boolean(value).ok_or_else(|| {
                    format!("invalid argument {value:?} for \"--{name}\" flag: write true or false")
                })?;
            }
            Self::Option(_) => {}
        }
        Ok(())
    }
}

fn lookup(name: &str) -> Option<Flag> {
    if let Some((_, place)) = CONTROL_VALUES.iter().find(|(own, _)| *own == name) {
        return Some(Flag::Keep(*place));
    }
    if let Some((_, place)) = CONTROL_SWITCHES.iter().find(|(own, _)| *own == name) {
        return Some(Flag::Turn(*place));
    }
    // One flag may be bound to two keys.
    let rows: Vec<_> = rows().filter(|row| row.flag == name).collect();
    (!rows.is_empty()).then_some(Flag::Option(rows))
}

/// Looks for control flags alone and skips everything else. It also sees one that another flag takes as its value,
/// which is why `--cookie-domain --config-test` tests the configuration.
pub(crate) fn control(arguments: &[String]) -> Control {
    let mut control = Control::default();
    let mut rest = arguments.iter().peekable();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            break;
        }
        let Some(name) = argument.strip_prefix("--") else { continue };
        let (name, inline) = split(name);
        match (lookup(name), inline) {
            (Some(flag @ (Flag::Keep(_) | Flag::Turn(_))), Some(value)) => {
                if flag.set(&mut control, name, value).is_err() {
                    break;
                }
            }
            (Some(Flag::Turn(place)), None) => *place(&mut control) = true,
            (Some(Flag::Keep(place)), None) => match rest.next() {
                Some(value) => *place(&mut control) = given(value),
                None => break,
            },
            (_, Some(_)) => {}
            (_, None) => {
                rest.next_if(|next| !next.starts_with('-'));
            }
        }
    }
    control
}

/// Why the command line could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FlagError {
    /// `--help` or `-h`.
    Help,
    /// A mistake, said in the words of oauth2-proxy's flag library where tools match on them.
    Usage(String),
}

/// Reads all options.
pub(crate) fn parse(arguments: &[String]) -> Result<Values, FlagError> {
    let mut values = Values::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            break;
        }
        let Some(name) = argument.strip_prefix("--") else {
            short(argument)?;
            continue;
        };
        if name.starts_with(['-', '=']) {
            return Err(FlagError::Usage(format!("bad flag syntax: {}", without_value(argument))));
        }
        let (name, inline) = split(name);
        let flag = match lookup(name) {
            Some(flag) => flag,
            None if name == "help" => return Err(FlagError::Help),
            None => return Err(FlagError::Usage(format!("unknown flag: --{name}"))),
        };
        let bare = match &flag {
            Flag::Keep(_) => false,
            Flag::Turn(_) => true,
            Flag::Option(rows) => rows.iter().all(|row| row.kind == Kind::Switch),
        };
        let value = match inline {
            Some(value) => value,
            None if bare => "true",
            None => rest
                .next()
                .ok_or_else(|| FlagError::Usage(format!("flag needs an argument: --{name}")))?,
        };
        assign(&flag, name, value, &mut values).map_err(FlagError::Usage)?;
    }
    Ok(values)
}

fn split(name: &str) -> (&str, Option<&str>) {
    name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value)))
}

/// A word with one dash at most: a positional argument, help, or a mistake.
fn short(argument: &str) -> Result<(), FlagError> {
    match argument.strip_prefix('-') {
        None | Some("") => Ok(()),
        Some(letters) if letters.starts_with('h') => Err(FlagError::Help),
        Some(letters) => {
            let first: String = letters.chars().take(1).collect();
            let name = without_value(argument);
            Err(FlagError::Usage(format!("unknown shorthand flag: '{first}' in {name}")))
        }
    }
}

/// `-cookie-secret=...` is the usual mistake, and its value no business of a log.
fn without_value(argument: &str) -> &str {
    split(argument).0
}

fn assign(flag: &Flag, name: &str, value: &str, values: &mut Values) -> Result<(), String> {
    let invalid = |what: &str| format!("invalid argument {value:?} for \"--{name}\" flag: {what}");
    let rows = match flag {
        // [`control`] has taken it; what it can not be is still a mistake.
        Flag::Keep(_) | Flag::Turn(_) => return flag.set(&mut Control::default(), name, value),
        Flag::Option(rows) => rows,
    };
    for row in rows {
        if row.kind == Kind::List {
            // Not repeated in the message: a list of URLs may hold passwords.
            let items = csv_record(value).ok_or_else(|| {
                format!(
                    "invalid argument for \"--{name}\" flag: not a list: write a,b or \"a,b\",c"
                )
            })?;
            values.append(row, items);
        } else {
            values.set(row, Value::scalar(row.kind, value).map_err(invalid)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_control_flag_is_seen_even_as_the_value_of_another_flag() {
        let line = words("--cookie-domain --config-test");
        assert!(control(&line).config_test);
        let mut values = parse(&line).unwrap_or_default();
        assert!(values.take("cookie_domains") == Value::List(vec!["--config-test".to_owned()]));
    }

    #[test]
    fn every_control_flag_has_a_place_of_its_own() {
        let flags = CONTROL_VALUES.map(|(name, _)| format!("--{name}=true"));
        let switches = CONTROL_SWITCHES.map(|(name, _)| format!("--{name}"));
        let flags: Vec<String> = flags.into_iter().chain(switches).collect();
        for (index, flag) in flags.iter().enumerate() {
            let alone = control(std::slice::from_ref(flag));
            assert_ne!(alone, Control::default(), "{flag}");
            for other in &flags[..index] {
                assert_ne!(alone, control(std::slice::from_ref(other)), "{flag} {other}");
            }
        }
        assert_eq!(control(&words("--config=")), Control::default());
    }

    #[test]
    fn unknown_flags_and_shorthands_are_mistakes() {
        for (line, message) in [
            ("--cookie_name=x", "unknown flag: --cookie_name"),
            ("-cookie-secret=x", "unknown shorthand flag: 'c' in -cookie-secret"),
            ("--cookie-name", "flag needs an argument: --cookie-name"),
            ("---x=y", "bad flag syntax: ---x"),
        ] {
            assert_eq!(
                parse(&words(line)).err(),
                Some(FlagError::Usage(message.to_owned())),
                "{line}"
            );
        }
        assert_eq!(
            parse(&words("--cookie-secure=no -h")).err().map(|e| e == FlagError::Help),
            Some(false)
        );
        assert_eq!(parse(&words("serve -h")).err(), Some(FlagError::Help));
    }

    #[test]
    fn words_and_everything_after_two_dashes_are_ignored() {
        assert!(parse(&words("serve - now -- --bogus")).is_ok());
    }
}
