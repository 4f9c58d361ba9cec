//! From what a workload asks for to the object it means: live reads only, since what is concluded from "is not there" or
//! "is being deleted" can take a protection away.

use crate::context::Context;
use crate::failure::Failure;
use crate::inject::{INJECT, OptIn, Refusal};
use crate::object;
use crate::report::Guarded;
use crate::spec::{ValidSpec, config_is_rendered, validate_spec};
use crds::{DeletionPolicy, OAuth2Proxy, Reason, Traffic};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};

/// What became of an opt-in.
pub(super) enum Resolved {
    /// A usable object.
    Usable {
        /// Its specification.
        spec: Box<ValidSpec>,
        /// The hash of the configuration that pods should have in force.
        config_hash: Option<String>,
    },
    /// The object is being deleted and its sidecars go with it.
    Leaving,
    /// It cannot be used now.
    Unusable {
        /// The object that is meant.
        meant: Meant,
        /// Why not, and what to do.
        refusal: Refusal,
    },
}

/// An object that cannot be used, as far as it is known. What is there is still looked after by what it said before.
#[derive(Clone, Debug, Default)]
pub(super) struct Meant {
    /// Its name, if it can be told.
    pub(super) name: Option<String>,
    /// Its uid, if it exists.
    pub(super) uid: Option<String>,
    /// What it wants of Services.
    pub(super) traffic: Option<Traffic>,
    /// The last good configuration.
    pub(super) config_hash: Option<String>,
    /// Its own controller has not got to its latest change yet: to be asked again in a moment.
    pub(super) late: bool,
}

impl Resolved {
    /// The object, for events.
    pub(super) fn reference(&self, namespace: &str) -> Option<ObjectReference> {
        let (name, uid) = match self {
            Self::Usable { spec, .. } => (spec.name.clone(), Some(spec.uid.clone())),
            Self::Unusable { meant, .. } => (meant.name.clone()?, meant.uid.clone()),
            Self::Leaving => return None,
        };
        Some(object::reference(namespace, name, uid))
    }
}

/// Finds the object.
///
/// # Errors
/// The API server did not answer: nothing may be concluded.
pub(super) async fn resolve(
    opt_in: &OptIn,
    namespace: &str,
    context: &Context,
) -> Result<Resolved, Failure> {
    let api: Api<Guarded> = Api::namespaced(context.client.clone(), namespace);
    let object = match opt_in {
        OptIn::No => return Ok(Resolved::Leaving),
        OptIn::Named(name) => {
            let doing = || format!("reading OAuth2Proxy {namespace}/{name}");
            match api.get_opt(name).await.map_err(|error| Failure::api(&doing(), &error))? {
                Some(object) => object,
                None => return Ok(missing(namespace, name)),
            }
        }
        OptIn::Only => {
            let doing = || format!("listing OAuth2Proxy objects of {namespace}");
            let list = api
                .list(&ListParams::default())
                .await
                .map_err(|error| Failure::api(&doing(), &error))?;
            match only(list.items, namespace) {
                Ok(object) => object,
                Err(refusal) => return Ok(Resolved::Unusable { meant: Meant::default(), refusal }),
            }
        }
    };
    Ok(judge(&object))
}

fn missing(namespace: &str, name: &str) -> Resolved {
    let message = format!(
        "there is no OAuth2Proxy {name:?} in namespace {namespace}: create it, or correct {INJECT}; a sidecar that is there stays"
    );
    Resolved::Unusable {
        meant: Meant { name: Some(name.to_owned()), ..Meant::default() },
        refusal: Refusal::new(Reason::ObjectNotReady, message),
    }
}

fn only(mut objects: Vec<Guarded>, namespace: &str) -> Result<Guarded, Refusal> {
    let mut names: Vec<String> = objects.iter().map(Guarded::name_any).collect();
    names.sort();
    match (objects.pop(), names.as_slice()) {
        (Some(object), [_]) => Ok(object),
        (None, _) => Err(Refusal::new(
            Reason::ObjectNotReady,
            format!(
                "{INJECT} is \"true\" and namespace {namespace} has no OAuth2Proxy: create one"
            ),
        )),
        _ => Err(Refusal::new(
            Reason::InvalidAnnotation,
            format!(
                "{INJECT} is \"true\" and namespace {namespace} has several OAuth2Proxy objects ({}): name one of them instead",
                names.join(", ")
            ),
        )),
    }
}

fn meant(object: &Guarded) -> Meant {
    let known = object.0.as_ref().ok();
    let status = known.and_then(|object| object.status.as_ref());
    Meant {
        name: Some(object.name_any()),
        uid: object.uid(),
        traffic: known.map(|object| object.spec.sidecar.traffic),
        config_hash: status.and_then(|status| status.config_hash.clone()),
        late: known.is_some_and(|known| {
            status.and_then(|status| status.observed_generation) != known.metadata.generation
        }),
    }
}

fn judge(object: &Guarded) -> Resolved {
    let name = object.name_any();
    let meant = meant(object);
    let unusable = |reason, message: String| Resolved::Unusable {
        meant: meant.clone(),
        refusal: Refusal::new(reason, message),
    };
    let not_ready = |reason, why: &str| {
        // It may be a whole sentence.
        let why = why.trim_end_matches('.');
        let message = format!(
            "OAuth2Proxy {name:?} is not ready: {why}; nothing new is injected, a sidecar that is there stays"
        );
        unusable(reason, message)
    };
    let object: &OAuth2Proxy = match &object.0 {
        Ok(object) => object,
        Err(error) => return not_ready(Reason::ObjectNotReady, &error.to_string()),
    };
    if object.metadata.deletion_timestamp.is_some() {
        return match object.spec.deletion_policy {
            DeletionPolicy::Remove => Resolved::Leaving,
            DeletionPolicy::Block => unusable(
                Reason::Deleting,
                format!(
                    "OAuth2Proxy {name:?} is being deleted and waits for this workload: remove {INJECT} here, or name another object"
                ),
            ),
        };
    }
    if let Err((reason, why)) = config_is_rendered(object) {
        return not_ready(reason, &why);
    }
    match validate_spec(object) {
        Ok(spec) => Resolved::Usable { spec: Box::new(spec), config_hash: meant.config_hash },
        Err(_) => not_ready(Reason::ObjectNotReady, "see its condition ConfigRendered"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_sentence_that_is_quoted_brings_no_full_stop_into_another() {
        let condition = json!({
            "type": "ConfigRendered", "status": "False", "reason": "SecretNotFound",
            "message": "Secret \"oidc\" has no key \"client-secret\".",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
        });
        let object = json!({
            "apiVersion": "oauth2proxy.dev/v1alpha1", "kind": "OAuth2Proxy",
            "metadata": {"name": "main", "namespace": "shop", "generation": 1},
            "spec": {"provider": {
                "issuerURL": "https://id.example.com", "clientID": "shop",
                "clientSecretRef": {"name": "oidc", "key": "client-secret"},
            }, "access": {"emailDomains": ["example.com"]}},
            "status": {"observedGeneration": 1, "conditions": [condition]},
        });
        let object: Guarded = serde_json::from_value(object).unwrap();
        let Resolved::Unusable { refusal, .. } = judge(&object) else {
            panic!("an object that is not ready is unusable");
        };
        let text = &refusal.message;
        assert!(text.contains("\"client-secret\"; nothing new is injected"), "{text}");
    }
}
