//! Workloads to which nothing led without a login, as far as this process knows: their companions remember it, and go with them.
//! One that is made anew a moment after it has gone is closed like the one before, even if its Services are new as well.

use crate::service_controller::GONE;
use crate::workload::WorkloadRef;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// The memory: each, and when it went.
#[derive(Default)]
pub(super) struct Closed(Mutex<HashMap<WorkloadRef, Option<Instant>>>);

impl Closed {
    /// Notes that nothing leads to a workload without a login; whether that is news.
    pub(super) fn note(&self, key: &WorkloadRef) -> bool {
        self.locked().insert(key.clone(), None) != Some(None)
    }

    /// Whether nothing led to a workload without a login at some time, or to one of its name that has just gone.
    pub(super) fn is(&self, key: &WorkloadRef) -> bool {
        self.locked().get(key).is_some_and(|gone| is_fresh(*gone))
    }

    /// A workload has no sidecar, or none any more.
    pub(super) fn opened(&self, key: &WorkloadRef) {
        let mut all = self.locked();
        if all.get(key) == Some(&None) {
            all.remove(key);
        }
    }

    /// A workload is gone.
    pub(super) fn gone(&self, key: &WorkloadRef) {
        let mut all = self.locked();
        all.retain(|_, gone| is_fresh(*gone));
        if let Some(gone) = all.get_mut(key) {
            gone.get_or_insert_with(Instant::now);
        }
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<WorkloadRef, Option<Instant>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_fresh(gone: Option<Instant>) -> bool {
    gone.is_none_or(|gone| gone.elapsed() < GONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_that_is_gone_is_remembered_for_a_while_whatever_is_made_anew() {
        let (closed, web) = (Closed::default(), WorkloadRef::deployment("shop", "web"));
        closed.gone(&web);
        assert!(!closed.is(&web), "nobody knows it");
        assert!(closed.note(&web) && !closed.note(&web));
        closed.gone(&web);
        closed.opened(&web);
        assert!(closed.is(&web));
        tokio::time::advance(GONE).await;
        assert!(!closed.is(&web));
        assert!(closed.note(&web), "the next of its name");
        closed.opened(&web);
        assert!(!closed.is(&web));
    }
}
