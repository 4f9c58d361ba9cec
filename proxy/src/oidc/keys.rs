//! The provider's signing keys: parsed once, found by key id, fetched again at a bounded rate.
//!
//! A key of a kind that is not known here is skipped and never fatal (RFC 7517 section 5). Symmetric keys are never used.

mod jwk;

use super::http::{Answer, Client, Get, HttpError, MAX_KEYS, address};
use aws_lc_rs::signature::ParsedPublicKey;
use proxy_config::SigningAlgorithm as Algorithm;
use serde::Deserialize;
use serde_json::Value;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

/// More keys than any provider has.
const MAX_COUNT: usize = 200;

/// Least time between two fetches for a token that came straight from the token endpoint: nobody but the provider can
/// make us fetch, so the bound is only against a provider that never publishes the key.
pub(super) const AFTER_LOGIN: Duration = Duration::from_secs(1);
/// Least time between two fetches for a bearer token, which anybody can send.
pub(super) const AFTER_BEARER: Duration = Duration::from_secs(10);

/// A set of parsed keys. Immutable.
#[derive(Default)]
pub(super) struct KeySet(Vec<Key>);

struct Key {
    id: Option<String>,
    /// One for each algorithm that the key may be used with, because a parsed key is bound to one.
    parsed: Vec<jwk::Parsed>,
}

/// Why there are no keys.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum KeysError {
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// An answer that is no key set.
    #[error("{address} is no key set: {reason}")]
    NoKeySet {
        /// Where.
        address: String,
        /// What was found.
        reason: String,
    },
}

/// The present keys and when they were last asked for.
pub(super) struct Keys {
    present: RwLock<Arc<KeySet>>,
    asked: Mutex<Option<(Instant, Result<(), KeysError>)>>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a JWK set (RFC 7517 section 5).
    ///
    /// # Errors
    /// Not an object with a list `keys`. Keys that can not be used are left out.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let keys = document.keys.iter().take(MAX_COUNT).filter_map(|value| {
            let (id, parsed) = jwk::parse(value)?;
            Some(Key { id, parsed })
        });
        Ok(Self(keys.collect()))
    }

    /// The keys that may have made a signature by `algorithm` under key id `id`.
    pub(super) fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &ParsedPublicKey> {
        self.0.iter().filter(move |key| id.is_none() || key.id.as_deref() == id).flat_map(
            move |key| {
                key.parsed.iter().filter(move |(a, _)| *a == algorithm).map(|(_, parsed)| parsed)
            },
        )
    }

    /// Whether there is no usable key.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Keys {
    /// No keys yet.
    pub(super) fn new() -> Self {
        Self { present: RwLock::new(Arc::default()), asked: Mutex::new(None) }
    }

    /// The keys as they were last fetched.
    pub(super) fn present(&self) -> Arc<KeySet> {
        self.present.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fetches the keys unless that was done within `least`, and then gives that result; callers that come together share
    /// one fetch.
    ///
    /// # Errors
    /// No answer or no key set; the keys that are there stay.
    pub(super) async fn refresh(
        &self,
        client: &Client,
        url: &Url,
        least: Duration,
    ) -> Result<(), KeysError> {
        let mut asked = self.asked.lock().await;
        if let Some((at, result)) = asked.as_ref()
            && at.elapsed() < least
        {
            return result.clone();
        }
        let result = self.fetch(client, url).await;
        *asked = Some((Instant::now(), result.clone()));
        result
    }

    async fn fetch(&self, client: &Client, url: &Url) -> Result<(), KeysError> {
        let get = Get {
            accept: "application/jwk-set+json, application/json",
            bearer: None,
            limit: MAX_KEYS,
        };
        let keys = read(url, &client.get(url, &get).await?)?;
        *self.present.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }
}

fn read(url: &Url, answer: &Answer) -> Result<KeySet, KeysError> {
    let refuse = |reason| KeysError::NoKeySet { address: address(url), reason };
    if answer.status != 200 {
        return Err(refuse(format!("the status is {}", answer.status)));
    }
    let keys = KeySet::parse(&answer.body).map_err(refuse)?;
    if keys.is_empty() {
        return Err(refuse("it has no key for signatures that can be used here (RSA of 2048 bits, P-256, P-384, P-521, Ed25519)".to_owned()));
    }
    Ok(keys)
}
