//! What the harness needs of the machine: root, and a few Debian packages, which it installs.

use std::path::Path;

use crate::error::{Error, Result};
use crate::program::{program, run};
use crate::report::Report;

/// A Debian package and a file by which it is known to be there.
struct Package {
    name: &'static str,
    files: &'static [&'static str],
}

const FOR_A_CLUSTER: &[Package] = &[
    Package { name: "containerd", files: &["/usr/bin/containerd", "/usr/local/bin/containerd"] },
    Package { name: "runc", files: &["/usr/bin/runc", "/usr/sbin/runc", "/usr/local/sbin/runc"] },
    Package { name: "containernetworking-plugins", files: &["/usr/lib/cni/ptp"] },
    Package { name: "iproute2", files: &["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"] },
    Package { name: "nftables", files: &["/usr/sbin/nft"] },
];

const FOR_KEYCLOAK: &[Package] = &[
    Package { name: "curl", files: &["/usr/bin/curl"] },
    Package { name: "unzip", files: &["/usr/bin/unzip"] },
    Package {
        name: "default-jre-headless",
        files: &[
            "/usr/lib/jvm/default-java/lib/server/libjvm.so",
            "/usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so",
        ],
    },
    Package { name: "ca-certificates", files: &["/etc/ssl/certs/ca-certificates.crt"] },
];

const FOR_TESTS: &[Package] = &[
    Package { name: "redis-server", files: &["/usr/bin/redis-server"] },
    Package { name: "redis-tools", files: &["/usr/bin/redis-cli"] },
    Package { name: "chromium", files: &["/usr/bin/chromium"] },
    Package { name: "chromium-driver", files: &["/usr/bin/chromedriver"] },
    Package { name: "nginx-light", files: &["/usr/sbin/nginx"] },
    Package { name: "unzip", files: &["/usr/bin/unzip"] },
    Package { name: "curl", files: &["/usr/bin/curl"] },
];

/// Says so if this is not root.
pub(crate) fn require_root(what: &str) -> Result<()> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    Err(Error::Need(format!(
        "{what} needs root (it makes network namespaces, mounts and containers): run it as root, for example with `sudo -E`"
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
    let missing: Vec<&str> = packages
        .iter()
        .filter(|package| !package.files.iter().any(|file| Path::new(file).exists()))
        .map(|package| package.name)
        .collect();
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
    report.long_step(&format!("install Debian packages: {list}"), || {
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
