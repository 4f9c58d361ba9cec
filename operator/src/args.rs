//! The command line, checked and turned into plain settings.

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::scope::Scope;

/// The Kubernetes operator for `OAuth2Proxy` objects.
#[derive(Debug, Parser)]
#[command(name = "oauth2-proxy-operator", version, about, propagate_version = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the operator.
    Run(RunArguments),
    /// Check an installation: the definition, the lease and the operator's rights. Prints what is missing.
    Check(ScopeArguments),
    /// Print the manifest of the custom resource.
    Crd,
    /// Print the rights that the operator needs, as JSON.
    Rbac,
    /// Print a completion script.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// Which namespaces, and which lease.
#[derive(Clone, Debug, Args)]
pub(crate) struct ScopeArguments {
    /// Look after all namespaces, or after those of --namespaces alone.
    #[arg(long, value_enum, default_value_t = ScopeKind::Cluster)]
    scope: ScopeKind,
    /// Namespaces to look after, separated by commas; only with --scope=namespaces.
    #[arg(long, value_delimiter = ',')]
    namespaces: Vec<String>,
    /// Name of the Lease whose holder writes.
    #[arg(long, default_value = "oauth2-proxy-operator")]
    pub(crate) lease_name: String,
    /// Namespace of the operator, where the Lease is.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    pub(crate) pod_namespace: String,
}

/// How to run.
#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) scope: ScopeArguments,
    /// Image of the proxy, where an object names none.
    #[arg(long)]
    pub(crate) proxy_image: String,
    /// What is logged: error, warn, info, debug, or those by module, as tracing filters have it.
    #[arg(long, default_value = "info")]
    pub(crate) log_level: String,
    /// Form of log lines.
    #[arg(long, value_enum, default_value_t = LogFormat::Json)]
    pub(crate) log_format: LogFormat,
    /// Address of /livez, /readyz and /metrics.
    #[arg(long, default_value = ":8080", value_parser = address)]
    pub(crate) admin_address: SocketAddr,
    /// Name of this replica.
    #[arg(long, env = "POD_NAME")]
    pub(crate) pod_name: Option<String>,
}

/// Which namespaces are looked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ScopeKind {
    /// All of them.
    Cluster,
    /// Those of --namespaces.
    Namespaces,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One JSON object on each line.
    Json,
    /// For people.
    Text,
}

impl ScopeArguments {
    /// The sets of watches that are needed.
    ///
    /// # Errors
    /// Namespaces without the scope that takes them, or the other way round.
    pub(crate) fn scopes(&self) -> Result<Vec<Scope>, String> {
        let mut names: Vec<_> = self
            .namespaces
            .iter()
            .map(|name| name.trim())
            .filter(|name| !name.is_empty())
            .collect();
        names.sort_unstable();
        names.dedup();
        match (self.scope, names.is_empty()) {
            (ScopeKind::Cluster, true) => Ok(vec![Scope::Cluster]),
            (ScopeKind::Cluster, false) => {
                Err("--namespaces has no effect with --scope=cluster: leave it out, or say --scope=namespaces".to_owned())
            }
            (ScopeKind::Namespaces, true) => {
                Err("--scope=namespaces needs --namespaces=a,b with the namespaces to look after".to_owned())
            }
            (ScopeKind::Namespaces, false) => Ok(names.into_iter().map(|name| Scope::Namespace(name.to_owned())).collect()),
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let all = text.strip_prefix(':').and_then(|port| port.parse().ok());
    match all {
        // Takes IPv4 as well where the system does both.
        Some(port) => Ok(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)),
        None => text.parse().map_err(|_| "write :8080, 127.0.0.1:8080 or [::1]:8080".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> ScopeArguments {
        let words = ["oauth2-proxy-operator", "check"]
            .into_iter()
            .chain(line.split(' ').filter(|word| !word.is_empty()));
        let Command::Check(arguments) = Cli::try_parse_from(words).unwrap().command else {
            panic!("not check")
        };
        arguments
    }

    fn scopes(line: &str) -> Result<Vec<Scope>, String> {
        arguments(line).scopes()
    }

    #[test]
    fn namespaces_and_scope_go_together() {
        assert_eq!(scopes(""), Ok(vec![Scope::Cluster]));
        let both = vec![Scope::Namespace("a".to_owned()), Scope::Namespace("b".to_owned())];
        assert_eq!(scopes("--scope=namespaces --namespaces=b,a,b"), Ok(both));
        assert!(scopes("--scope=namespaces").unwrap_err().contains("--namespaces"));
        assert!(scopes("--namespaces=a").unwrap_err().contains("--scope=namespaces"));
    }

    #[test]
    fn an_address_without_host_is_all_interfaces() {
        assert_eq!(address(":8080").unwrap().to_string(), "[::]:8080");
        assert_eq!(address("127.0.0.1:0").unwrap().to_string(), "127.0.0.1:0");
        assert!(address("8080").is_err());
    }
}
