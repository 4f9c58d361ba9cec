//! What this process remembers of objects that is written nowhere. Losing it delays and never misleads.

use crate::report::Guarded;
use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a turn goes by what an earlier one found.
const GOES_BY: Duration = Duration::from_mins(5);

/// How a turn left an object with which nothing is under way. A turn that only a report of its pods brings about goes by that: what
/// pods say moves neither the configuration nor the keys then, and all of it is in the status. No content of a Secret is in here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    /// Stands for all of the object that its turns are derived from.
    pub(crate) wished: u64,
    /// Hash of the configuration.
    pub(crate) config_hash: String,
    /// The entry that seals.
    pub(crate) sealing_key: Option<String>,
    /// Stands for the Secrets that pods mount, the configuration aside.
    pub(crate) mounted: String,
}

/// What is remembered of one object.
#[derive(Default)]
struct Memory {
    /// Since when all of its turns have failed.
    failing: Option<Timestamp>,
    /// Counts what changed that its turns are derived from.
    changes: u64,
    /// How it was left, and when.
    settled: Option<(Settled, Instant)>,
}

/// The memory. Clones are one.
#[derive(Clone, Default)]
pub(crate) struct Past(Arc<Mutex<HashMap<ObjectRef<Guarded>, Memory>>>);

impl Past {
    /// Notes whether a turn failed at `now`; since when all turns of the object have.
    pub(crate) fn failing(
        &self,
        object: &ObjectRef<Guarded>,
        failed: bool,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let mut all = self.lock();
        let memory = all.entry(object.clone()).or_default();
        memory.failing = failed.then(|| memory.failing.unwrap_or(now));
        memory.failing
    }

    /// Something changed that turns of an object are derived from, the reports of its pods aside.
    pub(crate) fn changed(&self, object: &ObjectRef<Guarded>) {
        let mut all = self.lock();
        let memory = all.entry(object.clone()).or_default();
        memory.changes += 1;
        memory.settled = None;
    }

    /// A number that changes with [`Past::changed`], for [`Past::settle`].
    pub(crate) fn changes(&self, object: &ObjectRef<Guarded>) -> u64 {
        self.lock().get(object).map_or(0, |memory| memory.changes)
    }

    /// Notes how a turn left an object, unless something has changed since the turn began.
    pub(crate) fn settle(&self, object: &ObjectRef<Guarded>, changes: u64, settled: Settled) {
        let mut all = self.lock();
        let memory = all.entry(object.clone()).or_default();
        if memory.changes == changes {
            memory.settled = Some((settled, Instant::now()));
        }
    }

    /// How an object was left that is still as it was then.
    pub(crate) fn settled(&self, object: &ObjectRef<Guarded>, wished: u64) -> Option<Settled> {
        let all = self.lock();
        let (settled, since) = all.get(object)?.settled.as_ref()?;
        let counts = settled.wished == wished && since.elapsed() < GOES_BY;
        counts.then(|| settled.clone())
    }

    /// Forgets an object that is gone.
    pub(crate) fn forget(&self, object: &ObjectRef<Guarded>) {
        self.lock().remove(object);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectRef<Guarded>, Memory>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_turn_goes_by_what_an_earlier_one_found_until_anything_changes_and_not_for_long() {
        let past = Past::default();
        let object = ObjectRef::new("main").within("shop");
        let settled = |wished| Settled {
            wished,
            config_hash: "hash".to_owned(),
            sealing_key: None,
            mounted: String::new(),
        };
        let found = |wished| past.settled(&object, wished).is_some();
        assert!(!found(1));
        past.settle(&object, past.changes(&object), settled(1));
        assert!(found(1) && !found(2), "the object is another");
        past.changed(&object);
        assert!(!found(1), "a Secret is another");
        let before = past.changes(&object);
        past.changed(&object);
        past.settle(&object, before, settled(1));
        assert!(!found(1), "it changed while the turn was under way");
        past.settle(&object, past.changes(&object), settled(1));
        tokio::time::advance(GOES_BY).await;
        assert!(!found(1), "no watch tells everything");
    }
}
