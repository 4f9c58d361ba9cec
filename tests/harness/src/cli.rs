//! The command line: what can be asked for, and which part does it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, Subcommand};
use serde_json::json;

use crate::build;
use crate::cache::Cache;
use crate::cluster::{self, Cluster};
use crate::components::{self, Module};
use crate::demo;
use crate::error::{Error, Result};
use crate::image::keycloak;
use crate::interrupt::Interrupts;
use crate::node;
use crate::packages;
use crate::report::{Report, print, say};

/// Clusters, images and the demo.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Asked,
}

#[derive(Debug, Subcommand)]
enum Asked {
    /// One-node Kubernetes clusters of real components.
    #[command(subcommand)]
    Cluster(AskedOfCluster),
    /// Keycloak, a sample app, the operator, one object and one annotation.
    #[command(subcommand)]
    Demo(AskedOfDemo),
    /// Write the images of the project's programs, and say where.
    Images {
        /// Folder with built programs; without it they are built for release.
        #[arg(long)]
        from: Option<PathBuf>,
        /// Folder for the archives and staged roots.
        #[arg(long, default_value = "target/images")]
        to: PathBuf,
        /// Make the image of Keycloak as well.
        #[arg(long)]
        keycloak: bool,
    },
    /// Build the components that clusters and tests run, and print their folders.
    Components,
    /// Install the Debian packages that the tests start beside a cluster.
    Packages,
    /// Be the process that keeps port forwards running; not for people.
    #[command(hide = true)]
    Forward {
        /// The file that says which.
        file: PathBuf,
    },
    /// Parts of a cluster's own start; not for people.
    #[command(subcommand, hide = true)]
    Node(AskedOfNode),
}

#[derive(Debug, Subcommand)]
enum AskedOfCluster {
    /// Bring a cluster up and print the path of its kubeconfig.
    Up {
        /// Its name.
        #[arg(long, default_value = "dev")]
        name: String,
        /// Only etcd and the API server, which records what service accounts ask of it.
        #[arg(long)]
        api_only: bool,
    },
    /// Remove a cluster and all it left.
    Down {
        /// Its name.
        #[arg(long, default_value = "dev")]
        name: String,
    },
    /// Print one line per cluster: name, state, addresses, kubeconfig.
    List,
    /// Print what a program wants to know of a running cluster, as JSON.
    Info {
        /// Its name.
        name: String,
    },
    /// Load image archives into a running cluster.
    Load {
        /// Its name.
        name: String,
        /// The archives.
        #[arg(required = true)]
        archives: Vec<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum AskedOfNode {
    /// Leave the machine's namespaces and start the node.
    Launch { state: PathBuf },
    /// Be the node.
    Init { state: PathBuf },
}

#[derive(Debug, Subcommand)]
enum AskedOfDemo {
    /// Bring it up, or up to date. `DEMO_CONTEXT`, `DEMO_PORT` and `DEMO_KEYCLOAK_PORT` choose.
    Up {
        /// Folder with built programs; without it they are built for release.
        #[arg(long)]
        from: Option<PathBuf>,
        /// Milliseconds that were spent on it before, by the launcher.
        #[arg(long, hide = true, default_value_t = 0)]
        spent: u64,
    },
    /// Remove it.
    Down,
}

/// Does what the command line asks for.
///
/// # Errors
/// What went wrong, in words for the person.
pub fn run() -> Result<()> {
    match Arguments::parse().command {
        Asked::Node(AskedOfNode::Launch { state }) => {
            node::launch(&cluster::state::State::new(state))
        }
        Asked::Node(AskedOfNode::Init { state }) => node::init(&state),
        Asked::Cluster(asked) => of_cluster(asked),
        Asked::Images { from, to, keycloak } => images(from.as_deref(), &to, keycloak),
        Asked::Demo(asked) => of_demo(&asked),
        Asked::Forward { file } => demo::serve(&file),
        Asked::Components => components(),
        Asked::Packages => packages::for_tests(&Report::new()),
    }
}

fn of_demo(asked: &AskedOfDemo) -> Result<()> {
    let interrupts = Interrupts::install()?;
    let cache = Cache::open()?;
    match asked {
        AskedOfDemo::Up { from, spent } => {
            let report = Report::since(Duration::from_millis(*spent));
            demo::up(from.as_deref(), &cache, &report, &interrupts)
        }
        AskedOfDemo::Down => demo::down(&cache, &Report::new()),
    }
}

fn images(from: Option<&Path>, to: &Path, with_keycloak: bool) -> Result<()> {
    let _interrupts = Interrupts::install()?;
    let report = Report::new();
    for archive in build::images(from, to, &report)? {
        print(archive.display());
    }
    if with_keycloak {
        print(keycloak::ensure(&Cache::open()?, &report)?.display());
    }
    Ok(())
}

fn components() -> Result<()> {
    let _interrupts = Interrupts::install()?;
    let (report, cache) = (Report::new(), Cache::open()?);
    for module in Module::ALL {
        print(components::ensure(module, &cache, &report)?.display());
    }
    Ok(())
}

fn of_cluster(asked: AskedOfCluster) -> Result<()> {
    let interrupts = Interrupts::install()?;
    let report = Report::new();
    let cache = Cache::open()?;
    match asked {
        AskedOfCluster::Up { name, api_only } => {
            let cluster = Cluster::named(&name, &cache)?;
            cluster::up((&cluster, api_only), &cache, &report, &interrupts)?;
            explain(&cluster, &cache, &report)?;
            print(cluster.state().kubeconfig().display());
            Ok(())
        }
        AskedOfCluster::Down { name } => cluster::down(&Cluster::named(&name, &cache)?, &report),
        AskedOfCluster::List => list(&cache),
        AskedOfCluster::Info { name } => info(&Cluster::named(&name, &cache)?),
        AskedOfCluster::Load { name, archives } => {
            let cluster = Cluster::named(&name, &cache)?;
            for archive in archives {
                for image in cluster::load(&cluster, &archive, &report)?.names {
                    print(image);
                }
            }
            Ok(())
        }
    }
}

/// How a person uses the cluster; on standard error, beside the path for programs.
fn explain(cluster: &Cluster, cache: &Cache, report: &Report) -> Result<()> {
    let tools = components::ensure(Module::Kubernetes, cache, report)?;
    say(format_args!(
        "\nuse it:      export KUBECONFIG={}\n             export PATH=$PATH:{}\n\
         load images: cargo run -p harness -- cluster load {name} target/images/<image>.tar\n\
         remove it:   make cluster-down NAME={name}\nmore:        docs/cluster.md\n",
        cluster.state().kubeconfig().display(),
        tools.display(),
        name = cluster.name(),
    ));
    Ok(())
}

fn list(cache: &Cache) -> Result<()> {
    for (cluster, record) in cluster::list(cache)? {
        let running = cluster.running()?.is_some();
        let network = record.map(|record| record.network.all.to_string());
        print(format_args!(
            "{:20} {:8} {:20} {}",
            cluster.name(),
            if running { "running" } else { "broken" },
            network.unwrap_or_default(),
            cluster.state().kubeconfig().display()
        ));
    }
    Ok(())
}

fn info(cluster: &Cluster) -> Result<()> {
    let record = cluster.require_running()?;
    let state = cluster.state();
    let document = json!({
        "name": record.name,
        "kubeconfig": state.kubeconfig(),
        "auditLog": state.audit_log(),
        "logs": state.path("log"),
        "containerd": state.containerd(),
        "network": record.network,
        "nodePid": record.node.map(|node| node.pid),
    });
    let text =
        serde_json::to_string_pretty(&document).map_err(|error| Error::Node(error.to_string()))?;
    print(text);
    Ok(())
}
