//! The command line as a whole: which command, from which source, with which exit code when it is wrong.

use crate::options::flags::{self, Control, FlagError};
use crate::options::{PodPorts, ReadError, Source, completions};
use proxy_config::Problems;
use std::net::IpAddr;
use std::path::PathBuf;

/// What the process is to do.
pub(crate) enum Command {
    /// Print this to standard output.
    Print(String),
    /// Print the help to standard error, as oauth2-proxy does.
    Help,
    /// Tell the proxy of this pod, by its admin port, that the pod ends.
    Drain(u16),
    /// Check the configuration and say whether it is valid.
    Test(Source),
    /// Serve.
    Serve(Serving),
}

/// What serving needs from the command line.
pub(crate) struct Serving {
    /// Where the configuration comes from.
    pub(crate) source: Source,
    /// The port whose direct connections `/status` lists, in a sidecar.
    pub(crate) direct_port: Option<u16>,
    /// The node, whose connections to that port are its own probes.
    pub(crate) node: Option<IpAddr>,
}

/// Why the command line was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArgumentError {
    /// A mistake in the flags: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Something that is not done: exit code 1.
    #[error("{0}")]
    Refused(String),
    /// Options beside a generated file: exit code 1.
    #[error(transparent)]
    Invalid(#[from] Problems),
    /// The configuration can not be read: exit code 1.
    #[error(transparent)]
    Load(#[from] ReadError),
}

impl From<FlagError> for ArgumentError {
    fn from(error: FlagError) -> Self {
        match error {
            FlagError::Help => Self::Usage(String::new()),
            FlagError::Usage(message) => Self::Usage(message),
        }
    }
}

/// Reads arguments (without the program's name) and environment.
///
/// # Errors
/// See [`ArgumentError`].
pub(crate) fn parse(
    arguments: &[String],
    environment: Vec<(String, String)>,
) -> Result<Command, ArgumentError> {
    if let Some(("completions", rest)) =
        arguments.split_first().map(|(word, rest)| (word.as_str(), rest))
    {
        return complete(rest);
    }
    if let Some(("drain", rest)) = arguments.split_first().map(|(word, rest)| (word.as_str(), rest))
    {
        return drain(rest);
    }
    let control = flags::control(arguments);
    if control.version {
        return Ok(Command::Print(version()));
    }
    refuse_unsupported(&control)?;
    let ports = pod_ports(&control)?;
    let source = match &control.generated_config {
        Some(path) => match Source::from_file((path.into(), ports), arguments, &environment) {
            Ok(source) => source.map_err(ArgumentError::Invalid),
            Err(error) => Err(error.into()),
        },
        None => {
            Source::from_flags(arguments, environment, control.config.as_ref().map(PathBuf::from))
                .map_err(Into::into)
        }
    };
    let source = match source {
        Err(ArgumentError::Usage(message)) if message.is_empty() => return Ok(Command::Help),
        other => other?,
    };
    if control.config_test {
        return Ok(Command::Test(source));
    }
    Ok(Command::Serve(Serving {
        source,
        direct_port: number(control.watch_direct_port.as_deref(), "watch-direct-port", "a port")?,
        node: number(control.node_ip.as_deref(), "node-ip", "an address")?,
    }))
}

/// The ports that a pod fixes. Without a generated file they would be ignored, so they are refused.
fn pod_ports(control: &Control) -> Result<PodPorts, ArgumentError> {
    let ports = PodPorts {
        listen: number(control.listen_port.as_deref(), "listen-port", "a port")?,
        admin: number(control.admin_port.as_deref(), "admin-port", "a port")?,
        application: number(control.application_port.as_deref(), "application-port", "a port")?,
    };
    if control.generated_config.is_none() && ports != PodPorts::default() {
        return Err(ArgumentError::Refused(
            "--listen-port, --admin-port and --application-port go with --generated-config: use --http-address and --upstream instead"
                .to_owned(),
        ));
    }
    Ok(ports)
}

/// `oauth2-proxy VERSION (built with RUNTIME)`.
fn version() -> String {
    format!(
        "oauth2-proxy {} (built with rust {})\n",
        env!("CARGO_PKG_VERSION"),
        env!("CARGO_PKG_RUST_VERSION")
    )
}

fn complete(rest: &[String]) -> Result<Command, ArgumentError> {
    match rest.first().and_then(|shell| completions::script(shell)) {
        Some(script) => Ok(Command::Print(script)),
        None => Err(ArgumentError::Usage(format!(
            "usage: oauth2-proxy completions {}",
            completions::SHELLS.join("|")
        ))),
    }
}

fn drain(rest: &[String]) -> Result<Command, ArgumentError> {
    let port = match rest {
        [port] => port.strip_prefix("--admin-port="),
        _ => None,
    };
    match number(port, "admin-port", "a port")? {
        Some(port) => Ok(Command::Drain(port)),
        None => Err(ArgumentError::Usage("usage: oauth2-proxy drain --admin-port=PORT".to_owned())),
    }
}

fn refuse_unsupported(control: &Control) -> Result<(), ArgumentError> {
    if control.alpha_config.is_some() {
        return Err(ArgumentError::Refused(
            "--alpha-config is not supported yet: use flags or --config".to_owned(),
        ));
    }
    if control.convert {
        return Err(ArgumentError::Refused(
            "--convert-config-to-alpha is not supported yet".to_owned(),
        ));
    }
    if control.generated_config.is_some() && control.config.is_some() {
        return Err(ArgumentError::Refused(
            "--config has no effect with --generated-config: leave it out".to_owned(),
        ));
    }
    Ok(())
}

fn number<T: std::str::FromStr>(
    text: Option<&str>,
    flag: &str,
    what: &str,
) -> Result<Option<T>, ArgumentError> {
    let parse = |text: &str| {
        text.parse().map_err(|_| {
            ArgumentError::Usage(format!(
                "invalid argument {text:?} for \"--{flag}\" flag: not {what}"
            ))
        })
    };
    text.map(parse).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Result<Command, ArgumentError> {
        let words: Vec<_> =
            line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        parse(&words, Vec::new())
    }

    fn refusal(line: &str) -> String {
        command(line).err().map(|error| format!("{error:?}")).unwrap_or_default()
    }

    #[test]
    fn version_wins_over_everything() {
        let Ok(Command::Print(text)) = command("--version --bogus --alpha-config x") else {
            panic!("no version")
        };
        assert!(text.starts_with("oauth2-proxy 0.") && text.contains(" (built with "), "{text}");
    }

    #[test]
    fn what_is_not_supported_yet_is_refused_by_name() {
        assert!(refusal("--alpha-config=a.yaml").contains("--alpha-config is not supported yet"));
        assert!(
            refusal("--convert-config-to-alpha")
                .contains("--convert-config-to-alpha is not supported yet")
        );
    }

    #[test]
    fn an_option_beside_a_generated_file_is_refused_rather_than_ignored() {
        let message = refusal("--generated-config=c.json --cookie-name=x");
        assert!(message.contains("cookie-name") && message.contains("no effect"), "{message}");
        let variable = vec![("OAUTH2_PROXY_COOKIE_NAME".to_owned(), "x".to_owned())];
        assert!(parse(&["--generated-config=c.json".to_owned()], variable).is_err());
        assert!(matches!(command("--generated-config=c.json"), Ok(Command::Serve(_))));
    }

    #[test]
    fn ports_of_the_pod_go_with_a_generated_file_only() {
        let line = "--listen-port=4280 --admin-port 44280 --application-port=9000";
        let Ok(Command::Serve(Serving { source: Source::Generated(_, ports), .. })) =
            command(&format!("--generated-config=c.json {line}"))
        else {
            panic!("refused")
        };
        let wanted = PodPorts { listen: Some(4280), admin: Some(44280), application: Some(9000) };
        assert_eq!(ports, wanted);
        assert!(refusal(line).contains("--generated-config"));
        assert!(refusal("--generated-config=c.json --listen-port=x").contains("listen-port"));
    }

    #[test]
    fn help_is_no_error() {
        assert!(matches!(command("--help"), Ok(Command::Help)));
        assert!(matches!(command("-h"), Ok(Command::Help)));
    }

    #[test]
    fn drain_needs_the_admin_port() {
        assert!(matches!(command("drain --admin-port=44180"), Ok(Command::Drain(44180))));
        assert!(refusal("drain").contains("--admin-port=PORT"));
        assert!(refusal("drain --admin-port=x").contains("admin-port"));
    }

    #[test]
    fn completions_need_a_known_shell() {
        assert!(matches!(command("completions bash"), Ok(Command::Print(_))));
        assert!(refusal("completions tcsh").contains("bash"));
    }
}
