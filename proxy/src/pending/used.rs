//! States of logins that have come back: each is good for one callback, whatever became of it.
//!
//! One process remembers its own. A second process would accept a replayed state, and then be refused by the provider,
//! which gives nothing for a used code.

use aws_lc_rs::digest::{SHA256, digest};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// More than one process sees within [`KEPT`] unless somebody plays games; then the oldest go first.
const LIMIT: usize = 100_000;
/// At least as long as any login may take; longer ones are not protected beyond it.
const KEPT: SignedDuration = SignedDuration::from_hours(1);

/// The used states of this process.
#[derive(Debug, Default)]
pub(crate) struct UsedStates(Mutex<HashMap<[u8; 16], Timestamp>>);

impl UsedStates {
    /// Uses `state`; false if it was used before.
    pub(crate) fn take(&self, state: &str, now: Timestamp) -> bool {
        let mut key = [0; 16];
        for (to, from) in key.iter_mut().zip(digest(&SHA256, state.as_bytes()).as_ref()) {
            *to = *from;
        }
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= LIMIT {
            used.retain(|_, at| now.duration_since(*at) < KEPT);
        }
        if used.len() >= LIMIT {
            used.clear();
            tracing::warn!(
                "more logins came back than can be remembered: states of the last hour could be used again"
            );
        }
        used.insert(key, now).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_good_once() {
        let used = UsedStates::default();
        let now = Timestamp::UNIX_EPOCH;
        assert!(used.take("a", now) && used.take("b", now));
        assert!(!used.take("a", now) && !used.take("b", now));
    }
}
