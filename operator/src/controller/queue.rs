//! Whose turn it is: anything may ask for an object to be reconciled. Requests for one object that waits are one.

use futures_util::Stream;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use std::convert::Infallible;
use std::hash::Hash;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// The end that asks.
pub(crate) struct Queue<K>(mpsc::UnboundedSender<ObjectRef<K>>)
where
    K: Resource,
    K::DynamicType: Hash + Eq;

impl<K> Clone for Queue<K>
where
    K: Resource,
    K::DynamicType: Hash + Eq,
{
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K> Queue<K>
where
    K: Resource,
    K::DynamicType: Hash + Eq,
{
    /// Asks for an object to be reconciled soon. One that does not exist is passed over.
    pub(crate) fn push(&self, object: ObjectRef<K>) {
        // A closed queue means that the process stops.
        let _ = self.0.send(object);
    }
}

/// The end that a controller reads. Unbounded, because the scheduler behind it keeps one entry for each object.
pub(crate) struct Requests<K>(mpsc::UnboundedReceiver<ObjectRef<K>>)
where
    K: Resource,
    K::DynamicType: Hash + Eq;

impl<K> Stream for Requests<K>
where
    K: Resource,
    K::DynamicType: Hash + Eq,
{
    type Item = Result<ObjectRef<K>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|item| item.map(Ok))
    }
}

/// A new queue.
pub(crate) fn queue<K>() -> (Queue<K>, Requests<K>)
where
    K: Resource,
    K::DynamicType: Hash + Eq,
{
    let (sender, receiver) = mpsc::unbounded_channel();
    (Queue(sender), Requests(receiver))
}
