//! Makes the cluster hold what is wanted, writing only what differs.
//!
//! The order has reasons: keys before the configuration that names them, both before pods that mount them, pods before the
//! Service that leads to them. Nothing that belongs to someone else is touched.

use super::build::{Standalone, Wanted, with_new_key};
use super::validate::ValidatedProxy;
use crate::context::Context;
use crate::failure::Failure;
use crate::object::FIELD_MANAGER;
use crate::object::{covers, is_owned};
use crate::spec::Finding;
use crate::spec::name;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64_simd::URL_SAFE_NO_PAD;
use crds::Reason;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Secret, Service, ServiceAccount};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Debug;

/// What is now in the cluster.
#[derive(Debug)]
pub(crate) struct Applied {
    /// Hash of the configuration.
    pub(super) config_hash: String,
    /// The entry that seals.
    pub(super) sealing_key: Option<String>,
    /// Changes whenever a Secret that pods mount does, the configuration aside.
    pub(super) mounted: String,
    /// The stand-alone proxy.
    pub(super) standalone: Option<Rollout>,
}

/// How far the stand-alone Deployment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rollout {
    pub(super) wanted: i32,
    pub(super) updated: i32,
    pub(super) available: i32,
    pub(super) observed: bool,
}

/// Why it was not done.
pub(super) enum Error {
    /// An object of the name belongs to someone else.
    Collision(Finding),
    /// The API server refused or did not answer.
    Failed(Failure),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Applies everything and prunes the rest.
pub(super) async fn run(
    proxy: &ValidatedProxy,
    wanted: Wanted,
    context: &Context,
) -> Result<Applied, Error> {
    let Wanted { cookie_secret, config_secret, config_hash, standalone } = wanted;
    let writer = Writer { context, proxy };
    if let Some(secret) = cookie_secret {
        writer.create_cookie_secret(secret).await?;
    }
    writer.ensure::<Secret>(&name::config_secret(&proxy.spec.name), &config_secret).await?;
    let standalone = if let Some(objects) = standalone {
        Some(writer.standalone(&objects).await?)
    } else {
        writer.prune().await?;
        None
    };
    Ok(Applied {
        config_hash,
        sealing_key: proxy.ring.sealing().map(str::to_owned),
        mounted: proxy.found.versions(&proxy.spec),
        standalone,
    })
}

struct Writer<'a> {
    context: &'a Context,
    proxy: &'a ValidatedProxy,
}

impl Writer<'_> {
    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.context.client.clone(), &self.proxy.spec.namespace)
    }

    /// By POST, which can not overwrite: if the Secret was made meanwhile, that one counts and this turn starts over.
    async fn create_cookie_secret(&self, secret: Value) -> Result<(), Error> {
        let mut bytes = [0_u8; 32];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| Failure::conflict("the system gave no random bytes for a key"))?;
        let secret = with_new_key(secret, &URL_SAFE_NO_PAD.encode_to_string(bytes));
        let secret: Secret = serde_json::from_value(secret).map_err(|error| internal(&error))?;
        let parameters =
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        self.api::<Secret>().create(&parameters, &secret).await.map_err(|error| {
            Failure::api(&format!("creating Secret {}", secret.name_any()), &error)
        })?;
        Ok(())
    }

    async fn standalone(&self, objects: &Standalone) -> Result<Rollout, Error> {
        let Standalone { service_account, deployment, service } = objects;
        let name = name::standalone(&self.proxy.spec.name);
        self.ensure::<ServiceAccount>(&name, service_account).await?;
        let live = self.ensure::<Deployment>(&name, deployment).await?;
        self.ensure::<Service>(&name, service).await?;
        let status = live.status.clone().unwrap_or_default();
        Ok(Rollout {
            wanted: live.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1),
            updated: status.updated_replicas.unwrap_or(0),
            available: status.available_replicas.unwrap_or(0),
            observed: status.observed_generation >= live.metadata.generation,
        })
    }

    /// Takes away the stand-alone proxy, if it is ours: address first, so that nobody is led to pods that end.
    async fn prune(&self) -> Result<(), Error> {
        let name = name::standalone(&self.proxy.spec.name);
        self.delete::<Service>(&name).await?;
        self.delete::<Deployment>(&name).await?;
        self.delete::<ServiceAccount>(&name).await
    }

    /// The live object as wanted, written only if it differs.
    async fn ensure<K>(&self, name: &str, wanted: &Value) -> Result<K, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned,
    {
        let (api, kind) = (self.api::<K>(), K::kind(&()).into_owned());
        let live = api
            .get_opt(name)
            .await
            .map_err(|error| Failure::api(&format!("reading {kind} {name}"), &error))?;
        if let Some(live) = live {
            if !is_owned(live.meta(), &self.proxy.spec.uid) {
                return Err(Error::Collision(self.collision(&kind, name)));
            }
            let value = serde_json::to_value(&live).map_err(|error| internal(&error))?;
            if covers(&value, wanted) {
                return Ok(live);
            }
        }
        tracing::info!(kind, name, namespace = self.proxy.spec.namespace, "applying");
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let applied = api.patch(name, &parameters, &Patch::Apply(wanted)).await;
        Ok(applied.map_err(|error| Failure::api(&format!("applying {kind} {name}"), &error))?)
    }

    async fn delete<K>(&self, name: &str) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let (api, kind) = (self.api::<K>(), K::kind(&()).into_owned());
        let live = api
            .get_metadata_opt(name)
            .await
            .map_err(|error| Failure::api(&format!("reading {kind} {name}"), &error))?;
        let Some(live) = live else { return Ok(()) };
        if !is_owned(&live.metadata, &self.proxy.spec.uid)
            || live.metadata.deletion_timestamp.is_some()
        {
            return Ok(());
        }
        tracing::info!(kind, name, namespace = self.proxy.spec.namespace, "deleting");
        // The one that was looked at, and no other of the same name.
        let this = Preconditions { uid: live.uid(), resource_version: None };
        match api.delete(name, &DeleteParams::background().preconditions(this)).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(Failure::api(&format!("deleting {kind} {name}"), &error).into()),
            Ok(_) => Ok(()),
        }
    }

    fn collision(&self, kind: &str, name: &str) -> Finding {
        Finding::new(
            Reason::NameCollision,
            "metadata.name",
            format!(
                "{kind} {name:?} exists and does not belong to this object: rename or delete it, or give the object \
                 another name than {:?}",
                self.proxy.spec.name
            ),
        )
    }
}

/// A type of ours that does not fit the API is a mistake in this program; trying again later is all that can be done.
fn internal(error: &serde_json::Error) -> Failure {
    Failure::conflict(format!("an object of ours does not fit its type: {error}"))
}
