//! Removes the demo: the cluster made for it, or from a person's own cluster what was installed.

use launcher::choice::Choice;

use crate::cache::Cache;
use crate::cluster::{self, Cluster};
use crate::demo::settings::State;
use crate::demo::target::Target;
use crate::demo::{NAMESPACE, OPERATOR_NAMESPACE, RELEASE, forwards};
use crate::error::Result;
use crate::program::run;
use crate::report::Report;

/// Removes the demo; that there is none is no failure.
///
/// # Errors
/// Something could not be removed.
pub fn down(cache: &Cache, report: &Report) -> Result<()> {
    let state = State::in_cache(cache);
    report.step("end the port forwards", || forwards::stop(&state))?;
    let remembered = state.remembered();
    let (choice, _) = Choice::read(|name| std::env::var(name).ok());
    let context = choice.context.or_else(|| remembered.and_then(|demo| demo.context));
    if let Some(context) = context {
        let target = Target::of_context(&context, cache, report)?;
        uninstall(&target, report)?;
    }
    let own = Cluster::named("demo", cache)?;
    if own.state().dir().exists() {
        cluster::down(&own, report)?;
    }
    state.remove()?;
    report.note(
        "what was built and downloaded stays for the next time; `make clean-cache` removes it",
    );
    Ok(())
}

/// In the opposite order: the app before the object that protects it, the object before the
/// operator that finishes its deletion.
fn uninstall(target: &Target, report: &Report) -> Result<()> {
    let foreign = target.has_foreign_operator()?;
    let kubectl = |args: &[&str]| run(target.kubectl().args(args)).map(drop);
    let demo = |kind: &str| {
        kubectl(&[
            "--namespace",
            NAMESPACE,
            "delete",
            kind,
            "--all",
            "--ignore-not-found",
            "--timeout=120s",
        ])
    };
    report.step("remove the sample app and the OAuth2Proxy", || {
        demo("deployments.apps")?;
        let known = run(target.kubectl().args([
            "get",
            "crd",
            "oauth2proxies.oauth2proxy.dev",
            "--ignore-not-found",
            "--output=name",
        ]))?;
        if known.trim().is_empty() {
            return Ok(());
        }
        demo("oauth2proxies.oauth2proxy.dev")
    })?;
    report.step("remove the demo's namespace", || {
        kubectl(&["delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=180s"])
    })?;
    if foreign {
        return Ok(());
    }
    report.step("uninstall the operator", || {
        run(target.helm().args([
            "uninstall",
            RELEASE,
            "--namespace",
            OPERATOR_NAMESPACE,
            "--ignore-not-found",
            "--wait",
        ]))?;
        kubectl(&[
            "delete",
            "namespace",
            OPERATOR_NAMESPACE,
            "--ignore-not-found",
            "--timeout=180s",
        ])
    })
}
