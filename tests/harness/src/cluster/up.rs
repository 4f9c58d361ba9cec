//! Brings a cluster up.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::cache::Cache;
use crate::cluster::network::Network;
use crate::cluster::state::{Process, Record};
use crate::cluster::{Cluster, cgroup, config, down, list, network, pki};
use crate::components::{self, Module};
use crate::error::{Doing as _, Error, Result};
use crate::image::system;
use crate::interrupt::Interrupts;
use crate::node::{Event, KEEP, LINKED, Plan};
use crate::packages;
use crate::program::{program, run, tail};
use crate::report::Report;

/// Brings `cluster` up, or finds it running; `api_only`: only its etcd and API server. On failure or interruption nothing of it is left.
///
/// # Errors
/// Something is missing on the machine, or a component did not work; the message says which.
pub fn up(
    (cluster, api_only): (&Cluster, bool),
    cache: &Cache,
    report: &Report,
    interrupts: &Interrupts,
) -> Result<Record> {
    packages::require_root("a cluster")?;
    if let Some(record) = cluster.running()? {
        report.note(&format!("cluster {} is running already", cluster.name()));
        return Ok(record);
    }
    // Images are for pods, and nothing runs any beside an API server alone.
    let (programs, images) =
        if api_only { (programs(cache, report)?, Vec::new()) } else { prepare(cache, report)? };
    down::remove(cluster)?;
    let undo = {
        let cluster = cluster.clone();
        interrupts.undo(move || drop(down::remove(&cluster)))
    };
    let mut made = make((cluster, api_only), cache, report, |network| {
        Ok(Plan {
            name: cluster.name().to_owned(),
            network: network.clone(),
            programs,
            images,
            manifests: manifests(network)?,
            api_only,
            keep: cache.clusters().parent().map(Path::to_path_buf).unwrap_or_default(),
        })
    })?;
    follow(made.said, report).map_err(|error| with_node_log(cluster, error))?;
    made.record.ready = true;
    cluster.state().write_record(&made.record)?;
    writeln!(made.tell, "{KEEP}").doing(|| "tell the node that it may stay".to_owned())?;
    undo.keep();
    Ok(made.record)
}

/// Installs and builds what every cluster is made of, as far as it is not there yet: the folder of the programs, and the
/// archives of the system's images. It takes root, which the caller has made sure of.
///
/// # Errors
/// Something is missing on the machine, or a build failed.
pub fn prepare(cache: &Cache, report: &Report) -> Result<(PathBuf, Vec<PathBuf>)> {
    Ok((programs(cache, report)?, system::ensure(cache, report)?))
}

fn programs(cache: &Cache, report: &Report) -> Result<PathBuf> {
    packages::for_a_cluster(report)?;
    components::ensure(Module::Kubernetes, cache, report)
}

struct Made {
    record: Record,
    tell: ChildStdin,
    said: ChildStdout,
}

/// Makes namespaces, network, certificates and files, and lets the node start.
fn make(
    (cluster, api_only): (&Cluster, bool),
    cache: &Cache,
    report: &Report,
    plan: impl FnOnce(&Network) -> Result<Plan>,
) -> Result<Made> {
    let state = cluster.state();
    // Held until the route is in place: by it clusters of other caches see that the network is taken.
    let lock = cache.lock("network")?;
    let network = free_network(cache)?;
    let mut record = Record {
        name: cluster.name().to_owned(),
        network: network.clone(),
        node: None,
        linked: false,
        ready: false,
    };
    state.write_record(&record)?;
    report.step("certificates and configuration", || {
        for folder in ["log", "tmp", "volume-plugins"] {
            let path = state.path(folder);
            fs::create_dir_all(&path).doing(|| format!("make {}", path.display()))?;
        }
        pki::write(state, cluster.name(), &network)?;
        config::write(state, (cluster.name(), api_only), &network, snapshotter(state.dir())?)?;
        cgroup::create(&config::cgroup(cluster.name()))?;
        let plan = serde_json::to_vec(&plan(&network)?).map_err(std::io::Error::from);
        state.write("node.json", plan.doing(|| "describe the node".to_owned())?)
    })?;
    let (mut tell, said) = launch(cluster)?;
    record.node = Some(node(cluster)?);
    state.write_record(&record)?;
    report.step(&format!("network {} on {}", network.all, network.interface), || {
        link(cluster, &mut record)
    })?;
    drop(lock);
    writeln!(tell, "{LINKED}").doing(|| "tell the node of its link".to_owned())?;
    Ok(Made { record, tell, said })
}

fn free_network(cache: &Cache) -> Result<Network> {
    let taken: BTreeSet<u8> = list(cache)?
        .into_iter()
        .filter_map(|(_, record)| Some(record?.network.slot))
        .chain(
            (0..network::SLOTS)
                .filter(|slot| Path::new("/sys/class/net").join(format!("o2p{slot}")).exists()),
        )
        .collect();
    let routes = run(&mut program("ip", ["-4", "route", "show", "table", "all"]))?;
    network::choose(&taken, &network::destinations(&routes))
}

/// Starts the node by way of a process that leaves the namespaces of this one.
fn launch(cluster: &Cluster) -> Result<(ChildStdin, ChildStdout)> {
    let doing = || "start the node".to_owned();
    let mut child = Command::new(std::env::current_exe().doing(doing)?)
        .args(["node", "launch"])
        .arg(cluster.state().dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .doing(doing)?;
    let pipes = child.stdin.take().zip(child.stdout.take());
    wait(&mut child)?;
    pipes.ok_or_else(|| Error::Node("the node has no pipes".to_owned()))
}

fn wait(child: &mut Child) -> Result<()> {
    let status = child.wait().doing(|| "start the node".to_owned())?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Node(format!("the node could not be started ({status}); the reason is above")))
}

fn node(cluster: &Cluster) -> Result<Process> {
    let path = cluster.state().path("node.pid");
    let text = fs::read_to_string(&path).doing(|| format!("read {}", path.display()))?;
    text.trim()
        .parse()
        .ok()
        .and_then(Process::find)
        .ok_or_else(|| Error::Node(format!("the node ended at once{}", log_of(cluster))))
}

/// The link between the machine and the node, and the route to everything behind it.
fn link(cluster: &Cluster, record: &mut Record) -> Result<()> {
    let net = record.network.clone();
    let pid = record.node.map(|node| node.pid.to_string());
    let pid = pid.unwrap_or_default();
    let (host, node) = (format!("{}/24", net.host), net.node.to_string());
    let all = net.all.to_string();
    let interface = net.interface.as_str();
    let ip = |args: &[&str]| run(&mut program("ip", args));
    ip(&["link", "add", interface, "type", "veth", "peer", "name", "eth0", "netns", &pid])?;
    record.linked = true;
    cluster.state().write_record(record)?;
    ip(&["address", "add", &host, "dev", interface])?;
    ip(&["link", "set", interface, "up"])?;
    ip(&["route", "add", &all, "via", &node, "dev", interface])?;
    Ok(())
}

/// Passes on what the node reports until it is ready or has failed.
fn follow(said: ChildStdout, report: &Report) -> Result<()> {
    for line in BufReader::new(said).lines() {
        let line = line.doing(|| "hear from the node".to_owned())?;
        match serde_json::from_str(&line) {
            Ok(Event::Step { what, milliseconds }) => {
                report.took(&what, std::time::Duration::from_millis(milliseconds));
            }
            Ok(Event::Ready) => return Ok(()),
            Ok(Event::Failed { message }) => return Err(Error::Node(message)),
            Err(_) => report.note(&line),
        }
    }
    Err(Error::Node("the node ended without a word".to_owned()))
}

fn with_node_log(cluster: &Cluster, error: Error) -> Error {
    let log = log_of(cluster);
    if log.is_empty() {
        return error;
    }
    Error::Node(format!("{error}{log}"))
}

fn log_of(cluster: &Cluster) -> String {
    let text = fs::read_to_string(cluster.state().log("node")).unwrap_or_default();
    if text.is_empty() {
        return String::new();
    }
    format!("\n  end of the node's own log:\n{}", tail(&text, 20))
}

fn manifests(network: &Network) -> Result<String> {
    Ok(include_str!("../../manifests/system.yaml")
        .replace("DNS_ADDRESS", &network.dns.to_string())
        .replace("DNS_IMAGE", &system::coredns_image()?))
}

/// Layers can be laid over one another on all file systems but on such layers themselves.
fn snapshotter(folder: &Path) -> Result<&'static str> {
    let found = nix::sys::statfs::statfs(folder)
        .doing(|| format!("find the file system of {}", folder.display()))?;
    let layered = found.filesystem_type() == nix::sys::statfs::OVERLAYFS_SUPER_MAGIC;
    Ok(if layered { "native" } else { "overlayfs" })
}
