//! Waits for what the demo's objects are to become, and tells a person what stands in the way.

use std::time::Duration;

use serde_json::Value;

use crate::clock::Deadline;
use crate::demo::target::Target;
use crate::demo::{NAMESPACE, OPERATOR_NAMESPACE};
use crate::error::{Error, Result};
use crate::program::{output, run, tail};
use crate::report::Report;

const LIMIT: Duration = Duration::from_mins(10);

/// Which archive of `make images` holds an image, by a part of its name.
const ARCHIVES: [(&str, &str); 3] = [
    ("/oauth2-proxy-operator:", "target/images/oauth2-proxy-operator.tar"),
    ("/oauth2-proxy:", "target/images/oauth2-proxy.tar"),
    ("/sample-app:", "target/images/sample-app.tar"),
];

/// Waits until a Deployment of the demo runs as it is described.
pub(crate) fn rollout(target: &Target, deployment: &str, report: &Report) -> Result<()> {
    rollout_in(target, NAMESPACE, deployment, report)
}

/// Waits for the operator.
pub(crate) fn operator(target: &Target, report: &Report) -> Result<()> {
    rollout_in(target, OPERATOR_NAMESPACE, "oauth2-proxy-operator", report)
}

fn rollout_in(target: &Target, namespace: &str, deployment: &str, report: &Report) -> Result<()> {
    report.step(&format!("{deployment} runs"), || {
        until(target, namespace, &format!("{deployment} to run"), || {
            let args = ["rollout", "status", "--watch=false", "deployment", deployment];
            let said = run(target.kubectl().args(["--namespace", namespace]).args(args))?;
            Ok(if said.contains("successfully rolled out") { Ok(()) } else { Err(said) })
        })
    })
}

/// Waits for a condition of the `OAuth2Proxy` to be true.
pub(crate) fn condition(target: &Target, kind: &str, report: &Report) -> Result<()> {
    report.step(&format!("OAuth2Proxy main is {kind}"), || {
        until(target, NAMESPACE, &format!("the condition {kind} of the OAuth2Proxy main"), || {
            let args = ["--namespace", NAMESPACE, "get", "oauth2proxy", "main", "--output=json"];
            let object = run(target.kubectl().args(args))?;
            Ok(condition_of(&serde_json::from_str(&object).unwrap_or_default(), kind))
        })
    })
}

/// Waits until requests to the annotated app go through the proxy. What the app's own Deployment says counts: in the moments
/// after the annotation the object's conditions still tell of the time before.
pub(crate) fn routed(target: &Target, report: &Report) -> Result<()> {
    report.step(
        r"kubectl wait deployment/sample-app --for=jsonpath='{.metadata.annotations.oauth2proxy\.dev/status}'=Routed",
        || {
            until(target, NAMESPACE, "the requests to sample-app to go through the proxy", || {
                let args =
                    ["--namespace", NAMESPACE, "get", "deployment", "sample-app", "--output=json"];
                let deployment = run(target.kubectl().args(args))?;
                Ok(routed_of(&serde_json::from_str(&deployment).unwrap_or_default()))
            })
        },
    )?;
    rollout(target, "sample-app", report)?;
    condition(target, "Ready", report)
}

/// `Ok` if all requests to the workload go through the proxy, else how far it is.
fn routed_of(workload: &Value) -> Result<(), String> {
    match workload.pointer("/metadata/annotations/oauth2proxy.dev~1status").and_then(Value::as_str)
    {
        Some("Routed") => Ok(()),
        Some(stage) => Err(format!("it is {stage:?}")),
        None => Err("the operator has not come to it yet".to_owned()),
    }
}

/// `Ok` if the condition is true for the present generation, else what is known of it.
fn condition_of(object: &Value, kind: &str) -> Result<(), String> {
    let generation = object.pointer("/metadata/generation");
    let list = object.pointer("/status/conditions").and_then(Value::as_array);
    let found = list.and_then(|list| list.iter().find(|c| c.get("type") == Some(&kind.into())));
    let Some(found) = found else {
        return Err("it is not there yet".to_owned());
    };
    if found.get("status") == Some(&"True".into()) && found.get("observedGeneration") == generation
    {
        return Ok(());
    }
    Err(found.to_string())
}

fn until(
    target: &Target,
    namespace: &str,
    what: &str,
    mut check: impl FnMut() -> Result<Result<(), String>>,
) -> Result<()> {
    let deadline = Deadline::after(LIMIT);
    loop {
        let seen = match check() {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(seen)) => seen,
            Err(error) => error.to_string(),
        };
        if let Some(image) = image_not_pulled(target, namespace) {
            return Err(Error::Need(cannot_pull(&image, target)));
        }
        if deadline.passed() {
            return Err(Error::Late {
                what: what.to_owned(),
                limit: LIMIT,
                seen: seen.trim().to_owned(),
                log: situation(target, namespace),
            });
        }
        std::thread::sleep(Duration::from_millis(250));
    }
}

/// The image of a container whose node cannot get it.
fn image_not_pulled(target: &Target, namespace: &str) -> Option<String> {
    let args = ["--namespace", namespace, "get", "pods", "--output=json"];
    let pods: Value = serde_json::from_str(&run(target.kubectl().args(args)).ok()?).ok()?;
    let pods = pods.get("items")?.as_array()?;
    pods.iter().find_map(|pod| {
        ["/status/initContainerStatuses", "/status/containerStatuses"]
            .iter()
            .filter_map(|place| pod.pointer(place)?.as_array())
            .flatten()
            .find(|status| {
                let reason = status.pointer("/state/waiting/reason").and_then(Value::as_str);
                matches!(reason, Some("ImagePullBackOff" | "ErrImageNeverPull"))
            })
            .and_then(|status| Some(status.get("image")?.as_str()?.to_owned()))
    })
}

fn cannot_pull(image: &str, target: &Target) -> String {
    let archive = ARCHIVES.iter().find(|(part, _)| image.contains(part));
    let Some((_, archive)) = archive else {
        return format!("the cluster's nodes cannot pull {image}: give them a way to it");
    };
    let context = match target {
        Target::Cluster { .. } => "",
        Target::Context { .. } => {
            " (`ctr -n k8s.io images import`, `kind load image-archive`, `minikube image load`, or push it to a registry that they trust)"
        }
    };
    format!(
        "the cluster's nodes cannot pull {image}: load {archive} onto them{context}, then run `make demo` again"
    )
}

/// Pods and last events, for an error message.
fn situation(target: &Target, namespace: &str) -> String {
    let show = |args: &[&str]| {
        output(target.kubectl().args(["--namespace", namespace]).args(args))
            .map(|output| tail(&String::from_utf8_lossy(&output.stdout), 15))
            .unwrap_or_default()
    };
    format!(
        "\n  pods in {namespace}:\n{}\n  last events:\n{}",
        show(&["get", "pods", "--output=wide"]),
        show(&["get", "events", "--sort-by=.lastTimestamp"])
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(status: &str, observed: u64) -> Value {
        json!({
            "metadata": {"generation": 2},
            "status": {"conditions": [{"type": "Ready", "status": status, "observedGeneration": observed}]},
        })
    }

    #[test]
    fn condition_counts_only_for_the_present_generation() {
        assert_eq!(condition_of(&object("True", 2), "Ready"), Ok(()));
        assert!(condition_of(&object("True", 1), "Ready").is_err());
        assert!(condition_of(&object("False", 2), "Ready").is_err());
        assert!(condition_of(&object("True", 2), "TrafficRouted").is_err());
    }

    #[test]
    fn workload_is_routed_only_when_it_says_so() {
        let workload =
            |stage: &str| json!({"metadata": {"annotations": {"oauth2proxy.dev/status": stage}}});
        assert_eq!(routed_of(&workload("Routed")), Ok(()));
        assert!(routed_of(&workload("Injecting")).is_err());
        assert!(routed_of(&json!({"metadata": {}})).is_err());
    }

    #[test]
    fn own_images_are_told_apart() {
        let target = Target::Context {
            context: "x".to_owned(),
            tools: crate::demo::target::Tools::default(),
        };
        let told = |image: &str| cannot_pull(image, &target);
        assert!(
            told("ghcr.io/oauth2proxy/oauth2-proxy:0.1.0")
                .contains("load target/images/oauth2-proxy.tar")
        );
        assert!(
            told("ghcr.io/oauth2proxy/oauth2-proxy-operator:0.1.0")
                .contains("oauth2-proxy-operator.tar")
        );
        assert!(
            told("quay.io/keycloak/keycloak:1").contains("cannot pull quay.io/keycloak/keycloak:1")
        );
    }
}
