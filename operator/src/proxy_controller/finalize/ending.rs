//! What the end of an object needs to know of it. It is little, so that an object can be deleted that this version can not
//! read: after a step back to an older operator, or where the definition is of another version.

use crate::context::Context;
use crate::failure::Failure;
use crds::{DeletionPolicy, OAuth2Proxy, OAuth2ProxyStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{ApiResource, DynamicObject};
use serde_json::Value;

/// An object, or what is known of it.
pub(super) struct Ending {
    pub(super) metadata: ObjectMeta,
    /// What happens while workloads depend on it.
    pub(super) policy: DeletionPolicy,
    /// The cookie Secret that the object names: it is the user's.
    pub(super) users_own: Option<String>,
    pub(super) status: OAuth2ProxyStatus,
}

impl Ending {
    /// Of an object that can be read.
    pub(super) fn of(object: &OAuth2Proxy) -> Self {
        let own = object.spec.session.cookie.secret_ref.as_ref();
        Self {
            metadata: object.metadata.clone(),
            policy: object.spec.deletion_policy,
            users_own: own.map(|own| own.name.clone()),
            status: object.status.clone().unwrap_or_default(),
        }
    }

    /// Of one that can not, as it is now; none if it is gone.
    pub(super) async fn read(
        metadata: &ObjectMeta,
        context: &Context,
    ) -> Result<Option<Self>, Failure> {
        let namespace = metadata.namespace.clone().unwrap_or_default();
        let name = metadata.name.clone().unwrap_or_default();
        let api: Api<DynamicObject> = Api::namespaced_with(
            context.client.clone(),
            &namespace,
            &ApiResource::erase::<OAuth2Proxy>(&()),
        );
        let live = api.get_opt(&name).await;
        let live = live.map_err(|error| {
            Failure::api(&format!("reading OAuth2Proxy {namespace}/{name}"), &error)
        })?;
        // Another one of the name is another matter, with a turn of its own.
        Ok(live
            .filter(|live| live.metadata.uid == metadata.uid)
            .map(|live| Self::raw(live.metadata, &live.data)))
    }

    fn raw(metadata: ObjectMeta, data: &Value) -> Self {
        let text = |pointer: &str| data.pointer(pointer).and_then(Value::as_str);
        let status = data.get("status").cloned().unwrap_or_default();
        Self {
            metadata,
            // In doubt nothing is taken out of any workload.
            policy: match text("/spec/deletionPolicy") {
                Some("Remove") => DeletionPolicy::Remove,
                _ => DeletionPolicy::Block,
            },
            users_own: text("/spec/session/cookie/secretRef/name").map(str::to_owned),
            status: serde_json::from_value(status).unwrap_or_default(),
        }
    }

    /// Namespace and name.
    pub(super) fn place(&self) -> (&str, &str) {
        let ObjectMeta { namespace, name, .. } = &self.metadata;
        (namespace.as_deref().unwrap_or_default(), name.as_deref().unwrap_or_default())
    }

    pub(super) fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    pub(super) fn finalizers(&self) -> impl Iterator<Item = &str> {
        self.metadata.finalizers.iter().flatten().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_object_that_can_not_be_read_blocks_in_doubt() {
        for (spec, expected) in [
            (json!({"deletionPolicy": "Remove"}), DeletionPolicy::Remove),
            (json!({"deletionPolicy": "Block"}), DeletionPolicy::Block),
            (json!({"deletionPolicy": "Keep"}), DeletionPolicy::Block),
            (json!({"deletionPolicy": 1}), DeletionPolicy::Block),
            (json!({}), DeletionPolicy::Block),
        ] {
            let raw = json!({"spec": spec, "status": {"conditions": 1}});
            assert_eq!(Ending::raw(ObjectMeta::default(), &raw).policy, expected, "{raw}");
        }
    }
}
