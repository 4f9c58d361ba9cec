//! The two Secrets of an object, configuration and keys, from its first turn to the last act of its end.
//!
//! They have no owner: whoever deletes the object in the foreground would have the collector take them from under running
//! pods, and an orphaning deletion would leave them to nobody. They are known by their labels, and say for which object they
//! are kept.

use super::apply::Error;
use super::build::with_new_key;
use crate::context::Context;
use crate::failure::Failure;
use crate::object::{
    FIELD_MANAGER, KEPT_FOR, Standing, covers, labels, other_owners, patch_parameters,
};
use crate::spec::Finding;
use crate::spec::name;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64_simd::URL_SAFE_NO_PAD;
use crds::Reason;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, ResourceExt as _};
use proxy_config::level;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The Secrets of one object.
pub(super) struct Secrets<'a> {
    api: Api<Secret>,
    object: &'a str,
    uid: &'a str,
}

impl<'a> Secrets<'a> {
    /// Those of the object with this name and uid.
    pub(super) fn of(
        (namespace, object): (&'a str, &'a str),
        uid: &'a str,
        context: &Context,
    ) -> Self {
        Self { api: Api::namespaced(context.client.clone(), namespace), object, uid }
    }

    /// The configuration as wanted, written only if it differs from the live one; as it is then, if it was.
    pub(super) async fn config(
        &self,
        live: Option<&Secret>,
        wanted: &Value,
    ) -> Result<Option<Secret>, Error> {
        let name = name::config_secret(self.object);
        if let Some(live) = live {
            if !self.take_over(live).await? {
                return Err(Error::Collision(collision("Secret", &name, self.object)));
            }
            let value = serde_json::to_value(live).map_err(|error| internal(&error))?;
            if covers(&value, wanted) && stale(live, wanted).is_empty() {
                return Ok(None);
            }
        }
        tracing::info!(kind = "Secret", name, object = self.object, "applying");
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let applied = self.api.patch(&name, &parameters, &Patch::Apply(wanted)).await;
        let mut applied =
            applied.map_err(|error| Failure::api(&format!("applying Secret {name}"), &error))?;
        // What we wrote before goes with the apply, so that no pod ever has the one without the other; this is for the rest.
        let stale = stale(&applied, wanted);
        if !stale.is_empty() {
            let none: BTreeMap<_, _> =
                stale.into_iter().map(|entry| (entry, Value::Null)).collect();
            let patch = Patch::Merge(json!({"data": none}));
            let parameters = patch_parameters();
            let done = self.api.patch(&name, &parameters, &patch).await;
            applied =
                done.map_err(|error| Failure::api(&format!("writing Secret {name}"), &error))?;
        }
        Ok(Some(applied))
    }

    /// The keys that are there. A Secret of the name that somebody else made is used as it is, and never touched.
    pub(super) async fn keys(&self, live: &Secret) -> Result<(), Failure> {
        self.take_over(live).await.map(drop)
    }

    /// The first key. By POST, which can not overwrite: if the Secret was made meanwhile, that one counts and this turn starts
    /// over.
    pub(super) async fn first_key(&self, secret: Value) -> Result<Secret, Failure> {
        let mut bytes = [0_u8; 32];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| Failure::conflict("the system gave no random bytes for a key"))?;
        let secret = with_new_key(secret, &URL_SAFE_NO_PAD.encode_to_string(bytes));
        let secret: Secret = serde_json::from_value(secret).map_err(|error| internal(&error))?;
        let parameters =
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let made = self.api.create(&parameters, &secret).await;
        made.map_err(|error| {
            Failure::api(&format!("creating Secret {}", secret.name_any()), &error)
        })
    }

    /// Makes a Secret that was made for an object of this name this object's; `false` if it is somebody else's. Only metadata
    /// is written: what is in it stays, and with the keys everybody's login.
    async fn take_over(&self, live: &Secret) -> Result<bool, Failure> {
        match Standing::of(&live.metadata, self.object, self.uid) {
            Standing::Foreign => return Ok(false),
            Standing::Kept => return Ok(true),
            Standing::Left => {}
        }
        let name = live.name_any();
        tracing::info!(secret = name, object = self.object, "taking over");
        // With the version, because the list of owners is replaced as a whole. Not by apply: who owns the entry of an owner
        // depends on who wrote it last, and it has to go whoever did.
        let patch = Patch::Merge(json!({"metadata": {
            "resourceVersion": live.metadata.resource_version,
            "labels": labels(self.object),
            "annotations": {KEPT_FOR: self.uid},
            "ownerReferences": other_owners(&live.metadata),
        }}));
        let parameters = patch_parameters();
        let done = self.api.patch_metadata(&name, &parameters, &patch).await;
        done.map_err(|error| Failure::api(&format!("taking over Secret {name}"), &error))?;
        Ok(true)
    }

    /// Takes away what is kept for this object and no other, but for the one that the object names as the user's own.
    pub(super) async fn remove(&self, users_own: Option<&str>) -> Result<(), Failure> {
        for name in [name::config_secret(self.object), name::own_cookie_secret(self.object)] {
            if users_own != Some(name.as_str()) {
                self.delete(&name).await?;
            }
        }
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<(), Failure> {
        let live = self.api.get_metadata_opt(name).await;
        let live = live.map_err(|error| Failure::api(&format!("reading Secret {name}"), &error))?;
        let Some(live) = live else { return Ok(()) };
        let kept_for = live.annotations().get(KEPT_FOR);
        let ours = Standing::of(&live.metadata, self.object, self.uid) != Standing::Foreign
            && kept_for.is_none_or(|kept_for| kept_for == self.uid);
        if !ours || live.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        tracing::info!(secret = name, object = self.object, "deleting");
        // The one that was looked at: the next object of the name may have taken it over meanwhile.
        let this =
            Preconditions { uid: live.uid(), resource_version: live.metadata.resource_version };
        match self.api.delete(name, &DeleteParams::background().preconditions(this)).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(Failure::api(&format!("deleting Secret {name}"), &error)),
            Ok(_) => Ok(()),
        }
    }
}

/// Entries that a proxy would take for a configuration, and that nobody keeps up to date: of a newer operator, for one.
fn stale(live: &Secret, wanted: &Value) -> Vec<String> {
    let names = live.data.iter().flatten().map(|(name, _)| name);
    names
        .filter(|name| level::is_file_name(name) && wanted["data"].get(name.as_str()).is_none())
        .cloned()
        .collect()
}

/// A name that is needed and taken.
pub(super) fn collision(kind: &str, name: &str, object: &str) -> Finding {
    Finding::new(
        Reason::NameCollision,
        "metadata.name",
        format!(
            "{kind} {name:?} exists and does not belong to this object: rename or delete it, or give the object \
             another name than {object:?}"
        ),
    )
}

/// A type of ours that does not fit the API is a mistake in this program; trying again later is all that can be done.
pub(super) fn internal(error: &serde_json::Error) -> Failure {
    Failure::conflict(format!("an object of ours does not fit its type: {error}"))
}
