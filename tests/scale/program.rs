//! The operator as a process, and what it uses.

use crate::Outcome;
use std::process::Command;
use std::time::Duration;
use tests::cluster::Cluster;
use tests::process::{Process, free_port};
use tokio::time::{Instant, sleep};

/// How long nothing waits for a turn where all is done.
const QUIET: Duration = Duration::from_secs(5);
/// Patience with an operator that ends, or comes to rest.
const PATIENCE: Duration = Duration::from_mins(20);

/// A running operator.
pub(crate) struct Program {
    process: Process,
    /// Of its admin listener.
    port: u16,
    /// Holds its log and kubeconfig.
    _folder: tempfile::TempDir,
}

/// Bytes of memory.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    /// In use now.
    pub(crate) resident: u64,
    /// The most there was.
    pub(crate) most: u64,
}

impl Program {
    /// Starts it as the chart would, with the chart's rights.
    pub(crate) fn start(cluster: &Cluster, program: &str) -> Outcome<Self> {
        let (folder, port) = (tempfile::tempdir()?, free_port());
        let mut command = Command::new(program);
        command
            .env("KUBECONFIG", cluster.account(&[], folder.path()))
            .env("POD_NAME", "scale")
            .env("POD_NAMESPACE", "default")
            .args(["run", "--proxy-image=example.com/oauth2-proxy:test", "--log-format=text"])
            .arg(format!("--admin-address=127.0.0.1:{port}"));
        let log = std::env::temp_dir().join("oauth2-proxy-operator-scale.log");
        let process =
            Process::start(command, log, "build it with: cargo build --release -p operator");
        Ok(Self { process, port, _folder: folder })
    }

    /// Ends it as a kubelet would.
    pub(crate) async fn stop(mut self) -> Outcome<()> {
        self.process.signal("TERM");
        let end = Instant::now() + PATIENCE;
        while self.process.exit_code().is_none() {
            if Instant::now() > end {
                return Err(format!("the operator does not end:\n{}", self.process.output()).into());
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Waits until it leads and nothing has waited for a turn for a while; how long it took until then.
    pub(crate) async fn until_quiet(&self) -> Outcome<Duration> {
        let began = Instant::now();
        let mut busy = Instant::now();
        while busy.elapsed() < QUIET {
            if began.elapsed() > PATIENCE {
                return Err(format!("it does not come to rest:\n{}", self.process.output()).into());
            }
            sleep(Duration::from_millis(200)).await;
            if !self.is_quiet().await {
                busy = Instant::now();
            }
        }
        Ok(began.elapsed().saturating_sub(QUIET))
    }

    async fn is_quiet(&self) -> bool {
        let url = format!("http://127.0.0.1:{}/metrics", self.port);
        let Ok(answer) = tests::client::get(&url).await else { return false };
        let text = answer.text().await.unwrap_or_default();
        let of = |name: &str| {
            let name = format!("oauth2_proxy_operator_{name}");
            let lines = text.lines().filter(move |line| line.starts_with(&name));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
        };
        of("leader") > 0.5
            && of("reconcile_duration_seconds_count") > 0.5
            && of("queue_depth") < 0.5
    }

    /// Processor time so far, of its own and of the kernel on its behalf.
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        // User and system time in hundredths of a second, all threads there were: proc_pid_stat(5), after the name in brackets.
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let (_, fields) = text.rsplit_once(") ").ok_or("no name in /proc/<pid>/stat")?;
        let times = fields.split(' ').skip(11).take(2).map(str::parse::<u64>);
        let ticks: u64 = times.collect::<Result<Vec<_>, _>>()?.iter().sum();
        Ok(Duration::from_millis(ticks * 10))
    }

    /// Its memory.
    pub(crate) fn memory(&self) -> Outcome<Memory> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))
            .map_err(|error| format!("the operator ended: {error}\n{}", self.process.output()))?;
        let of = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes =
                line.and_then(|line| line.split_whitespace().nth(0)?.parse::<u64>().ok());
            kilobytes
                .map(|kilobytes| kilobytes * 1024)
                .ok_or_else(|| format!("no {name} of the operator"))
        };
        Ok(Memory { resident: of("VmRSS:")?, most: of("VmHWM:")? })
    }
}
