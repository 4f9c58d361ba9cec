//! Debian packages that the harness installs, and which of them are missing.

use std::path::Path;

/// A Debian package and a file by which it is known to be there.
#[derive(Debug)]
pub struct Package {
    /// Its name.
    pub name: &'static str,
    files: &'static [&'static str],
}

/// What a cluster is made of beside the components that are built.
pub const FOR_A_CLUSTER: &[Package] = &[
    Package { name: "containerd", files: &["/usr/bin/containerd", "/usr/local/bin/containerd"] },
    Package { name: "runc", files: &["/usr/bin/runc", "/usr/sbin/runc", "/usr/local/sbin/runc"] },
    Package { name: "containernetworking-plugins", files: &["/usr/lib/cni/ptp"] },
    Package { name: "iproute2", files: &["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"] },
    Package { name: "nftables", files: &["/usr/sbin/nft"] },
];

/// What the image of Keycloak is made from.
pub const FOR_KEYCLOAK: &[Package] = &[
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

/// What the tests and the benchmark start beside the cluster.
pub const FOR_TESTS: &[Package] = &[
    Package { name: "redis-server", files: &["/usr/bin/redis-server"] },
    Package { name: "redis-tools", files: &["/usr/bin/redis-cli"] },
    Package { name: "chromium", files: &["/usr/bin/chromium"] },
    Package { name: "chromium-driver", files: &["/usr/bin/chromedriver"] },
    Package { name: "nginx-light", files: &["/usr/sbin/nginx"] },
    Package { name: "unzip", files: &["/usr/bin/unzip"] },
    Package { name: "curl", files: &["/usr/bin/curl"] },
];

/// The names of those that are not there.
#[must_use]
pub fn missing(packages: &[Package]) -> Vec<&'static str> {
    packages
        .iter()
        .filter(|package| !package.files.iter().any(|file| Path::new(file).exists()))
        .map(|package| package.name)
        .collect()
}
