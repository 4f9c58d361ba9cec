//! Builds the real components of a cluster from pinned Go modules, once per lock file.
//!
//! Each module is a folder under `components/` with a `go.mod` and `go.sum` of its own. The
//! binaries are kept in the cache under a key made of everything that decides their content.

use std::fs;
use std::path::{Path, PathBuf};

use launcher::logged::Go;
use sha2::{Digest as _, Sha256};

use crate::cache::Cache;
use crate::error::{Doing as _, Error, Result};
use crate::program::{output, program};
use crate::report::{Progress, Report};

/// Part of every key: raise it when the way of building changes.
const RECIPE: &str = "2";

/// A Go module with programs of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Module {
    /// etcd, the control plane, kubelet, kube-proxy and kubectl.
    Kubernetes,
    /// The cluster's DNS server.
    CoreDns,
    /// Helm 3.
    Helm3,
    /// Helm 4.
    Helm4,
    /// The program that holds a pod's namespaces.
    Pause,
}

/// A program and the Go package it is built from.
struct Binary {
    name: &'static str,
    package: &'static str,
}

const fn binary(name: &'static str, package: &'static str) -> Binary {
    Binary { name, package }
}

impl Module {
    /// All modules, in the order in which a cluster needs them.
    pub const ALL: [Self; 5] =
        [Self::Pause, Self::Kubernetes, Self::CoreDns, Self::Helm3, Self::Helm4];

    fn folder(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::CoreDns => "coredns",
            Self::Helm3 => "helm3",
            Self::Helm4 => "helm4",
            Self::Pause => "pause",
        }
    }

    /// The Go module whose version is the version of the whole.
    fn versioned_by(self) -> Option<&'static str> {
        match self {
            Self::Kubernetes => Some("k8s.io/kubernetes"),
            Self::CoreDns => Some("github.com/coredns/coredns"),
            Self::Helm3 => Some("helm.sh/helm/v3"),
            Self::Helm4 => Some("helm.sh/helm/v4"),
            Self::Pause => None,
        }
    }

    fn binaries(self) -> &'static [Binary] {
        const KUBERNETES: &[Binary] = &[
            binary("server", "go.etcd.io/etcd/server/v3"),
            binary("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
            binary("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
            binary("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
            binary("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
            binary("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
            binary("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
        ];
        const COREDNS: &[Binary] = &[binary("coredns", "oauth2proxy.dev/harness/coredns")];
        const HELM3: &[Binary] = &[binary("helm", "helm.sh/helm/v3/cmd/helm")];
        const HELM4: &[Binary] = &[binary("helm", "helm.sh/helm/v4/cmd/helm")];
        const PAUSE: &[Binary] = &[binary("pause", "oauth2proxy.dev/harness/pause")];
        match self {
            Self::Kubernetes => KUBERNETES,
            Self::CoreDns => COREDNS,
            Self::Helm3 => HELM3,
            Self::Helm4 => HELM4,
            Self::Pause => PAUSE,
        }
    }

    /// Linker flags: without a stamped version the API server calls itself v0.0.0.
    fn ldflags(self, version: &str) -> String {
        if self != Self::Kubernetes {
            return "-s -w".to_owned();
        }
        let mut parts = version.trim_start_matches('v').split('.');
        let major = parts.next().unwrap_or_default();
        let minor = parts.next().unwrap_or_default();
        let stamp = "-X k8s.io/component-base/version.git";
        format!(
            "-s -w {stamp}Version={version} {stamp}Major={major} {stamp}Minor={minor} {stamp}TreeState=clean"
        )
    }
}

/// Where the modules are described.
fn described_in(module: Module) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("components").join(module.folder())
}

/// The pinned version of `module`, as `v1.2.3`; `v1` for what has none.
///
/// # Errors
/// Its `go.mod` cannot be read or does not name the version.
pub fn version(module: Module) -> Result<String> {
    let Some(path) = module.versioned_by() else {
        return Ok("v1".to_owned());
    };
    let file = described_in(module).join("go.mod");
    let text = fs::read_to_string(&file).doing(|| format!("read {}", file.display()))?;
    required_version(&text, path)
        .ok_or_else(|| Error::Damaged { path: file, reason: format!("no version of {path}") })
}

fn required_version(go_mod: &str, path: &str) -> Option<String> {
    go_mod.lines().find_map(|line| {
        let line = line.trim().trim_start_matches("require ");
        let version = line.strip_prefix(path)?.strip_prefix(' ')?;
        version.starts_with('v').then(|| version.split(' ').next().unwrap_or_default().to_owned())
    })
}

/// Whether `module` is built already, as it is described now.
///
/// # Errors
/// Its description cannot be read.
pub fn is_built(module: Module, cache: &Cache) -> Result<bool> {
    Ok(done(module, cache)?.exists())
}

/// Where the binaries of `module` are once they are built.
fn done(module: Module, cache: &Cache) -> Result<PathBuf> {
    let version = version(module)?;
    let key = key(&described_in(module), &module.ldflags(&version))?;
    Ok(cache.components().join(format!("{}-{version}-{key}", module.folder())))
}

/// The folder with the binaries of `module`, built if they are not there yet.
///
/// # Errors
/// Go is missing, its module proxy cannot be reached, or the build failed.
pub fn ensure(module: Module, cache: &Cache, report: &Report) -> Result<PathBuf> {
    let (version, source) = (version(module)?, described_in(module));
    let done = done(module, cache)?;
    if done.exists() {
        return Ok(done);
    }
    let _lock = cache.lock(&format!("component-{}", module.folder()))?;
    if done.exists() {
        return Ok(done);
    }
    require_go()?;
    let building = cache.components().join(format!(".{}", module.folder()));
    let _ = fs::remove_dir_all(&building);
    fs::create_dir_all(&building).doing(|| format!("make {}", building.display()))?;
    report.long_step(
        &format!("build {} {version} with Go, once{}", module.folder(), hint(module)),
        |progress| build(module, &source, &building, progress),
    )?;
    fs::rename(&building, &done).doing(|| format!("make {}", done.display()))?;
    Ok(done)
}

fn hint(module: Module) -> &'static str {
    match module {
        Module::Kubernetes => " (5 to 30 minutes on two cores)",
        Module::CoreDns | Module::Helm3 | Module::Helm4 => " (one to three minutes on two cores)",
        Module::Pause => "",
    }
}

fn build(module: Module, source: &Path, into: &Path, progress: Progress<'_>) -> Result<()> {
    let mut out = into.as_os_str().to_owned();
    out.push("/");
    // What a debugger would need is stripped in the end, so it is not made at all.
    let mut go =
        program("go", ["build", "-v", "-trimpath", "-mod=readonly", "-gcflags=all=-dwarf=false"]);
    go.arg("-ldflags").arg(module.ldflags(&version(module)?)).arg("-o").arg(out);
    go.args(module.binaries().iter().map(|binary| binary.package));
    go.current_dir(source).env("CGO_ENABLED", "0").env("GOWORK", "off");
    let (log, mut seen) =
        (launcher::cache::log(&format!("build-{}", module.folder())), Go::default());
    launcher::logged::run(&mut go, &log, |line| progress.at(seen.read(line))).map_err(|error| {
        Error::Need(format!(
            "cannot build {}: {error}\nThe first build needs the Go module proxy ($GOPROXY), 4 GB of disk and 4 GB of memory",
            module.folder()
        ))
    })?;
    for binary in module.binaries() {
        let path = into.join(binary.name);
        if !path.exists() {
            return Err(Error::Need(format!("go build made no {}", path.display())));
        }
    }
    if module == Module::Kubernetes {
        let path = into.join("etcd");
        fs::rename(into.join("server"), &path).doing(|| format!("make {}", path.display()))?;
    }
    Ok(())
}

fn require_go() -> Result<()> {
    match output(&mut program("go", ["version"])) {
        Ok(found) if found.status.success() => Ok(()),
        _ => Err(Error::Need(
            "Go 1.26 or later is needed to build the cluster's components: install it and have `go` in PATH".to_owned(),
        )),
    }
}

/// A key of everything in `source` and of how it is built.
fn key(source: &Path, ldflags: &str) -> Result<String> {
    let mut names: Vec<PathBuf> = fs::read_dir(source)
        .doing(|| format!("read {}", source.display()))?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<std::io::Result<_>>()
        .doing(|| format!("read {}", source.display()))?;
    names.sort();
    let mut hash = Sha256::new();
    hash.update(RECIPE);
    hash.update(ldflags);
    for path in names {
        let content = fs::read(&path).doing(|| format!("read {}", path.display()))?;
        let name = path.file_name().unwrap_or_default();
        hash.update(name.as_encoded_bytes());
        hash.update(content.len().to_le_bytes());
        hash.update(content);
    }
    Ok(hex(&hash.finalize()).chars().take(16).collect())
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_is_pinned() {
        for module in Module::ALL {
            assert!(version(module).unwrap().starts_with('v'), "{module:?}");
        }
        assert_eq!(version(Module::Kubernetes).unwrap(), "v1.35.4");
    }

    #[test]
    fn key_follows_every_file_and_the_flags() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("go.mod", "module a");
        write("go.sum", "x");
        let first = key(folder.path(), "-s").unwrap();
        assert_eq!(first, key(folder.path(), "-s").unwrap());
        assert_ne!(first, key(folder.path(), "-w").unwrap());
        write("go.sum", "y");
        assert_ne!(first, key(folder.path(), "-s").unwrap());
        write("go.sum", "x");
        write("main.go", "package main");
        assert_ne!(first, key(folder.path(), "-s").unwrap());
    }

    #[test]
    fn version_is_not_taken_from_a_longer_module_path() {
        let text =
            "require (\n\tk8s.io/kubernetes-x v9.0.0\n\tk8s.io/kubernetes v1.2.3 // indirect\n)";
        assert_eq!(required_version(text, "k8s.io/kubernetes").as_deref(), Some("v1.2.3"));
    }

    #[test]
    fn server_is_told_its_version() {
        let flags = Module::Kubernetes.ldflags("v1.35.4");
        assert!(flags.contains("gitVersion=v1.35.4"));
        assert!(flags.contains("gitMinor=35 "));
    }
}
