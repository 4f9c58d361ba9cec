//! A watch that keeps a store current and tells of every object that it touches. It never gives up.

use super::index::Index;
use crate::tasks::Task;
use futures_util::{StreamExt as _, pin_mut};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store, store};
use kube::runtime::utils::Backoff as _;
use kube::runtime::watcher::{self, DefaultBackoff, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch::{Receiver, channel};
use tokio::time::{sleep, timeout};

/// Objects of one answer to a list: it is read as a whole before it is taken apart, and an object may have a MiB and a half, so
/// that ten times as many could take the memory of the process.
const PAGE: u32 = 50;
/// What our labels and annotations begin with.
const PREFIX: &str = "oauth2proxy.dev/";
/// And the label of everybody's by which our objects are known.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Longest silence of a list. A watch may be silent, and has limits of its own; a
/// list that got lost on its way would never end.
const LISTING: Duration = Duration::from_secs(45);

/// The objects of a watch.
pub(crate) struct Objects<K>
where
    K: Resource + 'static,
    K::DynamicType: Hash + Eq,
{
    store: Store<K>,
    index: Index,
    listed: Receiver<bool>,
}

impl<K> Clone for Objects<K>
where
    K: Resource + 'static,
    K::DynamicType: Hash + Eq + Clone,
{
    fn clone(&self) -> Self {
        let (store, index) = (self.store.clone(), self.index.clone());
        Self { store, index, listed: self.listed.clone() }
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
    /// Those of a store that a test fills by [`Objects::relist`].
    #[cfg(test)]
    pub(crate) fn listed_already(store: Store<K>) -> Self {
        Self { store, index: Index::default(), listed: channel(true).1 }
    }

    /// Waits until the first list has arrived. Any number may wait; of those that wait for the store itself, kube wakes one.
    pub(crate) async fn listed(&self) {
        // Without a sender the process is ending.
        let _ = self.listed.clone().wait_for(|listed| *listed).await;
    }
}

impl<K> Objects<K>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Default + Eq + Hash + Clone,
{
    /// Those of a namespace that are wanted, in any order.
    pub(crate) fn within(&self, namespace: &str, wanted: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        self.index.within(&self.store, namespace, wanted)
    }

    /// What a new list brings about, with all that is there.
    #[cfg(test)]
    pub(crate) fn relist(&self, writer: &mut Writer<K>, objects: Vec<K>) {
        let all = objects.into_iter().map(Event::InitApply);
        for event in [Event::Init].into_iter().chain(all).chain([Event::InitDone]) {
            self.take(writer, event);
        }
    }

    /// What an event brings about.
    #[cfg(test)]
    pub(super) fn take(&self, writer: &mut Writer<K>, event: Event<K>) {
        take(event, writer, (self, &|_: &K| true), &|_: &K, _| {});
    }
}

/// What became of an object that a watch tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is there: listed, made or changed.
    Applied,
    /// It is gone, also if that was not told and a list shows it.
    Deleted,
}

/// What the store of a watch keeps: of thousands of objects every part that nobody reads is memory for nothing.
pub(crate) struct Kept<K> {
    prune: fn(&mut ObjectMeta),
    which: Box<dyn Fn(&K) -> bool + Send>,
}

impl<K> Kept<K> {
    /// Every object, with all of its labels and annotations.
    pub(crate) fn whole() -> Self {
        Self { prune: prune_copies, which: Box::new(|_| true) }
    }

    /// Every object, with those labels and annotations that are ours.
    pub(crate) fn ours() -> Self {
        Self { prune: prune_all_but_ours, ..Self::whole() }
    }

    /// As [`Kept::ours`], and of the objects only these. Of all others is told, and nothing kept.
    pub(crate) fn only(which: impl Fn(&K) -> bool + Send + 'static) -> Self {
        Self { which: Box::new(which), ..Self::ours() }
    }
}

/// Watches a kind. `seen` is called for each object that is listed, changed or deleted, as far as it is kept.
///
/// The store is filled while the task runs.
pub(crate) fn follow<K>(
    api: Api<K>,
    config: watcher::Config,
    Kept { prune, which }: Kept<K>,
    seen: impl Fn(&K, Change) + Send + 'static,
) -> (Objects<K>, Task)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    K::DynamicType: Default + Eq + Hash + Clone + Send + Sync,
{
    let (store, mut writer) = store();
    let (tell, told) = channel(false);
    let kind = K::kind(&K::DynamicType::default()).into_owned();
    let name = format!("the watch of {}", api.resource_url());
    let objects = Objects { store, index: Index::default(), listed: told };
    let kept = objects.clone();
    let run = async move {
        let mut backoff = DefaultBackoff::default();
        loop {
            let events = watch(api.clone(), config.clone().page_size(PAGE))
                .modify(|object| prune(object.meta_mut()));
            pin_mut!(events);
            let mut listed = false;
            loop {
                let next = events.next();
                let event =
                    if listed { next.await } else { timeout(LISTING, next).await.unwrap_or(None) };
                match event {
                    Some(Ok(event)) => {
                        match event {
                            Event::Init => listed = false,
                            Event::InitDone => listed = true,
                            Event::InitApply(_) => {}
                            // A list alone is no success: what fails may be the watch behind it.
                            Event::Apply(_) | Event::Delete(_) => backoff.reset(),
                        }
                        take(event, &mut writer, (&kept, &which), &seen);
                        if listed {
                            tell.send_replace(true);
                        }
                    }
                    Some(Err(error)) => {
                        tracing::warn!(kind, %error, "the watch failed and starts again");
                        sleep(backoff.next().unwrap_or(LISTING)).await;
                        if is_too_old(&error) {
                            break;
                        }
                    }
                    None => {
                        tracing::warn!(kind, "the list got no answer and is asked for again");
                        break;
                    }
                }
            }
        }
    };
    (objects, Task::new(name, run))
}

/// Brings store and index up to date, and tells of what that changed.
fn take<K>(
    event: Event<K>,
    writer: &mut Writer<K>,
    (kept, which): (&Objects<K>, &impl Fn(&K) -> bool),
    seen: &impl Fn(&K, Change),
) where
    K: Resource + Clone + 'static,
    K::DynamicType: Default + Eq + Hash + Clone,
{
    let before = if matches!(event, Event::InitDone) { kept.state() } else { Vec::new() };
    // The store first: what is told of is to be found there.
    match &event {
        Event::Apply(object) | Event::InitApply(object) if !which(object) => {
            writer.apply_watcher_event(&Event::Delete(object.clone()));
            kept.index.remove(object, kept);
        }
        Event::Apply(object) | Event::InitApply(object) => {
            writer.apply_watcher_event(&event);
            kept.index.add(object);
        }
        Event::Delete(object) => {
            writer.apply_watcher_event(&event);
            kept.index.remove(object, kept);
        }
        Event::Init => writer.apply_watcher_event(&event),
        Event::InitDone => {
            writer.apply_watcher_event(&event);
            kept.index.keep(kept);
        }
    }
    match event {
        Event::Apply(object) | Event::InitApply(object) => seen(&object, Change::Applied),
        Event::Delete(object) => seen(&object, Change::Deleted),
        Event::Init => {}
        Event::InitDone => {
            for object in before {
                let now = kept.get(&ObjectRef::from_obj(object.as_ref()));
                // One that was made anew under the same name is another.
                if now.is_none_or(|now| now.meta().uid != object.meta().uid) {
                    seen(&object, Change::Deleted);
                }
            }
        }
    }
}

/// Whether the watch was asked to go on from where nothing is known any more. As an event it makes the watch list again, as
/// the answer to a request it does not.
fn is_too_old(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::WatchStartFailed(kube::Error::Api(status)) if status.code == 410)
}

/// Drops what takes most of the room: who manages which field, and copies of the object in annotations.
fn prune_copies(metadata: &mut ObjectMeta) {
    metadata.managed_fields = None;
    retain(&mut metadata.annotations, |name| {
        name != "kubectl.kubernetes.io/last-applied-configuration"
            && !name.starts_with("deployment.kubernetes.io/")
    });
}

/// Drops all that is said of the object by others and for others.
fn prune_all_but_ours(metadata: &mut ObjectMeta) {
    let ours = |name: &str| name.starts_with(PREFIX) || name == MANAGED_BY;
    metadata.managed_fields = None;
    metadata.finalizers = None;
    retain(&mut metadata.annotations, ours);
    retain(&mut metadata.labels, ours);
}

/// An empty map takes no room, but one that has held something does.
fn retain(map: &mut Option<BTreeMap<String, String>>, keep: impl Fn(&str) -> bool) {
    if let Some(all) = map {
        all.retain(|name, _| keep(name));
        if all.is_empty() {
            *map = None;
        }
    }
}

#[cfg(test)]
mod tests;
