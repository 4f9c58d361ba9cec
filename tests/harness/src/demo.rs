//! The demo: Keycloak, a sample app, the operator, one object and one annotation, in a cluster
//! made for it or in one that the person has.
//!
//! Everything is done as a person would do it, with kubectl and helm and the files in
//! `examples/demo`; nothing here knows what the operator does about it.

mod down;
mod forwards;
mod images;
mod operator;
mod ready;
mod settings;
mod target;
mod wait;

use std::fs;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

pub use self::down::down;
pub(crate) use self::forwards::serve;
use self::settings::{Settings, State};
use self::target::Target;
use crate::build;
use crate::cache::{Cache, repository};
use crate::cluster::{self, Cluster};
use crate::components::{self, Module};
use crate::error::{Doing as _, Result};
use crate::interrupt::Interrupts;
use crate::program::{output, run, run_with_input};
use crate::report::{Report, print};

/// The namespace of the sample app, as the files in `examples/demo` have it.
pub(crate) const NAMESPACE: &str = "oauth2-proxy-demo";
/// The operator's release and its namespace.
pub(crate) const RELEASE: &str = "oauth2-proxy-operator";
pub(crate) const OPERATOR_NAMESPACE: &str = "oauth2-proxy-demo-operator";

/// Brings the demo up, or up to date, and prints where it is.
///
/// # Errors
/// What did not work, with what was seen instead.
pub fn up(
    from: Option<&Path>,
    cache: &Cache,
    report: &Report,
    interrupts: &Interrupts,
) -> Result<()> {
    let state = State::in_cache(cache);
    let settings = ready::settings(from, cache, &state)?;
    // Images of other programs do not take the place of those that `make images` makes.
    let to = from.map_or_else(|| repository().join("target/images"), |from| from.join("images"));
    let programs = programs(from, &to, &settings, cache, report)?;
    let target = target(&settings, cache, report, interrupts)?;
    // Only now, when there is a cluster for the new one: until then the demo that is up goes on as it was.
    forwards::stop(&state)?;
    state.remember(&settings)?;
    images::bring(&target, &programs, cache, report)?;
    report.step("apply Keycloak and the sample app", || {
        keycloak(&target, &settings)?;
        sample_app(&target, &settings)
    })?;
    operator::install(&target, report)?;
    wait::rollout(&target, "keycloak", report)?;
    wait::rollout(&target, "sample-app", report)?;
    report.step("apply the OAuth2Proxy", || {
        apply(&target, &settings, "3-oauth2proxy.yaml").map(drop)
    })?;
    wait::condition(&target, "ConfigRendered", report)?;
    report.step("kubectl annotate deployment sample-app oauth2proxy.dev/inject=main", || {
        let args =
            ["annotate", "--overwrite", "deployment", "sample-app", "oauth2proxy.dev/inject=main"];
        run(target.kubectl().args(["--namespace", NAMESPACE]).args(args)).map(drop)
    })?;
    wait::routed(&target, report)?;
    report.step("apply the entrance", || apply(&target, &settings, "4-entrance.yaml").map(drop))?;
    wait::rollout(&target, "entrance", report)?;
    forwards::start(&state, &target, &settings, report)?;
    tell(&target, &settings, report);
    Ok(())
}

/// The images of the programs. What the cluster consists of is built at the same time: for minutes either compiler has
/// work for one core only.
fn programs(
    from: Option<&Path>,
    to: &Path,
    settings: &Settings,
    cache: &Cache,
    report: &Report,
) -> Result<Vec<PathBuf>> {
    if settings.context.is_some() {
        return build::images(from, to, report);
    }
    thread::scope(|scope| {
        let components = scope.spawn(|| {
            cluster::prepare(cache, report)?;
            components::ensure(Module::Helm3, cache, report)
        });
        let programs = build::images(from, to, report);
        let components = components.join().unwrap_or_else(|panic| resume_unwind(panic));
        programs.and_then(|programs| components.map(|_| programs))
    })
}

fn target(
    settings: &Settings,
    cache: &Cache,
    report: &Report,
    interrupts: &Interrupts,
) -> Result<Target> {
    if let Some(context) = &settings.context {
        return Target::of_context(context, cache, report);
    }
    let cluster = Cluster::named("demo", cache)?;
    cluster::up((&cluster, false), cache, report, interrupts)?;
    Target::of_cluster(cluster, cache, report)
}

/// Keycloak, which reads users and clients once, at its start.
fn keycloak(target: &Target, settings: &Settings) -> Result<()> {
    let said = apply(target, settings, "1-keycloak.yaml")?;
    if said.lines().any(|line| line == "configmap/keycloak-realm configured") {
        let restart = ["rollout", "restart", "deployment", "keycloak", "--namespace", NAMESPACE];
        run(target.kubectl().args(restart))?;
    }
    Ok(())
}

/// The sample app. A Service that is there stays as it is: its file would lead it past the proxy until that is undone.
fn sample_app(target: &Target, settings: &Settings) -> Result<()> {
    let service = ["get", "service", "sample-app", "--namespace", NAMESPACE];
    let there = output(target.kubectl().args(service))?.status.success();
    let all = read(settings, "2-sample-app.yaml")?;
    let documents = all.split("\n---\n");
    let wanted: Vec<_> =
        documents.filter(|text| !(there && text.contains("\nkind: Service\n"))).collect();
    apply_text(target, &wanted.join("\n---\n")).map(drop)
}

/// Applies a file of `examples/demo`, and returns what kubectl says.
fn apply(target: &Target, settings: &Settings, file: &str) -> Result<String> {
    apply_text(target, &read(settings, file)?)
}

/// A file of `examples/demo`, with the chosen ports in place of the usual ones.
fn read(settings: &Settings, file: &str) -> Result<String> {
    let path = repository().join("examples/demo").join(file);
    let text = fs::read_to_string(&path).doing(|| format!("read {}", path.display()))?;
    Ok(settings.with_ports(&text))
}

fn apply_text(target: &Target, text: &str) -> Result<String> {
    run_with_input(target.kubectl().args(["apply", "--filename", "-"]), text)
}

fn tell(target: &Target, settings: &Settings, report: &Report) {
    let (mut lines, kubectl) = target.shown();
    for what in [
        "describe oauth2proxy main",
        "describe deployment sample-app",
        "get services,endpointslices",
    ] {
        lines.push(format!("{kubectl} {what}"));
    }
    print(format_args!(
        "\nThe demo is up after {total} s, all in all.\n\n  \
         http://localhost:{port}\n\n  \
         alice, password wonderland: is in the group staff, and gets in\n  \
         bob, password gatecrasher: is in no group, and is refused (use a private window)\n\n\
         What happened:\n\n  \
         {lines}\n\n\
         Remove it with: make demo-down",
        total = report.elapsed().as_secs(),
        port = settings.port,
        lines = lines.join("\n  "),
    ));
}
