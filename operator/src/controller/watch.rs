//! A watch that keeps a store current and tells of every object that it touches. It never gives up.

use crate::tasks::Task;
use futures_util::{StreamExt as _, pin_mut};
use kube::runtime::reflector::{Store, store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch};
use kube::{Api, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::hash::Hash;
use std::ops::Deref;
use std::time::Duration;
use tokio::sync::watch::{Receiver, channel};
use tokio::time::timeout;

/// Longest silence of a list, longer than any pause after a failure. A watch may be silent, and has limits of its own; a
/// list that got lost on its way would never end.
const LISTING: Duration = Duration::from_secs(45);

/// The objects of a watch.
pub(crate) struct Objects<K>
where
    K: Resource + 'static,
    K::DynamicType: Hash + Eq,
{
    store: Store<K>,
    listed: Receiver<bool>,
}

impl<K> Clone for Objects<K>
where
    K: Resource + 'static,
    K::DynamicType: Hash + Eq + Clone,
{
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), listed: self.listed.clone() }
    }
}

impl<K> Deref for Objects<K>
where
    K: Resource + 'static,
    K::DynamicType: Hash + Eq,
{
    type Target = Store<K>;

    fn deref(&self) -> &Store<K> {
        &self.store
    }
}

impl<K> Objects<K>
where
    K: Resource + 'static,
    K::DynamicType: Hash + Eq,
{
    /// Waits until the first list has arrived. Any number may wait; of those that wait for the store itself, kube wakes one.
    pub(crate) async fn listed(&self) {
        // Without a sender the process is ending.
        let _ = self.listed.clone().wait_for(|listed| *listed).await;
    }
}

/// Watches a kind. `seen` is called for each object that is listed, changed or deleted.
///
/// The store is filled while the task runs. Managed fields are dropped: nobody reads them, and they are half of an object.
pub(crate) fn follow<K>(
    api: Api<K>,
    config: watcher::Config,
    seen: impl Fn(&K) + Send + 'static,
) -> (Objects<K>, Task)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    K::DynamicType: Default + Eq + Hash + Clone + Send + Sync,
{
    let (store, mut writer) = store();
    let (tell, told) = channel(false);
    let kind = K::kind(&K::DynamicType::default()).into_owned();
    let name = format!("the watch of {}", api.resource_url());
    let run = async move {
        loop {
            let events = watch(api.clone(), config.clone())
                .default_backoff()
                .modify(|object: &mut K| object.managed_fields_mut().clear());
            pin_mut!(events);
            let mut listed = false;
            loop {
                let next = events.next();
                let event =
                    if listed { next.await } else { timeout(LISTING, next).await.unwrap_or(None) };
                match event {
                    Some(Ok(event)) => {
                        writer.apply_watcher_event(&event);
                        match event {
                            Event::Apply(object)
                            | Event::InitApply(object)
                            | Event::Delete(object) => seen(&object),
                            Event::Init => listed = false,
                            Event::InitDone => {
                                listed = true;
                                tell.send_replace(true);
                            }
                        }
                    }
                    Some(Err(error)) => {
                        tracing::warn!(kind, %error, "the watch failed and starts again");
                    }
                    None => break,
                }
            }
            tracing::warn!(kind, "the list got no answer and is asked for again");
        }
    };
    (Objects { store, listed: told }, Task::new(name, run))
}
