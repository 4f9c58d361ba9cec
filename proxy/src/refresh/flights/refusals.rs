//! Which sessions their provider has refused, so that one that another process may have renewed is not ended at once.

use super::{Key, MAX};
use crate::session::Session;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// How long after its first refusal a session is taken for one that another process may have renewed.
pub(super) const CONTESTED_FOR: Duration = Duration::from_mins(1);
/// How long a refusal is remembered.
const REFUSED_FOR: Duration = Duration::from_mins(10);

/// Bounded in number.
#[derive(Default)]
pub(super) struct Refusals(HashMap<Key, Refusal>);

/// The provider refused a session.
#[derive(Clone, Copy)]
struct Refusal {
    /// For the first time.
    since: Instant,
    /// Which form of it.
    created: i64,
}

impl Refusals {
    /// The provider refuses `session`: whether another process may have renewed it, because that is not known for long.
    pub(super) fn note(&mut self, key: &Key, session: &Session, now: Instant) -> bool {
        if self.0.len() >= MAX {
            self.0.retain(|_, refusal| now.duration_since(refusal.since) < REFUSED_FOR);
        }
        let created = session.created_at.as_millisecond();
        let known = self.0.get(key).copied();
        let since = known
            .filter(|known| known.created == created)
            .filter(|known| now.duration_since(known.since) < REFUSED_FOR)
            .map_or(now, |known| known.since);
        if known.is_some() || self.0.len() < MAX {
            self.0.insert(*key, Refusal { since, created });
        }
        now.duration_since(since) < CONTESTED_FOR
    }

    /// Whether the provider has refused `session` so short a time ago that another process may be writing a newer one.
    pub(super) fn are_fresh(&self, key: &Key, session: &Session, now: Instant) -> bool {
        self.0.get(key).is_some_and(|known| {
            known.created == session.created_at.as_millisecond()
                && now.duration_since(known.since) < CONTESTED_FOR
        })
    }
}
