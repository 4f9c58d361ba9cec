//! Whose turn it is: anything may ask for an object to be reconciled. Requests for one object that waits are one.
//!
//! Who waits is kept beside the requests, only to be counted: a turn that is not counted still comes.

use futures_util::Stream;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use std::collections::HashSet;
use std::convert::Infallible;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// The end that asks.
pub(crate) struct Queue<K>
where
    K: Resource,
    K::DynamicType: Hash + Eq,
{
    sender: mpsc::UnboundedSender<ObjectRef<K>>,
    waiting: Waiting<K>,
}

impl<K> Clone for Queue<K>
where
    K: Resource,
    K::DynamicType: Hash + Eq,
{
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), waiting: self.waiting.clone() }
    }
}

impl<K> Queue<K>
where
    K: Resource,
    K::DynamicType: Hash + Eq + Clone,
{
    /// Asks for an object to be reconciled soon. One that does not exist is passed over.
    pub(crate) fn push(&self, object: ObjectRef<K>) {
        self.waiting.lock().insert(object.clone());
        // A closed queue means that the process stops.
        let _ = self.sender.send(object);
    }
}

/// The end that a controller reads. Unbounded, because the scheduler behind it keeps one entry for each object.
pub(crate) struct Requests<K>
where
    K: Resource,
    K::DynamicType: Hash + Eq,
{
    receiver: mpsc::UnboundedReceiver<ObjectRef<K>>,
    /// Who waits.
    pub(super) waiting: Waiting<K>,
}

impl<K> Stream for Requests<K>
where
    K: Resource,
    K::DynamicType: Hash + Eq,
{
    type Item = Result<ObjectRef<K>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(cx).map(|item| item.map(Ok))
    }
}

/// A new queue.
pub(crate) fn queue<K>() -> (Queue<K>, Requests<K>)
where
    K: Resource,
    K::DynamicType: Hash + Eq,
{
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Waiting(Arc::default());
    (Queue { sender, waiting: waiting.clone() }, Requests { receiver, waiting })
}

/// The objects that have been asked for and had no turn since.
pub(super) struct Waiting<K>(Arc<Mutex<HashSet<ObjectRef<K>>>>)
where
    K: Resource,
    K::DynamicType: Hash + Eq;

impl<K> Clone for Waiting<K>
where
    K: Resource,
    K::DynamicType: Hash + Eq,
{
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> Waiting<K>
where
    K: Resource,
    K::DynamicType: Hash + Eq,
{
    /// Its turn begins, or there is none to be had.
    pub(super) fn remove(&self, object: &ObjectRef<K>) {
        self.lock().remove(object);
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<ObjectRef<K>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Waiting<K>
where
    K: Resource + 'static,
    K::DynamicType: Hash + Eq + Send + Sync,
{
    /// Tells how many wait.
    pub(super) fn counter(&self) -> impl Fn() -> usize + Send + Sync + 'static + use<K> {
        let waiting = self.clone();
        move || waiting.lock().len()
    }
}
