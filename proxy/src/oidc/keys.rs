//! The provider's signing keys: parsed once, found by key id, fetched again at a bounded rate.
//!
//! A key of a kind that is not known here is skipped and never fatal (RFC 7517 section 5). Symmetric keys are never used.

mod jwk;

use super::http::{Answer, Get, Http, HttpError, MAX_KEYS, address};
use super::jws;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::ParsedPublicKey;
use proxy_config::SigningAlgorithm as Algorithm;
use serde::Deserialize;
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

/// More keys than any provider has.
const MAX_COUNT: usize = 200;

/// So many keys that are left out are named.
const NAMED: usize = 5;

/// Who needs a key that is not there. It bounds how often the keys are fetched for its sake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// Somebody who waits for an answer that came straight from the provider: nobody else can make us fetch, so the bound is
    /// only against a provider that never publishes the key, and who comes too early waits until it has passed.
    Login,
    /// A token that anybody may have sent. What was fetched within the bound is the answer.
    Bearer,
}

impl Asker {
    /// Least time between two fetches.
    const fn pause(self) -> Duration {
        Duration::from_secs(match self {
            Self::Login => 1,
            Self::Bearer => 10,
        })
    }
}

/// A set of parsed keys. Immutable.
#[derive(Default)]
pub(super) struct KeySet {
    keys: Vec<Key>,
    /// Keys that can not be used, each with the reason; a few of them.
    left_out: Vec<String>,
    /// A hash of the text that it was read from; empty if that is not known.
    print: Vec<u8>,
}

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

/// The present keys.
#[derive(Default)]
pub(super) struct Keys {
    present: RwLock<Arc<KeySet>>,
    /// Counts the sets that differ from the one before: what was verified under another number may have lost its key.
    epoch: AtomicU64,
    /// The outcome of the last fetch for a key that was missed, for those who do not want to wait behind whoever fetches.
    outcome: RwLock<Option<(Instant, Result<(), KeysError>)>>,
    /// Held by whoever fetches. The last fetch for a key that was missed; what is fetched without need does not count, so a
    /// key that is newer is found at once.
    missed: Mutex<Option<Fetch>>,
}

struct Fetch {
    began: Instant,
    ended: Instant,
    result: Result<(), KeysError>,
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
        let document: Document = jws::object(text).map_err(|error| jws::cut(&error.to_string()))?;
        let mut set = Self::default();
        for value in document.keys.iter().take(MAX_COUNT) {
            match jwk::parse(value) {
                Ok((id, parsed)) => set.keys.push(Key { id, parsed }),
                Err(reason) if set.left_out.len() < NAMED => {
                    let id = value.get("kid").and_then(Value::as_str);
                    let named = id.map_or_else(|| "one without an id".to_owned(), jws::shown);
                    set.left_out.push(format!("{named} {reason}"));
                }
                Err(_) => {}
            }
        }
        Ok(set)
    }

    /// Which keys are left out and why, as the end of a sentence; empty if none is.
    pub(super) fn left_out(&self) -> String {
        if self.left_out.is_empty() {
            return String::new();
        }
        format!("; keys that were left out: {}", self.left_out.join(", "))
    }

    /// The keys that may have made a signature by `algorithm` under key id `id`.
    pub(super) fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &ParsedPublicKey> {
        self.keys.iter().filter(move |key| id.is_none() || key.id.as_deref() == id).flat_map(
            move |key| {
                key.parsed.iter().filter(move |(a, _)| *a == algorithm).map(|(_, parsed)| parsed)
            },
        )
    }

    /// Whether there is no usable key.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl Keys {
    /// The keys as they were last fetched.
    pub(super) fn present(&self) -> Arc<KeySet> {
        self.present.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Which set of keys is in force; see [`Provider::bearer_epoch`](super::Provider::bearer_epoch).
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The outcome of the last fetch for a missed key if so little time has passed that a bearer token is no reason for
    /// another. Known on every thread without waiting, so that tokens nobody signed never get as far as the control runtime.
    pub(super) fn rests(&self) -> Option<Result<(), KeysError>> {
        let outcome = self.outcome.read().unwrap_or_else(PoisonError::into_inner);
        let (ended, result) = outcome.as_ref()?;
        (ended.elapsed() < Asker::Bearer.pause()).then(|| result.clone())
    }

    /// Fetches the keys, because it is time.
    ///
    /// # Errors
    /// No answer or no key set; the keys that are there stay.
    pub(super) async fn renew(&self, http: &Http, url: &Url) -> Result<(), KeysError> {
        let _one_at_a_time = self.missed.lock().await;
        self.fetch(http, url).await
    }

    /// Fetches the keys, because the one wanted is not among them, at the rate that `asker` allows. Callers that come together
    /// share one fetch; `fits` says whether somebody else's has brought the key.
    ///
    /// # Errors
    /// As [`Keys::renew`].
    pub(super) async fn refresh(
        &self,
        (http, url): (&Http, &Url),
        asker: Asker,
        fits: impl Fn(&KeySet) -> bool + Send,
    ) -> Result<(), KeysError> {
        let came = Instant::now();
        let mut missed = self.missed.lock().await;
        // Who came before the last fetch began has its result; so has a bearer token that came soon after.
        if asker == Asker::Login && fits(&self.present()) {
            return Ok(());
        }
        if let Some(Fetch { began, ended, result }) = missed.as_ref() {
            if came <= *began || (asker == Asker::Bearer && ended.elapsed() < asker.pause()) {
                return result.clone();
            }
            tokio::time::sleep_until(*ended + asker.pause()).await;
        }
        let began = Instant::now();
        let result = self.fetch(http, url).await;
        let ended = Instant::now();
        *self.outcome.write().unwrap_or_else(PoisonError::into_inner) =
            Some((ended, result.clone()));
        *missed = Some(Fetch { began, ended, result: result.clone() });
        result
    }

    async fn fetch(&self, http: &Http, url: &Url) -> Result<(), KeysError> {
        let get = Get {
            accept: "application/jwk-set+json, application/json",
            bearer: None,
            limit: MAX_KEYS,
        };
        let answer = http.get(url, &get).await?;
        let mut keys = read(url, &answer)?;
        keys.print = digest(&SHA256, &answer.body).as_ref().to_vec();
        let mut present = self.present.write().unwrap_or_else(PoisonError::into_inner);
        if present.print != keys.print {
            self.epoch.fetch_add(1, Ordering::AcqRel);
        }
        *present = Arc::new(keys);
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
        return Err(refuse(format!(
            "it has no key for signatures that can be used here (RSA of 2048 bits, P-256, P-384, P-521, Ed25519){}",
            keys.left_out()
        )));
    }
    Ok(keys)
}
