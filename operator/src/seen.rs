//! Which versions of Secrets and config maps each object was reconciled with. Compared with that, and not with what was seen
//! in the round before, so that no change slips in between.

use crate::report::Guarded;
use kube::runtime::reflector::ObjectRef;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Kinds that an object can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A Secret.
    Secret,
    /// A `ConfigMap`.
    ConfigMap,
}

/// Something that an object names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reference {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
}

/// Which version of each reference the last reconcile of each object saw.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Versions>>);

/// The version that each object was reconciled with; none: there was nothing of that name.
type Versions = HashMap<(ObjectRef<Guarded>, Reference), Option<String>>;

impl Seen {
    /// Notes what a reconcile saw; no version: it does not exist.
    pub(crate) fn note(
        &self,
        object: &ObjectRef<Guarded>,
        reference: Reference,
        version: Option<String>,
    ) {
        self.lock().insert((object.clone(), reference), version);
    }

    /// Whether the object was reconciled with another version.
    pub(crate) fn is_stale(
        &self,
        object: &ObjectRef<Guarded>,
        reference: &Reference,
        version: Option<&String>,
    ) -> bool {
        self.lock()
            .get(&(object.clone(), reference.clone()))
            .is_some_and(|seen| seen.as_ref() != version)
    }

    /// Forgets what no object names any more.
    pub(crate) fn retain(&self, named: &HashMap<Reference, Vec<ObjectRef<Guarded>>>) {
        self.lock().retain(|(object, reference), _| {
            named.get(reference).is_some_and(|objects| objects.contains(object))
        });
    }

    fn lock(&self) -> MutexGuard<'_, Versions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
