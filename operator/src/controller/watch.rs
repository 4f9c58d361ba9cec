//! A watch that keeps a store current and tells of every object that it touches. It never gives up.

use futures_util::{Stream, StreamExt as _, pin_mut};
use kube::runtime::reflector::{Store, store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, reflector, watcher as watch};
use kube::{Api, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;

/// Watches a kind. `seen` is called for each object that is listed, changed or deleted.
///
/// The store is filled while the future runs. Managed fields are dropped: nobody reads them, and they are half of an object.
pub(crate) fn follow<K>(
    api: Api<K>,
    config: watcher::Config,
    seen: impl Fn(&K) + Send + 'static,
) -> (Store<K>, impl Future<Output = ()> + Send + 'static)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    K::DynamicType: Default + Eq + Hash + Clone + Send + Sync,
{
    let (reader, writer) = store();
    let events = watch(api, config)
        .default_backoff()
        .modify(|object: &mut K| object.managed_fields_mut().clear());
    (reader, drain(reflector(writer, events), seen))
}

async fn drain<K>(events: impl Stream<Item = watcher::Result<Event<K>>>, seen: impl Fn(&K))
where
    K: Resource,
    K::DynamicType: Default,
{
    pin_mut!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(object) | Event::InitApply(object) | Event::Delete(object)) => {
                seen(&object);
            }
            Ok(Event::Init | Event::InitDone) => {}
            Err(error) => {
                tracing::warn!(kind = %K::kind(&K::DynamicType::default()), %error, "the watch failed and starts again");
            }
        }
    }
}
