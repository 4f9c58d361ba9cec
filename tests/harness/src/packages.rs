//! What the harness needs of the machine: root, and a few Debian packages, which it installs.

use std::path::Path;

use launcher::packages::{FOR_A_CLUSTER, FOR_KEYCLOAK, FOR_TESTS, Package, missing};

use crate::error::{Error, Result};
use crate::program::{program, run};
use crate::report::Report;

/// Says so if this is not root.
pub(crate) fn require_root(what: &str) -> Result<()> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    Err(Error::Need(format!(
        "{what} needs root (it makes network namespaces, mounts and containers): run it as root, for example with `sudo -E env PATH=$PATH`"
    )))
}

/// Installs what a cluster needs and is missing.
pub(crate) fn for_a_cluster(report: &Report) -> Result<()> {
    install(FOR_A_CLUSTER, report)
}

/// Installs what the Keycloak image is made from.
pub(crate) fn for_keycloak(report: &Report) -> Result<()> {
    install(FOR_KEYCLOAK, report)
}

/// Installs what the tests and the benchmark start beside the cluster.
pub(crate) fn for_tests(report: &Report) -> Result<()> {
    install(FOR_TESTS, report)
}

fn install(packages: &[Package], report: &Report) -> Result<()> {
    let missing = missing(packages);
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(Error::Need(format!(
            "these Debian packages (or their like) are missing, and there is no apt-get to install them: {list}"
        )));
    }
    require_root(&format!("installing {list}"))?;
    report.long_step(&format!("install Debian packages: {list}"), |_| {
        apt(&["update"])
            .and_then(|()| {
                let mut args = vec!["install", "--yes", "--no-install-recommends"];
                args.extend(&missing);
                apt(&args)
            })
            .map_err(|error| {
                Error::Need(format!(
                    "cannot install {list}: is the network there, and are Debian's mirrors reachable?\n{error}"
                ))
            })
    })
}

fn apt(args: &[&str]) -> Result<()> {
    run(program("apt-get", args).env("DEBIAN_FRONTEND", "noninteractive")).map(drop)
}
