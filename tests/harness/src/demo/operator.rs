//! The operator of the demo, by its chart.

use serde_json::Value;

use crate::cache::repository;
use crate::demo::target::Target;
use crate::demo::{OPERATOR_NAMESPACE, RELEASE, wait};
use crate::error::Result;
use crate::program::{output, run};
use crate::report::Report;

/// Installs the operator, or brings it up to date, unless the cluster has one that is not the demo's.
pub(crate) fn install(target: &Target, report: &Report) -> Result<()> {
    if target.has_foreign_operator()? {
        report.note("this cluster has the operator already: it is used as it is");
        return Ok(());
    }
    if is_current(target)? {
        report.note("the operator is installed as the chart has it");
    } else {
        report.step("helm install the operator", || {
            run(target.helm().args(upgrade()).arg("--create-namespace")).map(drop)
        })?;
    }
    wait::operator(target, report)
}

fn upgrade() -> Vec<String> {
    let chart = repository().join("charts/oauth2-proxy-operator").display().to_string();
    let words = ["upgrade", "--install", RELEASE, &chart, "--namespace", OPERATOR_NAMESPACE];
    words
        .into_iter()
        .chain(["--set", "crds.keep=false,crds.confirmRemoval=true"])
        .map(str::to_owned)
        .collect()
}

/// Whether an upgrade would change nothing: each makes a revision, and Helm keeps few of them to go back to.
fn is_current(target: &Target) -> Result<bool> {
    let there = ["status", RELEASE, "--namespace", OPERATOR_NAMESPACE, "--output=json"];
    let there = output(target.helm().args(there))?;
    if !there.status.success() {
        return Ok(false);
    }
    let said = ["--dry-run=server", "--output=json"];
    let coming = output(target.helm().args(upgrade()).args(said))?;
    Ok(coming.status.success() && same(&there.stdout, &coming.stdout))
}

/// Whether two releases as Helm describes them are deployed and of the same objects and hooks.
fn same(there: &[u8], coming: &[u8]) -> bool {
    let read = |text: &[u8]| serde_json::from_slice::<Value>(text).unwrap_or_default();
    let (there, coming) = (read(there), read(coming));
    let of = |release: &Value, member: &str| release.get(member).cloned().unwrap_or_default();
    let hooks = |release: &Value| -> Vec<Value> {
        let hooks = of(release, "hooks");
        hooks.as_array().into_iter().flatten().map(|hook| of(hook, "manifest")).collect()
    };
    there.pointer("/info/status") == Some(&"deployed".into())
        && of(&there, "manifest").is_string()
        && of(&there, "manifest") == of(&coming, "manifest")
        && hooks(&there) == hooks(&coming)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn release(status: &str, manifest: &str, hook: &str) -> Vec<u8> {
        let hook = json!({"manifest": hook, "last_run": {"phase": status}});
        let release = json!({"info": {"status": status}, "manifest": manifest, "hooks": [hook]});
        release.to_string().into_bytes()
    }

    #[test]
    fn release_is_current_if_it_is_deployed_and_nothing_would_change() {
        let coming = release("pending-upgrade", "a", "h");
        assert!(same(&release("deployed", "a", "h"), &coming));
        assert!(!same(&release("failed", "a", "h"), &coming));
        assert!(!same(&release("deployed", "b", "h"), &coming));
        assert!(!same(&release("deployed", "a", "i"), &coming));
        assert!(!same(b"not json", b"not json"));
        assert!(!same(b"{\"info\":{\"status\":\"deployed\"}}", b"{}"), "no manifest is no proof");
    }
}
