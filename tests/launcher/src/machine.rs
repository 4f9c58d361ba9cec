//! Looks at the machine: the facts that [`crate::check`] judges. Nothing here changes anything.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cache;
use crate::check::{Built, Facts, Go, Place};
use crate::choice::Choice;
use crate::packages::{self, FOR_A_CLUSTER, FOR_KEYCLOAK};

/// What is there now. Ports of `ours` are held by the demo that is to be brought up to date, and are let go for the new one.
#[must_use]
pub fn look(choice: &Choice, ours: &[u16], built: Built) -> Facts {
    let packages = [FOR_A_CLUSTER, FOR_KEYCLOAK].map(packages::missing).concat();
    Facts {
        root: is_root(),
        apt: Path::new("/usr/bin/apt-get").exists(),
        missing_packages: packages,
        go: go(),
        taken: choice
            .ports()
            .into_iter()
            .filter(|(_, port)| !ours.contains(port))
            .filter_map(|(variable, port)| Some((variable, port, taken(port)?)))
            .collect(),
        own_tools: in_path("kubectl").is_some() && in_path("helm").is_some(),
        contexts: contexts(),
        places: places(),
        memory: memory(&fs::read_to_string("/proc/meminfo").unwrap_or_default()),
        built,
        up: !ours.is_empty(),
    }
}

/// What was built before, as far as the names of files tell: whether it is up to date only the harness can know.
#[must_use]
pub fn built() -> Built {
    let components = cache::root().map(|cache| cache.join("components"));
    let names: Vec<String> = components
        .and_then(|folder| fs::read_dir(folder).ok())
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let target = cache::target();
    Built {
        harness: target.join("debug/harness").exists(),
        programs: target.join("release/oauth2-proxy-operator").exists(),
        components: ["kubernetes-", "coredns-", "helm3-"]
            .iter()
            .all(|module| names.iter().any(|name| name.starts_with(module))),
    }
}

/// The ports of a demo that is up, as its folder in the cache says.
#[must_use]
pub fn remembered_ports() -> Vec<u16> {
    let file = cache::root().map(|cache| cache.join("demo/settings.json"));
    let text = file.and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
    numbers(&text, &["\"port\":", "\"keycloakPort\":"])
}

/// The number behind each of `names` in a JSON text.
fn numbers(text: &str, names: &[&str]) -> Vec<u16> {
    let number = |name: &&str| {
        let (_, rest) = text.split_once(*name)?;
        rest.trim_start().split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    names.iter().filter_map(number).collect()
}

/// Whether this process has the rights of root.
#[must_use]
pub fn is_root() -> bool {
    effective_user(&fs::read_to_string("/proc/self/status").unwrap_or_default()) == Some(0)
}

fn effective_user(status: &str) -> Option<u32> {
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    users.split_whitespace().nth(1)?.parse().ok()
}

/// A program of the person's.
#[must_use]
pub fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// What `program` says, if it is there and content.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn go() -> Option<Go> {
    let text = said("go", &["version"])?;
    let mode = said("go", &["env", "GOTOOLCHAIN"]).unwrap_or_default();
    Some(Go { minor: go_minor(&text)?, fetches_newer: mode.trim() != "local" })
}

/// 26 in `go version go1.26.8 linux/amd64`.
fn go_minor(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("go1.")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn taken(port: u16) -> Option<String> {
    TcpListener::bind(("127.0.0.1", port)).err().map(|error| error.to_string())
}

fn contexts() -> Option<Vec<String>> {
    let list = said("kubectl", &["config", "get-contexts", "--output=name"])?;
    Some(list.lines().map(str::to_owned).collect())
}

/// The folders that builds and clusters fill.
fn places() -> Vec<Place> {
    let go = said("go", &["env", "GOMODCACHE"]).map(|path| PathBuf::from(path.trim()));
    [("cache", cache::root()), ("target", Some(cache::target())), ("go", go)]
        .into_iter()
        .filter_map(|(holds, path)| {
            let path = path?;
            // The part of it that is there: the rest is made on the same disk.
            let there = path.ancestors().find(|path| path.exists())?.to_owned();
            let (disk, free) = disk(&said("df", &["-Pk", &there.display().to_string()])?)?;
            Some(Place { holds, path, disk, free })
        })
        .collect()
}

/// Where the file system is mounted and how many megabytes are free, from the output of `df -Pk`.
fn disk(text: &str) -> Option<(String, u64)> {
    let mut fields = text.lines().last()?.split_whitespace();
    let free: u64 = fields.nth(3)?.parse().ok()?;
    Some((fields.nth(1)?.to_owned(), free / 1024))
}

/// Megabytes of memory that programs can have.
fn memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_from_what_the_system_says() {
        assert_eq!(effective_user("Name:\tx\nUid:\t1000\t0\t0\t0\n"), Some(0));
        assert_eq!(go_minor("go version go1.26.8 linux/amd64"), Some(26));
        assert_eq!(go_minor("go version devel"), None);
        let df = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda 100 10 92160 10% /home\n";
        assert_eq!(disk(df), Some(("/home".to_owned(), 90)));
        assert_eq!(memory("MemTotal: 9 kB\nMemAvailable:   2097152 kB\n"), Some(2048));
        let settings = "{\n  \"context\": null,\n  \"port\": 8400,\n  \"keycloakPort\": 9001\n}";
        assert_eq!(numbers(settings, &["\"port\":", "\"keycloakPort\":"]), [8400, 9001]);
        assert!(numbers("", &["\"port\":"]).is_empty());
    }

    #[test]
    fn port_that_something_listens_on_is_taken_unless_it_is_ours() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let choice = Choice { context: None, port, keycloak_port: port };
        let taken = |ours: &[u16]| look(&choice, ours, Built::default()).taken.len();
        assert_eq!(taken(&[]), 2);
        assert_eq!(taken(&[port]), 0);
    }
}
