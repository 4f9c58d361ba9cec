//! Judges facts of the machine: what stands in the way of the demo, all of it at once and each with the step to take, and what
//! the demo will take. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::choice::Choice;

/// The release of Go that the components need.
const GO: u32 = 26;
/// The first release of Go that can fetch a newer one by itself.
const GO_FETCHES: u32 = 21;

/// What is there.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// This process is root.
    pub root: bool,
    /// Debian's `apt-get` is there.
    pub apt: bool,
    /// Debian packages that a cluster of our own needs.
    pub missing_packages: Vec<&'static str>,
    /// Go, if it is there.
    pub go: Option<Go>,
    /// Ports that can not be used: the variable that chooses each, the port, and the system's word for it.
    pub taken: Vec<(&'static str, u16, String)>,
    /// kubectl and helm are there.
    pub own_tools: bool,
    /// The contexts of the person's kubeconfig, if a kubectl could be asked.
    pub contexts: Option<Vec<String>>,
    /// The folders that will be filled.
    pub places: Vec<Place>,
    /// Megabytes of memory that programs can have.
    pub memory: Option<u64>,
    /// What need not be built.
    pub built: Built,
    /// A demo is up already, and has its memory and its disk.
    pub up: bool,
}

/// A Go toolchain.
#[derive(Debug, Clone, Copy)]
pub struct Go {
    /// 26 of 1.26.
    pub minor: u32,
    /// It may fetch a newer toolchain by itself.
    pub fetches_newer: bool,
}

/// A folder that builds or clusters fill.
#[derive(Debug, Clone)]
pub struct Place {
    /// What it holds: `cache`, `target`, or what `go` downloads and compiles.
    pub holds: &'static str,
    /// Where it is.
    pub path: PathBuf,
    /// The file system that it is on.
    pub disk: String,
    /// Megabytes that are free there.
    pub free: u64,
}

/// What an earlier run left.
#[derive(Debug, Clone, Copy, Default)]
pub struct Built {
    /// The harness.
    pub harness: bool,
    /// The operator, the proxy and the sample app.
    pub programs: bool,
    /// Kubernetes, `CoreDNS` and Helm.
    pub components: bool,
}

/// All that stands in the way, each with what to do about it; empty if nothing does.
#[must_use]
pub fn problems(choice: &Choice, facts: &Facts) -> Vec<String> {
    let mut problems = Vec::new();
    match &choice.context {
        None => machine(facts, &mut problems),
        Some(context) => cluster_of_theirs(context, facts, &mut problems),
    }
    if builds_components(choice, facts) {
        problems.extend(without_go(facts));
    }
    problems.extend(facts.taken.iter().map(|(variable, port, why)| {
        format!("port {port} on 127.0.0.1 can not be used ({why}): end what listens there, or choose another with {variable}=<port>")
    }));
    problems.extend(full_disks(choice, facts));
    let needed = memory(choice, facts);
    problems.extend(facts.memory.filter(|there| *there < needed).map(|there| {
        format!(
            "{} of memory are free, and {} are needed: end what uses it, or take a larger machine",
            size(there),
            size(needed)
        )
    }));
    problems
}

/// What a cluster of our own needs of the machine.
fn machine(facts: &Facts, problems: &mut Vec<String>) {
    if !facts.root {
        problems.push(
            "a cluster needs root, for namespaces, mounts and containers: run it as root, for example `sudo -E env PATH=$PATH make demo`; or use a cluster that you have, which needs no root: DEMO_CONTEXT=<context of your kubeconfig> make demo".to_owned(),
        );
    }
    if !facts.apt && !facts.missing_packages.is_empty() {
        problems.push(format!(
            "there is no apt-get to install what is missing: install these Debian packages, or their like: {}",
            facts.missing_packages.join(" ")
        ));
    }
}

fn cluster_of_theirs(context: &str, facts: &Facts, problems: &mut Vec<String>) {
    let known = facts.contexts.as_ref();
    if let Some(known) = known.filter(|known| !known.iter().any(|name| name == context)) {
        let there = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        problems.push(format!(
            "DEMO_CONTEXT={context}: your kubeconfig has no such context; it has: {there}"
        ));
    }
}

/// Whether Go will be needed.
fn builds_components(choice: &Choice, facts: &Facts) -> bool {
    !facts.built.components && (choice.context.is_none() || !facts.own_tools)
}

fn without_go(facts: &Facts) -> Option<String> {
    let found = match facts.go {
        Some(go) if go.minor >= GO || (go.minor >= GO_FETCHES && go.fetches_newer) => return None,
        Some(go) => format!("there is Go 1.{}", go.minor),
        None => "there is no `go` in PATH".to_owned(),
    };
    Some(format!(
        "Go 1.{GO} or newer builds the cluster's components, and {found}: install it, and have its bin folder in PATH"
    ))
}

/// Megabytes that will be written to what `holds` says: measured, and rounded up.
fn grows(holds: &str, choice: &Choice, facts: &Facts) -> u64 {
    let components = builds_components(choice, facts);
    match (holds, &choice.context) {
        ("cache", None) if components => 2500,
        ("cache", None) if facts.up => 100,
        // The state of a cluster that runs.
        ("cache", None) => 1000,
        ("cache", Some(_)) if components => 700,
        ("target", _) => {
            let harness = if facts.built.harness { 0 } else { 500 };
            harness + if facts.built.programs { 100 } else { 1500 }
        }
        ("go", _) if components => 4000,
        _ => 0,
    }
}

fn full_disks(choice: &Choice, facts: &Facts) -> Vec<String> {
    let mut disks: BTreeMap<&str, (u64, u64, Vec<String>)> = BTreeMap::new();
    for place in &facts.places {
        let grows = grows(place.holds, choice, facts);
        if grows > 0 {
            let disk = disks.entry(&place.disk).or_insert((place.free, 0, Vec::new()));
            disk.1 += grows;
            disk.2.push(place.path.display().to_string());
        }
    }
    disks
        .iter()
        .filter(|(_, (free, needed, _))| free < needed)
        .map(|(disk, (free, needed, paths))| {
            format!(
                "{} are free on {disk}, and {} are needed (for {}): make room, or lead them elsewhere with OAUTH2_PROXY_OPERATOR_CACHE, CARGO_TARGET_DIR, GOMODCACHE and GOCACHE",
                size(*free), size(*needed), paths.join(", ")
            )
        })
        .collect()
}

/// Megabytes of memory. Compilers need more than what runs in the end.
fn memory(choice: &Choice, facts: &Facts) -> u64 {
    match (facts.built.programs, &choice.context) {
        _ if builds_components(choice, facts) => 4000,
        (false, _) => 3000,
        (true, None) if !facts.up => 2000,
        (true, _) => 500,
    }
}

fn size(megabytes: u64) -> String {
    format!("{}.{} GB", megabytes / 1000, megabytes % 1000 / 100)
}

/// What the demo will take, told before it begins. The times were measured on two cores, idle and busy.
#[must_use]
pub fn expectation(choice: &Choice, facts: &Facts) -> String {
    let components = builds_components(choice, facts);
    let mut parts = Vec::new();
    let built = [
        (!facts.built.harness, "the harness"),
        (!facts.built.programs, "the operator and the proxy"),
        (components, "Kubernetes, CoreDNS and Helm"),
    ];
    let builds: Vec<&str> =
        built.into_iter().filter(|(wanted, _)| *wanted).map(|(_, what)| what).collect();
    let time = match (components, facts.built.programs) {
        (true, _) => "10 to 45 minutes on two cores, once; a minute from then on",
        (false, false) => "3 to 15 minutes on two cores, once; a minute from then on",
        (false, true) if facts.up => "some seconds: a demo is up, and is brought up to date",
        (false, true) => "about a minute",
    };
    parts.push(format!("This takes {time}."));
    if !builds.is_empty() {
        parts.push(format!("It builds {}.", builds.join("; ")));
    }
    let disk: u64 = facts.places.iter().map(|place| grows(place.holds, choice, facts)).sum();
    if disk > 0 {
        parts.push(format!("It needs {} of disk.", size(disk)));
    }
    if choice.context.is_none() && !facts.missing_packages.is_empty() {
        let list = facts.missing_packages.join(" ");
        parts.push(format!("It installs these Debian packages: {list}."));
    }
    parts.push("Remove it with `make demo-down`, and what was built and downloaded with `make clean-cache`.".to_owned());
    parts.join("\n")
}

/// The problems as a person reads them.
#[must_use]
pub fn refusal(problems: &[String]) -> String {
    let list: Vec<String> = problems.iter().map(|problem| format!("\n  - {problem}")).collect();
    format!("The demo can not start yet. Nothing was changed.{}", list.concat())
}

#[cfg(test)]
mod tests;
