//! What else is behind a Service.

use super::live::{Kind, Live};
use super::pods::PodFacts;
use super::services::{api, belongs, selector_of};
use crate::failure::Failure;
use crate::inject::{INJECTED, OptIn, Ports, Recorded, opt_in};
use crate::traffic;
use serde_json::Value;

/// The workload that the record of a Service names: of several that share it the one that turned it, while it is there.
///
/// # Errors
/// The API server did not answer.
pub(super) async fn owner(
    live: &Live<'_>,
    service: &Value,
    workload: &Value,
) -> Result<String, Failure> {
    let own = traffic::name_of(workload).to_owned();
    let Some(other) = traffic::turned_for(service).filter(|other| *other != own) else {
        return Ok(own);
    };
    let there = live.get(Kind::Deployment, &other).await;
    let there = there.map_err(api("reading the Deployment that shares a Service"))?;
    Ok(if there.is_some_and(|there| traffic::selects(service, &there)) { other } else { own })
}

/// Another Deployment behind the Service that is not, or will soon not be, protected. Its pods may have sidecars still.
///
/// # Errors
/// The API server did not answer.
pub(super) async fn unprotected(
    live: &Live<'_>,
    service: &Value,
    workload: &Value,
) -> Result<Option<String>, Failure> {
    let deployments = live.list(Kind::Deployment, "").await.map_err(api("listing Deployments"))?;
    let open = |other: &&Value| {
        let recorded =
            other.pointer("/metadata/annotations").and_then(|all| all.get(INJECTED)).is_some();
        traffic::name_of(other) != traffic::name_of(workload)
            && traffic::selects(service, other)
            && !(recorded && opt_in(other).is_ok_and(|opt_in| opt_in != OptIn::No))
    };
    Ok(deployments.iter().find(open).map(|other| traffic::name_of(other).to_owned()))
}

/// Another Deployment behind the Service that relies on the protection: what was turned stays so for its sake. An opt-in or a
/// record that cannot be understood counts; one that asks for what is `going` is on its way out as well.
///
/// # Errors
/// The API server did not answer.
pub(super) async fn relying(
    live: &Live<'_>,
    service: &Value,
    workload: &Value,
    going: Option<&OptIn>,
) -> Result<Option<String>, Failure> {
    let deployments = live.list(Kind::Deployment, "").await.map_err(api("listing Deployments"))?;
    let relies = |other: &&Value| {
        let asks = match opt_in(other) {
            Ok(OptIn::No) => matches!(Recorded::read(other), Recorded::Unreadable(_)),
            Ok(asked) => Some(&asked) != going,
            Err(_) => true,
        };
        asks && traffic::name_of(other) != traffic::name_of(workload)
            && traffic::selects(service, other)
    };
    Ok(deployments.iter().find(relies).map(|other| traffic::name_of(other).to_owned()))
}

/// A pod that came behind a Service after it was turned and has no sidecar: requests to it are refused, and it must not be the
/// operator that opens the Service again for its sake.
///
/// # Errors
/// The API server did not answer.
pub(super) async fn stray(
    live: &Live<'_>,
    service: &Value,
    (workload, ports): (&Value, Ports),
) -> Result<Option<String>, Failure> {
    if !traffic::is_turned(service) || selects_no_other(service, workload) {
        return Ok(None);
    }
    let pods = live.list(Kind::Pod, &selector_of(service)).await.map_err(api("listing pods"))?;
    let others = pods.iter().filter(|pod| !belongs(pod, workload)).filter_map(PodFacts::read);
    let bare = others.filter(|pod| !pod.terminating && !pod.carries(ports)).map(|pod| pod.name);
    Ok(bare.min().map(|pod| {
        format!(
            "Service {:?} leads to the proxy and also selects pod {pod}, which has no sidecar, so requests that reach that pod fail: annotate its workload too, or take it out of the Service's selector",
            traffic::name_of(service)
        )
    }))
}

/// Whether the selector of a Service asks for all that the selector of the workload does.
fn selects_no_other(service: &Value, workload: &Value) -> bool {
    let map = |object: &Value, pointer: &str| {
        object.pointer(pointer).and_then(Value::as_object).cloned().unwrap_or_default()
    };
    let (wide, own) = (map(service, "/spec/selector"), map(workload, "/spec/selector/matchLabels"));
    !own.is_empty() && own.iter().all(|(key, value)| wide.get(key) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_selector_wider_than_the_workloads_reaches_others() {
        let workload = json!({"spec": {"selector": {"matchLabels": {"app": "web", "track": "a"}}}});
        for (selector, no_other) in [
            (json!({"app": "web", "track": "a"}), true),
            (json!({"app": "web", "track": "a", "tier": "front"}), true),
            (json!({"app": "web"}), false),
            (json!({"app": "web", "track": "b"}), false),
        ] {
            let service = json!({"spec": {"selector": selector}});
            assert_eq!(selects_no_other(&service, &workload), no_other, "{service}");
        }
        let expressions = json!({"spec": {"selector": {"matchExpressions": []}}});
        assert!(!selects_no_other(&json!({"spec": {"selector": {"app": "web"}}}), &expressions));
    }
}
