//! Labels, owner references and ownership of the objects that we make.

mod covers;

pub(crate) use covers::covers;

use crate::spec::ValidSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

/// Our name as a field manager and as the reporter of events. It must not begin with `kubectl`, whose fields Flux takes back.
pub(crate) const FIELD_MANAGER: &str = "oauth2-proxy-operator";
/// Label and value by which our own objects are found.
pub(crate) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", FIELD_MANAGER);
/// Label with the name of the `OAuth2Proxy` that an object belongs to.
pub(crate) const OBJECT: &str = "oauth2proxy.dev/object";

/// Labels of everything that is made for an object.
pub(crate) fn labels(name: &str) -> Value {
    json!({
        "app.kubernetes.io/name": "oauth2-proxy",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/component": "proxy",
        MANAGED_BY.0: MANAGED_BY.1,
        OBJECT: name,
    })
}

/// Labels by which the stand-alone pods are selected. They can never change, and hold one of our own prefix: the usual ones
/// are those of any other installation of oauth2-proxy as well.
pub(crate) fn selector(name: &str) -> Value {
    json!({OBJECT: name, "app.kubernetes.io/component": "proxy"})
}

/// Metadata of an object that is made for `spec`'s object and goes with it.
pub(crate) fn metadata(spec: &ValidSpec, name: &str) -> Value {
    json!({
        "name": name,
        "namespace": spec.namespace,
        "labels": labels(&spec.name),
        "ownerReferences": [owner(spec)],
    })
}

fn owner(spec: &ValidSpec) -> Value {
    json!({
        "apiVersion": "oauth2proxy.dev/v1alpha1",
        "kind": "OAuth2Proxy",
        "name": spec.name,
        "uid": spec.uid,
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// Whether an object can have this name (RFC 1123 subdomain): the client puts names into paths as they are.
pub(crate) fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.len() <= 253
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.chars().all(inner)
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

/// Whether a live object was made for the object with this uid.
pub(crate) fn is_owned(metadata: &ObjectMeta, uid: &str) -> bool {
    metadata.owner_references.iter().flatten().any(|owner| owner.uid == uid)
}
