//! The command line, checked and turned into plain settings.

use crate::controller::Pace;
use crate::leader::Times;
use crate::pod;
use crate::scope::Scope;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use proxy_config::Duration;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time;

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
    Run(Box<RunArguments>),
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
    /// Namespaces in which nothing is touched, separated by commas; only with --scope=cluster.
    #[arg(long, value_delimiter = ',')]
    exclude_namespaces: Vec<String>,
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
    #[command(flatten)]
    proxy: ProxyArguments,
    #[command(flatten)]
    lease: LeaseArguments,
    /// What is logged: error, warn, info, debug, or those by module, as tracing filters have it.
    #[arg(long, default_value = "info")]
    pub(crate) log_level: String,
    /// Form of log lines.
    #[arg(long, value_enum, default_value_t = LogFormat::Json)]
    pub(crate) log_format: LogFormat,
    /// Address of /livez, /readyz and /metrics.
    #[arg(long, default_value = ":8080", value_parser = address)]
    pub(crate) admin_address: SocketAddr,
    /// Reconciles at a time of each controller, 1 to 256.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// Every object gets a turn this often even if nothing happens, 1m to 24h.
    #[arg(long, default_value = "10m", value_parser = resync)]
    resync: time::Duration,
    /// Name of this replica.
    #[arg(long, env = "POD_NAME")]
    pub(crate) pod_name: Option<String>,
}

/// What every container of the proxy has in common.
#[derive(Debug, Args)]
struct ProxyArguments {
    /// Image of the proxy, where an object names none.
    #[arg(long = "proxy-image")]
    image: String,
    /// User that the proxy runs as, or none: the one that the cluster assigns, or else that of the image.
    #[arg(long = "proxy-run-as-user", default_value = "65532", value_parser = RunAs::read)]
    user: RunAs,
    /// Group that the proxy runs as, or none: the one that the cluster assigns, or else that of the image.
    #[arg(long = "proxy-run-as-group", default_value = "65532", value_parser = RunAs::read)]
    group: RunAs,
}

/// The times of the lease.
#[derive(Debug, Args)]
struct LeaseArguments {
    /// How long the holder of the lease is left alone without a renewal.
    #[arg(long = "lease-duration", default_value = "15s")]
    duration: Duration,
    /// How long the holder tries to renew before it ends: at least 4s less than --lease-duration.
    #[arg(long = "lease-renew-deadline", default_value = "10s")]
    renew_deadline: Duration,
    /// Time between two attempts: at most half of --lease-renew-deadline.
    #[arg(long = "lease-retry-period", default_value = "2s")]
    retry_period: Duration,
}

/// A user or group, if one is fixed.
#[derive(Clone, Copy, Debug)]
struct RunAs(Option<i64>);

impl RunAs {
    fn read(text: &str) -> Result<Self, String> {
        match text.parse::<u32>() {
            _ if text == "none" => Ok(Self(None)),
            Ok(id) if id > 0 => Ok(Self(Some(i64::from(id)))),
            _ => Err("write a number above 0, or none to leave it to the cluster".to_owned()),
        }
    }
}

impl RunArguments {
    /// What every container of the proxy has in common.
    pub(crate) fn proxy(&self) -> pod::Defaults {
        pod::Defaults {
            image: self.proxy.image.clone(),
            user: self.proxy.user.0,
            group: self.proxy.group.0,
        }
    }

    /// How much is done at a time, and how often.
    pub(crate) fn pace(&self) -> Pace {
        Pace { concurrency: self.concurrency, resync: self.resync }
    }

    /// The times of the lease.
    ///
    /// # Errors
    /// Times with which two replicas could write at once, or none for long.
    pub(crate) fn times(&self) -> Result<Times, String> {
        let LeaseArguments { duration, renew_deadline, retry_period } = &self.lease;
        let (duration, deadline) = (duration.get(), renew_deadline.get());
        Times { duration, deadline, retry: retry_period.get() }.checked()
    }
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
        let except = self.excluded()?;
        match (self.scope, names.is_empty()) {
            (ScopeKind::Namespaces, _) if !except.is_empty() => {
                Err("--exclude-namespaces has no effect with --scope=namespaces: leave it out, and its names out of --namespaces".to_owned())
            }
            (ScopeKind::Cluster, true) => Ok(vec![Scope::Cluster { except }]),
            (ScopeKind::Cluster, false) => {
                Err("--namespaces has no effect with --scope=cluster: leave it out, or say --scope=namespaces".to_owned())
            }
            (ScopeKind::Namespaces, true) => {
                Err("--scope=namespaces needs --namespaces=a,b with the namespaces to look after".to_owned())
            }
            (ScopeKind::Namespaces, false) => Ok(names.into_iter().map(|name| Scope::Namespace(name.to_owned())).collect()),
        }
    }

    /// Their names become a selector, in which a comma or an equals sign would mean something.
    fn excluded(&self) -> Result<Vec<String>, String> {
        let names = self.exclude_namespaces.iter().map(|name| name.trim());
        let mut names: Vec<_> = names.filter(|name| !name.is_empty()).map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        let is_name = |name: &String| {
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        match names.iter().find(|name| !is_name(name)) {
            Some(name) => Err(format!(
                "--exclude-namespaces: {name:?} is no name of a namespace: patterns are not known, write each name"
            )),
            None => Ok(names),
        }
    }
}

/// The time between two turns without cause.
fn resync(text: &str) -> Result<time::Duration, String> {
    let time = text.parse::<Duration>().map_err(|error| error.to_string())?.get();
    let allowed = time::Duration::from_mins(1)..=time::Duration::from_hours(24);
    if allowed.contains(&time) { Ok(time) } else { Err("write 1m to 24h".to_owned()) }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let all = text.strip_prefix(':').and_then(|port| port.parse().ok());
    match all {
        // Means both families, or the one that there is.
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
        assert_eq!(scopes(""), Ok(vec![Scope::Cluster { except: Vec::new() }]));
        let both = vec![Scope::Namespace("a".to_owned()), Scope::Namespace("b".to_owned())];
        assert_eq!(scopes("--scope=namespaces --namespaces=b,a,b"), Ok(both));
        assert!(scopes("--scope=namespaces").unwrap_err().contains("--namespaces"));
        assert!(scopes("--namespaces=a").unwrap_err().contains("--scope=namespaces"));
    }

    #[test]
    fn namespaces_are_left_out_of_all_and_by_their_names() {
        let except = vec!["a".to_owned(), "kube-system".to_owned()];
        assert_eq!(
            scopes("--exclude-namespaces=kube-system,a,a"),
            Ok(vec![Scope::Cluster { except }])
        );
        let both = scopes("--scope=namespaces --namespaces=a --exclude-namespaces=b");
        assert!(both.unwrap_err().contains("--exclude-namespaces"));
        assert!(scopes("--exclude-namespaces=kube-*").unwrap_err().contains("kube-*"));
    }

    fn run(line: &str) -> Result<RunArguments, String> {
        let words = ["oauth2-proxy-operator", "run", "--proxy-image=image"]
            .into_iter()
            .chain(line.split(' ').filter(|word| !word.is_empty()));
        match Cli::try_parse_from(words).map_err(|error| error.to_string())?.command {
            Command::Run(arguments) => Ok(*arguments),
            _ => Err("not run".to_owned()),
        }
    }

    #[test]
    fn the_proxy_never_runs_as_root() {
        let fixed = run("").unwrap().proxy();
        assert_eq!((fixed.user, fixed.group), (Some(65532), Some(65532)));
        let assigned = run("--proxy-run-as-user=none --proxy-run-as-group=none").unwrap().proxy();
        assert_eq!((assigned.user, assigned.group), (None, None));
        for line in ["--proxy-run-as-user=0", "--proxy-run-as-group=0", "--proxy-run-as-user=-1"] {
            assert!(run(line).unwrap_err().contains("above 0"), "{line}");
        }
    }

    #[test]
    fn a_lease_with_which_two_could_write_is_refused_by_name() {
        assert_eq!(run("").unwrap().times(), Ok(Times::default()));
        let slow = "--lease-duration=60s --lease-renew-deadline=40s --lease-retry-period=5s";
        assert!(run(slow).unwrap().times().is_ok());
        for (line, flag) in [
            ("--lease-duration=13s", "--lease-duration"),
            ("--lease-duration=15500ms", "--lease-duration"),
            ("--lease-duration=2000000h", "--lease-duration"),
            ("--lease-renew-deadline=12s", "--lease-duration"),
            ("--lease-retry-period=6s", "--lease-retry-period"),
            ("--lease-retry-period=10ms", "--lease-retry-period"),
        ] {
            let refused = run(line).unwrap().times().unwrap_err();
            assert!(refused.starts_with(flag), "{line}: {refused}");
        }
    }

    #[test]
    fn the_pace_has_limits() {
        let pace = run("--concurrency=4 --resync=1h").unwrap().pace();
        assert_eq!(pace, Pace { concurrency: 4, resync: time::Duration::from_hours(1) });
        for line in
            ["--concurrency=0", "--concurrency=257", "--resync=1s", "--resync=25h", "--resync=soon"]
        {
            assert!(run(line).is_err(), "{line}");
        }
    }

    #[test]
    fn an_address_without_host_is_all_interfaces() {
        assert_eq!(address(":8080").unwrap().to_string(), "[::]:8080");
        assert_eq!(address("127.0.0.1:0").unwrap().to_string(), "127.0.0.1:0");
        assert!(address("8080").is_err());
    }

    fn of_chart(file: &str) -> serde_json::Value {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/oauth2-proxy-operator");
        serde_yaml_ng::from_str(&std::fs::read_to_string(format!("{folder}/{file}")).unwrap())
            .unwrap()
    }

    #[test]
    fn the_values_of_the_chart_are_the_defaults_of_the_flags() {
        let values = of_chart("values.yaml");
        let number = |pointer: &str| values.pointer(pointer).unwrap().as_u64().unwrap();
        let seconds = |name| number(&format!("/leaderElection/{name}Seconds"));
        let [duration, deadline, retry] =
            ["leaseDuration", "renewDeadline", "retryPeriod"].map(seconds);
        let [duration, deadline, retry] =
            [duration, deadline, retry].map(time::Duration::from_secs);
        assert_eq!(Times { duration, deadline, retry }, Times::default());
        let usual = run("").unwrap();
        let minutes = time::Duration::from_mins(number("/resyncMinutes"));
        assert_eq!(
            (u64::from(usual.pace().concurrency), usual.pace().resync),
            (number("/concurrency"), minutes)
        );
        let proxy = usual.proxy();
        for (name, id) in [("User", proxy.user), ("Group", proxy.group)] {
            let value = number(&format!("/proxySecurityContext/runAs{name}"));
            assert_eq!(id.and_then(|id| u64::try_from(id).ok()), Some(value));
        }
    }

    #[test]
    fn arguments_that_values_of_the_chart_give_can_not_be_given_again() {
        let schema = of_chart("values.schema.json");
        let pattern = schema.pointer("/properties/extraArgs/items/not/pattern").unwrap();
        let inner = pattern.as_str().unwrap().strip_prefix("^--(").unwrap();
        let refused: Vec<_> = inner.strip_suffix(")(=|$)").unwrap().split('|').collect();
        let command = <Cli as clap::CommandFactory>::command();
        let run = command.find_subcommand("run").unwrap();
        let known =
            run.get_arguments().filter_map(clap::Arg::get_long).filter(|flag| *flag != "help");
        let mut known: Vec<_> = known.collect();
        known.sort_unstable();
        assert_eq!(refused, known);
    }

    /// Reconciles get their time, then the lease goes back, and only then may the kubelet kill.
    #[test]
    fn the_chart_gives_the_time_that_an_end_takes() {
        let schema = of_chart("values.schema.json");
        let least = schema.pointer("/properties/terminationGracePeriodSeconds/minimum").unwrap();
        let needed = crate::app::GRACE + crate::leader::REQUEST;
        assert!(time::Duration::from_secs(least.as_u64().unwrap()) >= needed, "{needed:?}");
    }
}
