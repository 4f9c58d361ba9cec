//! What this process has learned of a server, whichever configurations lead to it and on whichever worker.

use super::connect::Place;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// One server's record.
#[derive(Debug, Default)]
pub(super) struct Known {
    id: u64,
    /// The first upstream that led to it, for messages.
    upstream: Box<str>,
    ignores_bodies: AtomicBool,
}

impl Known {
    /// The record of `place`, to which `upstream` leads.
    pub(super) fn of(place: &Place, upstream: &str) -> Arc<Self> {
        static ALL: Mutex<Option<HashMap<Place, Arc<Known>>>> = Mutex::new(None);
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        let all = all.get_or_insert_default();
        let id = all.len() as u64;
        let new = || Arc::new(Self { id, upstream: upstream.into(), ..Self::default() });
        Arc::clone(all.entry(place.clone()).or_insert_with(new))
    }

    /// Equal for equal places.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// It was seen to leave bodies of requests unread, so that they would be taken for requests.
    pub(super) fn ignores_bodies(&self) -> bool {
        self.ignores_bodies.load(Ordering::Relaxed)
    }

    /// It has answered what nobody asked, on a connection that had carried a body. Says so once.
    pub(super) fn note_ignored_body(&self) {
        if !self.ignores_bodies.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                upstream = &*self.upstream,
                "the upstream answered more than it was asked: it seems to leave bodies of requests unread and to take them \
                 for requests. From now on its connections are not used again after a body; set reuseAfterBody: false for it, \
                 or mend the application"
            );
        }
    }
}
