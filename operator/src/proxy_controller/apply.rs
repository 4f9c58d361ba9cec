//! Makes the cluster hold what is wanted, writing only what differs.
//!
//! The order has reasons: keys before the configuration that names them, both before pods that mount them, pods before the
//! Service that leads to them. Nothing that belongs to someone else is touched.

use super::build::{Standalone, Wanted};
use super::dereference::secret_version;
use super::secrets::{Secrets, collision, internal};
use super::validate::ValidatedProxy;
use super::watches::Made;
use crate::context::Context;
use crate::failure::Failure;
use crate::object::FIELD_MANAGER;
use crate::object::{covers, is_labelled, is_owned};
use crate::seen::{Kind, Reference};
use crate::spec::name;
use crate::spec::{Finding, ValidSpec};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Secret, Service, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Debug;

/// What is now in the cluster: the configuration is.
#[derive(Debug)]
pub(crate) struct Applied {
    /// Hash of the configuration.
    pub(super) config_hash: String,
    /// Hashes of what is there beside it, for pods that can not take it up.
    pub(super) earlier_hashes: BTreeSet<String>,
    /// Whether the newest key seals.
    pub(super) ring_is_settled: bool,
    /// The entry that seals.
    pub(super) sealing_key: Option<String>,
    /// Changes whenever a Secret that pods mount does, the configuration aside.
    pub(super) mounted: String,
    /// The stand-alone proxy, if there is to be one, or why it is not as it should be. The configuration is in force without it.
    pub(super) standalone: Result<Option<Rollout>, Error>,
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
#[derive(Debug)]
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
///
/// # Errors
/// The Secrets could not be written. What comes after them fails inside of [`Applied`].
pub(super) async fn run(
    proxy: &ValidatedProxy,
    wanted: Wanted,
    made: &Made,
    context: &Context,
) -> Result<Applied, Error> {
    let (mut applied, standalone) = secrets(proxy, wanted, true, context).await?;
    let writer = Writer::of((&proxy.spec.namespace, &proxy.spec.name), &proxy.spec.uid, context);
    applied.standalone = match standalone {
        Some(objects) => writer.standalone(&objects).await.map(Some),
        None if made.may_hold(&proxy.spec.namespace, &name::standalone(&proxy.spec.name)) => {
            writer.prune().await.map(|()| None).map_err(Error::Failed)
        }
        None => Ok(None),
    };
    Ok(applied)
}

/// Keeps the Secrets as they should be while the object waits for its end: no first key is made any more.
pub(super) async fn keep(
    proxy: &ValidatedProxy,
    wanted: Wanted,
    context: &Context,
) -> Result<Applied, Error> {
    secrets(proxy, wanted, false, context).await.map(|(applied, _)| applied)
}

async fn secrets(
    proxy: &ValidatedProxy,
    wanted: Wanted,
    first_key: bool,
    context: &Context,
) -> Result<(Applied, Option<Standalone>), Error> {
    let Wanted { cookie_secret, config_secret, config_hash, earlier_hashes, standalone } = wanted;
    let ValidatedProxy { spec, ring, found, report: _ } = proxy;
    let secrets = Secrets::of((&spec.namespace, &spec.name), &spec.uid, context);
    match cookie_secret {
        Some(secret) if first_key => note(&secrets.first_key(secret).await?, spec, context),
        Some(_) => {}
        // One that the specification names is the user's.
        None if spec.spec.session.cookie.secret_ref.is_some() => {}
        None => {
            if let Some(live) = found.secret(&name::own_cookie_secret(&spec.name)) {
                secrets.keys(live).await?;
            }
        }
    }
    let live = found.secret(&name::config_secret(&spec.name));
    if let Some(written) = secrets.config(live, &config_secret).await? {
        note(&written, spec, context);
        context.reports.written(&ObjectRef::new(&spec.name).within(&spec.namespace));
    }
    let applied = Applied {
        config_hash,
        earlier_hashes,
        ring_is_settled: ring.is_settled(),
        sealing_key: ring.sealing().map(str::to_owned),
        mounted: found.mounted(),
        standalone: Ok(None),
    };
    Ok((applied, standalone))
}

/// What a turn wrote itself is no reason for another one.
fn note(written: &Secret, spec: &ValidSpec, context: &Context) {
    let object = ObjectRef::new(&spec.name).within(&spec.namespace);
    let (namespace, name) = (spec.namespace.clone(), written.name_any());
    let reference = Reference { kind: Kind::Secret, namespace, name };
    context.seen.note(&object, reference, Some(secret_version(written, &context.seen)));
}

/// Writes and takes away the objects of the stand-alone proxy.
pub(super) struct Writer<'a> {
    context: &'a Context,
    namespace: &'a str,
    object: &'a str,
    uid: &'a str,
}

impl<'a> Writer<'a> {
    /// For the object with this name and uid.
    pub(super) fn of(
        (namespace, object): (&'a str, &'a str),
        uid: &'a str,
        context: &'a Context,
    ) -> Self {
        Self { context, namespace, object, uid }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.context.client.clone(), self.namespace)
    }

    async fn standalone(&self, objects: &Standalone) -> Result<Rollout, Error> {
        let Standalone { service_account, deployment, service } = objects;
        let name = name::standalone(self.object);
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
    pub(super) async fn prune(&self) -> Result<(), Failure> {
        let name = name::standalone(self.object);
        self.delete::<Service>(&name).await?;
        self.delete::<Deployment>(&name).await?;
        self.delete::<ServiceAccount>(&name).await
    }

    /// Whether an object may be written: it was made for this one, or is left of an earlier object of the name whose deletion
    /// was told to leave it behind.
    fn is_ours(&self, live: &ObjectMeta) -> bool {
        let left = live.owner_references.as_ref().is_none_or(Vec::is_empty);
        is_owned(live, self.uid) || (left && is_labelled(live, self.object))
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
            if !self.is_ours(live.meta()) {
                return Err(Error::Collision(collision(&kind, name, self.object)));
            }
            let value = serde_json::to_value(&live).map_err(|error| internal(&error))?;
            if covers(&value, wanted) {
                return Ok(live);
            }
        }
        tracing::info!(kind, name, namespace = self.namespace, "applying");
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let applied = api.patch(name, &parameters, &Patch::Apply(wanted)).await;
        Ok(applied.map_err(|error| Failure::api(&format!("applying {kind} {name}"), &error))?)
    }

    async fn delete<K>(&self, name: &str) -> Result<(), Failure>
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
        if !is_owned(&live.metadata, self.uid) || live.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        tracing::info!(kind, name, namespace = self.namespace, "deleting");
        // The one that was looked at, and no other of the same name.
        let this = Preconditions { uid: live.uid(), resource_version: None };
        match api.delete(name, &DeleteParams::background().preconditions(this)).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(Failure::api(&format!("deleting {kind} {name}"), &error)),
            Ok(_) => Ok(()),
        }
    }
}
