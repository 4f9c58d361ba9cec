//! What this process remembers of objects that is written nowhere. Losing it delays and never misleads.

use crate::report::Guarded;
use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The memory. Clones are one.
#[derive(Clone, Default)]
pub(crate) struct Past(Arc<Mutex<HashMap<ObjectRef<Guarded>, Timestamp>>>);

impl Past {
    /// Notes whether a turn failed at `now`; since when all turns of the object have.
    pub(crate) fn failing(
        &self,
        object: &ObjectRef<Guarded>,
        failed: bool,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let mut since = self.lock();
        if failed {
            return Some(*since.entry(object.clone()).or_insert(now));
        }
        since.remove(object);
        None
    }

    /// Forgets an object that is gone.
    pub(crate) fn forget(&self, object: &ObjectRef<Guarded>) {
        self.lock().remove(object);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectRef<Guarded>, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
