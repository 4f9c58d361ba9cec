//! One volume with everything the proxy reads, so that the kubelet swaps all of it at once.
//!
//! The whole directory is mounted and never a single file, or changes would not arrive. Mode 0444: the kubelet writes the
//! files as root, we run as somebody else, and the pod's group is not ours to set.

use super::NAME;
use crate::spec::{ValidSpec, name};
use crds::{SecretKeyRef, Store};
use serde_json::{Value, json};

/// Where the volume is mounted.
pub(crate) const MOUNT: &str = "/etc/oauth2-proxy";
/// File with the client secret.
pub(crate) const CLIENT_SECRET: &str = "client-secret";
/// File with the client secret of before.
pub(crate) const PREVIOUS_CLIENT_SECRET: &str = "previous-client-secret";
/// File with the provider's certificates.
pub(crate) const PROVIDER_CA: &str = "provider-ca.pem";
/// File with e-mail addresses.
pub(crate) const EMAILS: &str = "emails";
/// File with the URL of Redis.
pub(crate) const REDIS_URL: &str = "redis-url";
/// File with the certificates of Redis.
pub(crate) const REDIS_CA: &str = "redis-ca.pem";

/// Where several sources have a file of one name the last counts. So the cookie Secret, which is mounted with whatever
/// entries it has, comes first, and the configuration last.
pub(super) fn render(spec: &ValidSpec) -> Value {
    let provider = &spec.spec.provider;
    let session = &spec.spec.session;
    let mut sources =
        vec![json!({"secret": {"name": name::cookie_secret(&spec.name, &spec.spec)}})];
    sources.extend(provider.client_secret_ref.as_ref().map(|secret| entry(secret, CLIENT_SECRET)));
    let previous = provider.previous_client_secret_ref.as_ref();
    sources.extend(previous.map(|secret| entry(secret, PREVIOUS_CLIENT_SECRET)));
    sources.extend(provider.ca_secret_ref.as_ref().map(|secret| entry(secret, PROVIDER_CA)));
    if let Some(emails) = &spec.spec.access.emails_from {
        sources.extend(emails.secret_key_ref.as_ref().map(|secret| entry(secret, EMAILS)));
        sources.extend(emails.config_map_key_ref.as_ref().map(|map| {
            json!({"configMap": {"name": map.name, "items": [{"key": map.key, "path": EMAILS}]}})
        }));
    }
    if let (Store::Redis, Some(redis)) = (session.store, &session.redis) {
        sources.push(entry(&redis.url_secret_ref, REDIS_URL));
        sources.extend(redis.ca_secret_ref.as_ref().map(|secret| entry(secret, REDIS_CA)));
    }
    sources.push(json!({"secret": {"name": name::config_secret(&spec.name)}}));
    json!({"name": NAME, "projected": {"defaultMode": 0o444, "sources": sources}})
}

fn entry(secret: &SecretKeyRef, path: &str) -> Value {
    json!({"secret": {"name": secret.name, "items": [{"key": secret.key, "path": path}]}})
}
