//! Labels, owner references and ownership of the objects that we make.

mod covers;

pub(crate) use covers::covers;

use crate::spec::ValidSpec;
use crds::OAuth2Proxy;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource as _;
use kube::api::PatchParams;
use serde_json::{Value, json};

/// Our name as a field manager and as the reporter of events. It must not begin with `kubectl`, whose fields Flux takes back.
pub(crate) const FIELD_MANAGER: &str = "oauth2-proxy-operator";
/// Label and value by which our own objects are found.
pub(crate) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", FIELD_MANAGER);
/// Label with the name of the `OAuth2Proxy` that an object belongs to.
pub(crate) const OBJECT: &str = "oauth2proxy.dev/object";
/// Annotation of our Secrets: the uid of the `OAuth2Proxy` that keeps them now.
pub(crate) const KEPT_FOR: &str = "oauth2proxy.dev/kept-for";
/// Annotation of the Secret with the configuration: the Secret with the keys that the configuration names.
pub(crate) const KEYS_IN: &str = "oauth2proxy.dev/keys-in";
/// Group of our kinds, as it stands in owner references.
const GROUP: &str = "oauth2proxy.dev/";

/// For a patch that is no apply.
pub(crate) fn patch_parameters() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

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

/// Metadata of a Secret that is kept for `spec`'s object. It has no owner: pods mount it, and a collector that follows owners
/// asks no pod. The object's finalizer takes it away.
pub(crate) fn kept(spec: &ValidSpec, name: &str) -> Value {
    json!({
        "name": name,
        "namespace": spec.namespace,
        "labels": labels(&spec.name),
        "annotations": {KEPT_FOR: spec.uid},
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

/// An `OAuth2Proxy`, for events about it.
pub(crate) fn reference(namespace: &str, name: String, uid: Option<String>) -> ObjectReference {
    ObjectReference {
        api_version: Some(OAuth2Proxy::api_version(&()).into_owned()),
        kind: Some(OAuth2Proxy::kind(&()).into_owned()),
        name: Some(name),
        namespace: Some(namespace.to_owned()),
        uid,
        ..ObjectReference::default()
    }
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

/// Whether a live object was made for the object with this uid, and goes with it.
pub(crate) fn is_owned(metadata: &ObjectMeta, uid: &str) -> bool {
    metadata.owner_references.iter().flatten().any(|owner| owner.uid == uid)
}

/// Whether the labels of a live object say that it was made for an object of this name.
pub(crate) fn is_labelled(metadata: &ObjectMeta, object: &str) -> bool {
    let label = |key: &str| metadata.labels.as_ref().and_then(|all| all.get(key));
    label(MANAGED_BY.0).is_some_and(|value| value == MANAGED_BY.1)
        && label(OBJECT).is_some_and(|value| value == object)
}

/// Whose a Secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Kept for this very object.
    Kept,
    /// Made for an object of this name, by an earlier version or for an earlier object: to be taken over.
    Left,
    /// Somebody else's.
    Foreign,
}

impl Standing {
    /// Judges a live Secret by what it says, for the object of this name and uid.
    ///
    /// An object of the name that was there before is no somebody else: two of one name can not be there at once, and what it
    /// left are the keys by which people are logged in.
    pub(crate) fn of(metadata: &ObjectMeta, object: &str, uid: &str) -> Self {
        let owners = || metadata.owner_references.iter().flatten();
        let of_ours = |owner: &OwnerReference| {
            owner.kind == "OAuth2Proxy" && owner.api_version.starts_with(GROUP)
        };
        let labelled = is_labelled(metadata, object);
        if owners().any(|owner| owner.controller == Some(true) && !of_ours(owner))
            || !(labelled || is_owned(metadata, uid))
        {
            return Self::Foreign;
        }
        let kept_for = metadata.annotations.as_ref().and_then(|all| all.get(KEPT_FOR));
        if labelled && kept_for.is_some_and(|kept_for| kept_for == uid) && !owners().any(of_ours) {
            Self::Kept
        } else {
            Self::Left
        }
    }
}

/// The owners of a Secret that stay when it is taken over: all but our own kind, whose end would take it along.
pub(crate) fn other_owners(metadata: &ObjectMeta) -> Vec<&OwnerReference> {
    let owners = metadata.owner_references.iter().flatten();
    owners.filter(|owner| !owner.api_version.starts_with(GROUP)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(value: Value) -> ObjectMeta {
        serde_json::from_value(value).unwrap()
    }

    fn owner(kind: &str, api_version: &str, uid: &str) -> Value {
        json!({"apiVersion": api_version, "kind": kind, "name": "main", "uid": uid, "controller": true})
    }

    #[test]
    fn a_secret_is_known_by_its_labels_and_the_uid_that_it_is_kept_for() {
        let ours = |uid: &str| owner("OAuth2Proxy", "oauth2proxy.dev/v1alpha1", uid);
        let (labels, none) = (labels("main"), json!({}));
        let kept_for = |uid: &str| json!({KEPT_FOR: uid});
        for (labels, annotations, owners, expected) in [
            (&labels, kept_for("u1"), json!([]), Standing::Kept),
            // What an earlier version made, and what an earlier object of the name left.
            (&labels, json!({}), json!([ours("u1")]), Standing::Left),
            (&labels, kept_for("u1"), json!([ours("u1")]), Standing::Left),
            (&labels, kept_for("u0"), json!([]), Standing::Left),
            (&labels, json!({}), json!([ours("u0")]), Standing::Left),
            (&labels, json!({}), json!([]), Standing::Left),
            // Somebody took our labels away.
            (&none, json!({}), json!([ours("u1")]), Standing::Left),
            (&none, json!({}), json!([]), Standing::Foreign),
            (&none, kept_for("u1"), json!([]), Standing::Foreign),
            // A copy that another controller made with our labels on it.
            (
                &labels,
                json!({}),
                json!([owner("SealedSecret", "bitnami.com/v1alpha1", "s")]),
                Standing::Foreign,
            ),
        ] {
            let found =
                json!({"labels": labels, "annotations": annotations, "ownerReferences": owners});
            assert_eq!(Standing::of(&metadata(found.clone()), "main", "u1"), expected, "{found}");
        }
        let of_another =
            metadata(json!({"labels": super::labels("other"), "annotations": {KEPT_FOR: "u2"}}));
        assert_eq!(Standing::of(&of_another, "main", "u1"), Standing::Foreign);
    }
}
