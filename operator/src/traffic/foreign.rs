//! Who, apart from people with kubectl, looks after a Service: a change of ours would be undone or would break their next
//! apply, so under `Auto` their Services are left alone and named.

use crate::object::FIELD_MANAGER;
use serde_json::Value;

/// A manager of a Service, as a person would call it; `None` if only people and we have a hand in its ports.
pub(crate) fn manager(service: &Value) -> Option<String> {
    marked(service).or_else(|| owning(service)).or_else(|| applying(service))
}

fn marked(service: &Value) -> Option<String> {
    let entry = |map: &str, key: &str| {
        service.pointer(map).and_then(|map| map.get(key)).and_then(Value::as_str)
    };
    let annotation = |key: &str| entry("/metadata/annotations", key);
    let label = |key: &str| entry("/metadata/labels", key);
    if let Some(release) = annotation("meta.helm.sh/release-name") {
        return Some(format!("Helm release {release:?}"));
    }
    if let Some(name) = label("helm.toolkit.fluxcd.io/name") {
        return Some(format!("Flux HelmRelease {name:?}"));
    }
    if let Some(name) = label("kustomize.toolkit.fluxcd.io/name") {
        return Some(format!("Flux Kustomization {name:?}"));
    }
    if let Some(id) = annotation("argocd.argoproj.io/tracking-id") {
        let application = id.split(':').next().unwrap_or(id);
        return Some(format!("Argo CD application {application:?}"));
    }
    if let Some(name) = label("argocd.argoproj.io/instance") {
        return Some(format!("Argo CD application {name:?}"));
    }
    match label("app.kubernetes.io/managed-by") {
        // What says that we made it, and is no companion, is a copy.
        None | Some("" | "kubectl" | "kustomize" | FIELD_MANAGER) => None,
        Some(name) => Some(name.to_owned()),
    }
}

fn owning(service: &Value) -> Option<String> {
    let owners = service.pointer("/metadata/ownerReferences")?.as_array()?;
    let owner = owners
        .iter()
        .find(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true))?;
    let text = |field: &str| owner.get(field).and_then(Value::as_str).unwrap_or_default();
    Some(format!("{} {:?}", text("kind"), text("name")))
}

/// Managers seen in managedFields: whoever applies the ports declaratively would meet a conflict with us, and the
/// controllers known by name set them back even if they update.
fn applying(service: &Value) -> Option<String> {
    let entries = service.pointer("/metadata/managedFields")?.as_array()?;
    let known = [
        "helm",
        "argocd-controller",
        "argocd-application-controller",
        "kustomize-controller",
        "helm-controller",
        "flux",
    ];
    entries.iter().find_map(|entry| {
        let name = entry.get("manager").and_then(Value::as_str)?;
        let applies = entry.get("operation").and_then(Value::as_str) == Some("Apply");
        let owns_ports = entry.pointer("/fieldsV1/f:spec/f:ports").is_some();
        let theirs =
            name != FIELD_MANAGER && (applies || known.contains(&name.to_lowercase().as_str()));
        (owns_ports && theirs).then(|| format!("field manager {name:?}"))
    })
}
