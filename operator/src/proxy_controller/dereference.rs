//! Fetches what the specification points at, and our own Secrets, each by its name. Nothing is listed, nothing is written.

use super::ring;
use crate::context::Context;
use crate::failure::Failure;
use crate::seen::{Kind, Reference, Seen, Version};
use crate::spec::Finding;
use crate::spec::ValidSpec;
use crate::spec::name;
use crds::{ConfigMapKeyRef, OAuth2ProxySpec, Reason, SecretKeyRef, Store};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt};
use proxy_config::Config;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What was found. Values of Secrets are in here: it is never printed and does not outlive the reconcile.
#[derive(Default)]
pub(crate) struct Found {
    /// By name; absent: it does not exist.
    secrets: BTreeMap<String, Option<Secret>>,
    config_maps: BTreeMap<String, Option<ConfigMap>>,
    /// By kind and name, what pods mount and we do not write: digests of the contents.
    digests: Vec<(Kind, String, Option<String>)>,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found").field("secrets", &self.secrets.keys()).finish_non_exhaustive()
    }
}

/// Fetches everything.
///
/// # Errors
/// The API server did not answer. What does not exist is no error here.
pub(super) async fn run(spec: &ValidSpec, context: &Context) -> Result<Found, Failure> {
    let secrets_api: Api<Secret> = Api::namespaced(context.client.clone(), &spec.namespace);
    let maps_api: Api<ConfigMap> = Api::namespaced(context.client.clone(), &spec.namespace);
    let mut found = Found::default();
    let object = ObjectRef::new(&spec.name).within(&spec.namespace);
    let own = name::config_secret(&spec.name);
    let note = |kind, name: &str, version: Option<Version>, digests: &mut Vec<_>| {
        if kind != Kind::Secret || name != own {
            let digest = version.as_ref().map(|version| version.digest.clone());
            digests.push((kind, name.to_owned(), digest));
        }
        let reference =
            Reference { kind, namespace: spec.namespace.clone(), name: name.to_owned() };
        context.seen.note(&object, reference, version);
    };
    for name in secret_names(&spec.name, &spec.spec) {
        let secret = secrets_api
            .get_opt(&name)
            .await
            .map_err(|error| Failure::api(&format!("reading Secret {name}"), &error))?;
        let version = secret.as_ref().map(|secret| secret_version(secret, &context.seen));
        note(Kind::Secret, &name, version, &mut found.digests);
        found.secrets.insert(name, secret);
    }
    if let Some(map) = emails_map(&spec.spec) {
        let live = maps_api
            .get_opt(&map.name)
            .await
            .map_err(|error| Failure::api(&format!("reading ConfigMap {}", map.name), &error))?;
        let version = live.as_ref().map(|map| map_version(map, &context.seen));
        note(Kind::ConfigMap, &map.name, version, &mut found.digests);
        found.config_maps.insert(map.name.clone(), live);
    }
    Ok(found)
}

/// What is seen of a live Secret.
pub(super) fn secret_version(secret: &Secret, seen: &Seen) -> Version {
    let entries = secret.data.iter().flatten();
    let digest = seen.digest(entries.map(|(key, value)| (key.as_str(), value.0.as_slice())));
    Version { resource: secret.resource_version(), digest }
}

/// What is seen of a live config map.
pub(super) fn map_version(map: &ConfigMap, seen: &Seen) -> Version {
    let texts = map.data.iter().flatten();
    let texts = texts.map(|(key, value)| (key.as_str(), value.as_bytes()));
    let binary = map.binary_data.iter().flatten();
    let binary = binary.map(|(key, value)| (key.as_str(), value.0.as_slice()));
    Version { resource: map.resource_version(), digest: seen.digest(texts.chain(binary)) }
}

/// Names of all Secrets that the object has to do with, our own among them.
pub(super) fn secret_names(object: &str, spec: &OAuth2ProxySpec) -> BTreeSet<String> {
    let mut names: BTreeSet<_> =
        references(spec).into_iter().map(|(_, secret)| secret.name.clone()).collect();
    names.insert(name::cookie_secret(object, spec));
    names.insert(name::config_secret(object));
    names
}

/// The `ConfigMap` with e-mail addresses.
pub(super) fn emails_map(spec: &OAuth2ProxySpec) -> Option<&ConfigMapKeyRef> {
    spec.access.emails_from.as_ref().and_then(|from| from.config_map_key_ref.as_ref())
}

/// Every entry of a Secret that the object names, with the field that names it.
fn references(spec: &OAuth2ProxySpec) -> Vec<(&'static str, &SecretKeyRef)> {
    let provider = &spec.provider;
    let session = &spec.session;
    let redis = session.redis.as_ref().filter(|_| session.store == Store::Redis);
    let emails = spec.access.emails_from.as_ref().and_then(|from| from.secret_key_ref.as_ref());
    [
        ("spec.provider.clientSecretRef", provider.client_secret_ref.as_ref()),
        ("spec.provider.previousClientSecretRef", provider.previous_client_secret_ref.as_ref()),
        ("spec.provider.caSecretRef", provider.ca_secret_ref.as_ref()),
        ("spec.access.emailsFrom.secretKeyRef", emails),
        ("spec.session.redis.urlSecretRef", redis.map(|redis| &redis.url_secret_ref)),
        ("spec.session.redis.caSecretRef", redis.and_then(|redis| redis.ca_secret_ref.as_ref())),
    ]
    .into_iter()
    .filter_map(|(field, reference)| reference.map(|reference| (field, reference)))
    .collect()
}

impl Found {
    /// What tests say was found.
    #[cfg(test)]
    pub(super) fn of(secrets: Vec<(String, Option<Secret>)>) -> Self {
        Self { secrets: secrets.into_iter().collect(), ..Self::default() }
    }

    /// A Secret, if it exists.
    pub(super) fn secret(&self, name: &str) -> Option<&Secret> {
        self.secrets.get(name).and_then(Option::as_ref)
    }

    /// The entries of a Secret.
    pub(super) fn entries(&self, name: &str) -> Vec<(&str, &[u8])> {
        let data = self.secret(name).and_then(|secret| secret.data.as_ref());
        data.into_iter().flatten().map(|(key, value)| (key.as_str(), value.0.as_slice())).collect()
    }

    /// The configurations that are stored, by the names of their entries. What can not be read or is wrong serves nobody, so it
    /// counts for nothing.
    pub(super) fn configurations(&self, spec: &ValidSpec) -> BTreeMap<String, Config> {
        let entries = self.entries(&name::config_secret(&spec.name)).into_iter();
        let read = entries.filter_map(|(name, bytes)| Some((name, Config::parse(bytes).ok()?)));
        let good = read.filter(|(_, config)| config.problems().is_ok());
        good.map(|(name, config)| (name.to_owned(), config)).collect()
    }

    /// A text that changes whenever one of the Secrets or the config map does that pods mount and we do not write. It
    /// holds digests that mean something to this process alone.
    pub(super) fn mounted(&self) -> String {
        let text = |(kind, name, digest): &(Kind, String, Option<String>)| {
            format!("{kind:?} {name}={}", digest.as_deref().unwrap_or_default())
        };
        self.digests.iter().map(text).collect::<Vec<_>>().join(",")
    }

    /// Whatever is missing or can not be right.
    pub(super) fn problems(&self, spec: &ValidSpec) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (field, reference) in references(&spec.spec) {
            findings.extend(self.problem(field, reference));
        }
        if let Some(map) = emails_map(&spec.spec) {
            findings.extend(self.map_problem(map));
        }
        if spec.spec.session.cookie.secret_ref.is_some()
            && self.secret(&name::cookie_secret(&spec.name, &spec.spec)).is_none()
        {
            findings.push(Finding::new(
                Reason::ReferenceMissing,
                "spec.session.cookie.secretRef",
                format!(
                    "Secret {:?} does not exist: create it with an entry {}1, or remove the field to have keys made",
                    name::cookie_secret(&spec.name, &spec.spec),
                    ring::PREFIX
                ),
            ));
        }
        findings
    }

    fn problem(
        &self,
        field: &'static str,
        SecretKeyRef { name, key }: &SecretKeyRef,
    ) -> Option<Finding> {
        let Some(secret) = self.secret(name) else {
            let message =
                format!("Secret {name:?} does not exist: create it with an entry {key:?}");
            return Some(Finding::new(Reason::ReferenceMissing, field, message));
        };
        let Some(value) = secret.data.as_ref().and_then(|data| data.get(key)) else {
            let there: Vec<_> = secret.data.iter().flatten().map(|(key, _)| key.as_str()).collect();
            let message = format!(
                "Secret {name:?} has no entry {key:?}, only [{}]: add it or correct the key",
                there.join(", ")
            );
            return Some(Finding::new(Reason::ReferenceInvalid, field, message));
        };
        let wrong = wrong_content(field, &value.0)?;
        Some(Finding::new(
            Reason::ReferenceInvalid,
            field,
            format!("entry {key:?} of Secret {name:?} {wrong}"),
        ))
    }

    fn map_problem(&self, ConfigMapKeyRef { name, key }: &ConfigMapKeyRef) -> Option<Finding> {
        let field = "spec.access.emailsFrom.configMapKeyRef";
        let Some(map) = self.config_maps.get(name).and_then(Option::as_ref) else {
            let message =
                format!("ConfigMap {name:?} does not exist: create it with an entry {key:?}");
            return Some(Finding::new(Reason::ReferenceMissing, field, message));
        };
        if map.data.as_ref().is_some_and(|data| data.contains_key(key)) {
            return None;
        }
        let message = format!("ConfigMap {name:?} has no entry {key:?}: add it or correct the key");
        Some(Finding::new(Reason::ReferenceInvalid, field, message))
    }
}

/// What is wrong with the content of an entry, as the rest of a sentence. Never any of the content.
fn wrong_content(field: &str, value: &[u8]) -> Option<&'static str> {
    let Ok(text) = str::from_utf8(value) else {
        return Some("is not text in UTF-8: store the value itself, not another encoding of it");
    };
    if text.trim().is_empty() {
        // An empty list of addresses admits nobody, which is safe and may be meant.
        return (!field.contains("emailsFrom")).then_some("is empty: put the value there");
    }
    match field {
        "spec.provider.caSecretRef" | "spec.session.redis.caSecretRef" => (!text.contains("-----BEGIN CERTIFICATE-----"))
            .then_some("holds no PEM certificate: put the text from BEGIN CERTIFICATE to END CERTIFICATE there"),
        "spec.session.redis.urlSecretRef" => (!["redis://", "rediss://"].iter().any(|scheme| text.starts_with(scheme)))
            .then_some("is no URL of a Redis server: it begins with redis:// or rediss://"),
        _ => None,
    }
}
