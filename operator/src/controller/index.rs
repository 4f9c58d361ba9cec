//! Which objects of a watch are in a namespace. What an event or a turn costs must not grow with all that is elsewhere: with
//! ten thousand of a kind, to look through all of them at each event is a hundred million looks.

use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt as _};
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Names by namespace: at least of all that a store holds, so what is asked for is looked up there. Clones are one.
#[derive(Clone, Default)]
pub(super) struct Index(Arc<Mutex<HashMap<String, HashSet<Box<str>>>>>);

impl Index {
    /// Something is there, or will be once the list is complete.
    pub(super) fn add<K: Resource>(&self, object: &K) {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        self.lock().entry(namespace).or_default().insert(name.into_boxed_str());
    }

    /// Something is gone, unless the store has another one of its name.
    pub(super) fn remove<K>(&self, object: &K, store: &Store<K>)
    where
        K: Resource + Clone,
        K::DynamicType: Default + Eq + Hash + Clone,
    {
        if store.get(&ObjectRef::from_obj(object)).is_some() {
            return;
        }
        let namespace = object.namespace().unwrap_or_default();
        let mut all = self.lock();
        if let Some(names) = all.get_mut(&namespace) {
            names.remove(object.name_any().as_str());
            if names.is_empty() {
                all.remove(&namespace);
            }
        }
    }

    /// A list is complete: what is not in the store is gone.
    pub(super) fn keep<K>(&self, store: &Store<K>)
    where
        K: Resource + Clone,
        K::DynamicType: Default + Eq + Hash + Clone,
    {
        self.lock().retain(|namespace, names| {
            names.retain(|name| store.get(&reference(namespace, name)).is_some());
            !names.is_empty()
        });
    }

    /// What a store has in a namespace, and is wanted.
    pub(super) fn within<K>(
        &self,
        store: &Store<K>,
        namespace: &str,
        wanted: impl Fn(&K) -> bool,
    ) -> Vec<Arc<K>>
    where
        K: Resource + Clone,
        K::DynamicType: Default + Eq + Hash + Clone,
    {
        let all = self.lock();
        let names = all.get(namespace).into_iter().flatten();
        let found = names.filter_map(|name| store.get(&reference(namespace, name)));
        found.filter(|object| wanted(object)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, HashSet<Box<str>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reference<K>(namespace: &str, name: &str) -> ObjectRef<K>
where
    K: Resource,
    K::DynamicType: Default,
{
    let reference = ObjectRef::new(name);
    // What is in no namespace is known by the empty one.
    if namespace.is_empty() { reference } else { reference.within(namespace) }
}

#[cfg(test)]
mod tests {
    use super::super::Objects;
    use k8s_openapi::api::core::v1::ConfigMap;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use kube::ResourceExt as _;
    use kube::runtime::reflector::store;
    use kube::runtime::watcher::Event;
    use proptest::prelude::*;

    fn map(number: usize) -> ConfigMap {
        let (namespace, name) = (["a", "b", "ab"][number % 3], ["x", "y", "z"][number / 3 % 3]);
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        };
        ConfigMap { metadata, ..ConfigMap::default() }
    }

    proptest! {
        /// Through lists that break off and lists that forget: what is found is what one finds who looks through all.
        #[test]
        fn what_is_found_in_a_namespace_is_what_a_look_through_all_finds(
            steps in prop::collection::vec((0..5_u8, 0..9_usize), 0..60),
        ) {
            let (store, mut writer) = store();
            let objects = Objects::listed_already(store);
            let mut listing = false;
            for (step, number) in steps {
                let event = match (step, listing) {
                    (0, _) => Event::Init,
                    (1, true) => Event::InitDone,
                    (_, true) => Event::InitApply(map(number)),
                    (1 | 2, false) => Event::Delete(map(number)),
                    (_, false) => Event::Apply(map(number)),
                };
                listing = match event {
                    Event::Init => true,
                    Event::InitDone => false,
                    _ => listing,
                };
                objects.take(&mut writer, event);
                for namespace in ["a", "b", "ab", "c"] {
                    let mut found = objects.within(namespace, |map| map.name_any() != "z");
                    let mut all = objects.state_filter(|map| {
                        map.namespace().as_deref() == Some(namespace) && map.name_any() != "z"
                    });
                    found.sort_by_key(|map| map.name_any());
                    all.sort_by_key(|map| map.name_any());
                    prop_assert_eq!(found, all);
                }
            }
        }
    }
}
