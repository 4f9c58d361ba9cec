//! The end of a flight: what came of it, how long that is remembered, and what waits for its store.

use super::refusals::CONTESTED_FOR;
use super::{Flights, Key, MAX_BYTES, Rescued, SHARED_FOR, name};
use crate::refresh::Outcome;
use crate::refresh::breaker::Admission;
use crate::refresh::renewed::Renewed;
use crate::session::{self, Session};
use proxy_config::SessionFormat;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// What an entry takes beside its session.
const OVERHEAD: usize = 512;
/// How long that is if no request has come with the new cookie. The answer that it went out with may not have arrived, and the
/// browser's old cookie is worth nothing any more at a provider that rotates refresh tokens, so this is long.
pub(super) const UNDELIVERED_FOR: Duration = Duration::from_hours(1);
/// How long a session is left alone after a failure.
const LEFT_ALONE_FOR: Duration = Duration::from_secs(10);
/// How long a session is left alone whose store would not have its lease taken, or whose record is looked at again and again
/// because another process may still write it.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(1);
/// How long a renewed session waits for its store.
pub(super) const RESCUED_FOR: Duration = Duration::from_mins(10);
/// The duty to land a flight. If its task dies, the session is kept.
pub(in crate::refresh) struct Landing {
    pub(super) flights: Arc<Flights>,
    pub(super) key: Key,
    pub(super) admission: Admission,
    pub(super) sender: watch::Sender<Option<Outcome>>,
    pub(super) newest: Option<Arc<Renewed>>,
    pub(super) asked: AtomicBool,
}

impl Landing {
    /// Of which flight.
    pub(in crate::refresh) fn key(&self) -> &Key {
        &self.key
    }

    /// All flights.
    pub(in crate::refresh) fn flights(&self) -> &Arc<Flights> {
        &self.flights
    }

    /// How it came to be.
    pub(in crate::refresh) fn admission(&self) -> Admission {
        self.admission
    }

    /// The provider was asked.
    pub(in crate::refresh) fn asked(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Whether it was not.
    pub(in crate::refresh) fn has_asked_nothing(&self) -> bool {
        !self.asked.load(Ordering::Relaxed)
    }

    /// Nothing of it waits for the store.
    pub(in crate::refresh) fn settled(&self) {
        self.flights.settled(&self.key);
    }

    /// What is newer than `session`, if anything is known to be.
    pub(in crate::refresh) fn newer(&self, session: &Session) -> Option<Arc<Renewed>> {
        self.newest.clone().filter(|newest| newest.is_newer(session))
    }

    /// Tells everybody, and remembers it for those who come late.
    pub(in crate::refresh) fn land(self, outcome: Outcome, in_store: bool) {
        self.settle(outcome, in_store);
    }

    /// Keeps a renewed session that could not be written, if there is room.
    pub(in crate::refresh) fn rescue(&self, renewed: &Arc<Renewed>) {
        let mut state = self.flights.lock();
        let bytes = weight(&renewed.session);
        if state.bytes + bytes > MAX_BYTES {
            tracing::error!(
                "a renewed session can not be written, and there is no room to keep it"
            );
            return;
        }
        let (until, renewed) = (Instant::now() + RESCUED_FOR, Arc::clone(renewed));
        let tended = state.rescued.get(&self.key).is_some_and(|old| old.tended);
        let rescued = Rescued { until, renewed, tended, bytes };
        if let Some(old) = state.rescued.insert(self.key, rescued) {
            state.bytes -= old.bytes;
        }
        state.bytes += bytes;
    }

    /// The provider refuses `session`: whether another process may have renewed it, because that is not known for long.
    pub(in crate::refresh) fn is_contested(&self, session: &Session) -> bool {
        let now = Instant::now();
        let mut state = self.flights.lock();
        state.sweep(now);
        state.refused.note(&self.key, session, now)
    }

    /// Whether the provider has just refused `session`, so that it is not asked again before its record has had its time to
    /// be renewed by whoever used the refresh token.
    pub(in crate::refresh) fn awaits_another(&self, session: &Session) -> bool {
        self.flights.lock().refused.are_fresh(&self.key, session, Instant::now())
    }

    fn settle(&self, outcome: Outcome, in_store: bool) {
        let now = Instant::now();
        let memory = match &outcome {
            Outcome::Kept | Outcome::Stands => LEFT_ALONE_FOR,
            Outcome::Contested if !in_store => CONTESTED_FOR,
            Outcome::Contested | Outcome::Unavailable(_) => LOOKED_AT_EVERY,
            Outcome::Renewed(_) if !in_store => UNDELIVERED_FOR,
            Outcome::Renewed(_) => SHARED_FOR,
            Outcome::Ended if !in_store => SHARED_FOR,
            Outcome::Ended => Duration::ZERO,
        };
        let bytes = match &outcome {
            Outcome::Renewed(renewed) if !memory.is_zero() => weight(&renewed.session),
            _ => 0,
        };
        let awaited = match &outcome {
            Outcome::Renewed(renewed) if !in_store => {
                name(&renewed.session).map(|name| self.flights.key(&name))
            }
            _ => None,
        };
        let mut state = self.flights.lock();
        if memory.is_zero() {
            state.remove(&self.key);
        } else if let Some(entry) = state.by_key.get_mut(&self.key) {
            entry.forget_at = Some(now + memory);
            entry.awaited = awaited;
            entry.bytes = bytes;
            state.bytes += bytes;
            state.landed.insert((now + memory, self.key));
            state.awaited.extend(awaited.map(|new| (new, self.key)));
        }
        state.sweep(now);
        self.flights.awaited.store(state.awaited.len(), Ordering::Relaxed);
        drop(state);
        self.sender.send_replace(Some(outcome));
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        if self.sender.borrow().is_none() {
            self.settle(Outcome::Kept, false);
        }
    }
}

/// What a session takes, roughly, with the text in which it is sealed.
fn weight(session: &Session) -> usize {
    let bytes = session::encode(session, SessionFormat::V2).len();
    OVERHEAD + bytes + bytes * 4 / 3
}
