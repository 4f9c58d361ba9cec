//! How often a key has sealed. Nonces are random, and with one key no two may be the same: up to 2^32 seals that is as good as
//! certain (NIST SP 800-38D section 8.3), so halfway there whoever runs the proxy is told to put a new key in front.
//!
//! Counts are of this process, over all its configurations, and for each purpose, because each has a key of its own.

use super::Purpose;
use crate::metrics::{Counter, Registry};

/// Seals after which a key should be replaced.
const MOST: u64 = 1 << 31;

/// The counts of one key.
pub(super) struct Wear {
    key: String,
    counters: [(Purpose, Counter); Purpose::ALL.len()],
    most: u64,
}

/// What is shown of the key that seals.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shown {
    /// As in what it sealed: it tells keys apart and nothing of them.
    pub(super) id: String,
    /// Of the purpose that it sealed most for.
    pub(super) seals: u64,
    /// It should be replaced.
    pub(super) worn: bool,
}

impl Wear {
    /// Counts that nobody sees.
    pub(super) fn new(id: [u8; 4]) -> Self {
        let key = format!("{:08x}", u32::from_be_bytes(id));
        Self {
            key,
            counters: Purpose::ALL.map(|purpose| (purpose, Counter::default())),
            most: MOST,
        }
    }

    /// Goes on with the counts that `registry` has of this key.
    pub(super) fn show(&mut self, registry: &Registry) {
        for (purpose, counter) in &mut self.counters {
            *counter = registry.counter(
                "oauth2_proxy_cookie_key_seals_total",
                "Cookies sealed with a key.",
                &[("key", &self.key), ("purpose", purpose.name())],
            );
        }
    }

    /// One more seal.
    pub(super) fn note(&self, purpose: Purpose) {
        let counter = self.counters.iter().find(|(candidate, _)| *candidate == purpose);
        if counter.is_some_and(|(_, counter)| counter.increment() == self.most) {
            tracing::warn!(
                key = self.key,
                purpose = purpose.name(),
                seals = self.most,
                "a cookie secret has sealed so often that it should be replaced: put a new one in front of it"
            );
        }
    }

    pub(super) fn shown(&self) -> Shown {
        let seals = self.counters.iter().map(|(_, counter)| counter.get()).max().unwrap_or(0);
        Shown { id: self.key.clone(), seals, worn: seals >= self.most }
    }
}

#[cfg(test)]
impl Wear {
    /// The same with a bound that a test reaches.
    pub(super) fn bounded(self, most: u64) -> Self {
        Self { most, ..self }
    }
}
