//! Which events are news: a watch also tells of what nobody reads, and of what a turn itself wrote.

use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What was seen last of each of a kind, as a number. Clones are one.
pub(crate) struct Fingerprints<K: Resource<DynamicType = ()>>(
    Arc<Mutex<HashMap<ObjectRef<K>, u64>>>,
);

impl<K: Resource<DynamicType = ()>> Clone for Fingerprints<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Resource<DynamicType = ()>> Default for Fingerprints<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Resource<DynamicType = ()>> Fingerprints<K> {
    /// Notes how something is now; nothing: it is gone, which is news always. Whether it was otherwise.
    pub(crate) fn is_news(&self, reference: &ObjectRef<K>, now: Option<u64>) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(now) = now else {
            all.remove(reference);
            return true;
        };
        all.insert(reference.clone(), now) != Some(now)
    }
}

/// How things will look that a turn writes: the watch tells of that, and it is no news to who wrote it.
pub(crate) struct Expected<K>(Mutex<HashMap<K, u64>>);

impl<K> Default for Expected<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Expected<K> {
    /// Says how something will look.
    pub(crate) fn note(&self, key: K, seen: u64) {
        self.lock().insert(key, seen);
    }

    /// Whether something looks as it was going to. Once: it may come back to that by somebody else's hand.
    pub(crate) fn is(&self, key: &K, seen: u64) -> bool {
        self.lock().remove(key) == Some(seen)
    }

    /// Something is gone.
    pub(crate) fn forget(&self, key: &K) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Service;

    #[test]
    fn only_what_differs_from_before_is_news_and_what_is_gone_always_is() {
        let known = Fingerprints::<Service>::default();
        let [web, api] = ["web", "api"].map(|name| ObjectRef::new(name).within("shop"));
        assert!(known.is_news(&web, Some(1)) && known.is_news(&api, Some(1)));
        assert!(!known.is_news(&web, Some(1)));
        assert!(known.is_news(&web, Some(2)));
        assert!(known.is_news(&web, None) && known.is_news(&web, None));
        assert!(known.is_news(&web, Some(2)), "one that is made anew");
        assert!(!known.is_news(&api, Some(1)));
    }
}
