//! Who is refreshing what at the moment, and what came of it a moment ago. Bounded, and locked only for a look-up.

use super::Outcome;
use crate::session::Session;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Keyed digest of what all requests of one session have in common.
pub(super) type Key = [u8; 32];

/// Waits for the end of a flight.
pub(super) type Outlook = watch::Receiver<Option<Outcome>>;

/// Most flights running and remembered. A remembered session takes some kilobytes.
const MAX: usize = 8192;
/// How long requests that were on their way with the old cookie are given the outcome.
const SHARED_FOR: Duration = Duration::from_mins(1);
/// How long a session is left alone after a failure.
const LEFT_ALONE_FOR: Duration = Duration::from_secs(10);
/// How long a renewed session waits for its store.
const RESCUED_FOR: Duration = Duration::from_mins(10);
/// Most of those.
const MAX_RESCUED: usize = 1024;

/// The flights of a process.
#[derive(Default)]
pub(super) struct Flights(Mutex<State>);

#[derive(Default)]
struct State {
    by_key: HashMap<Key, Entry>,
    /// Landed ones, in order of landing.
    landed: VecDeque<(Instant, Key)>,
    rescued: HashMap<Key, (Instant, Arc<Session>)>,
}

struct Entry {
    outlook: Outlook,
    /// Forgotten from then on; `None`: still in the air.
    forget_at: Option<Instant>,
}

/// How a request takes part.
pub(super) enum Joined {
    /// In a flight of somebody else, or one that has just landed.
    Running(Outlook),
    /// In a new one, which has to be started.
    Start(Landing, Outlook),
    /// Not at all: there are too many.
    Full,
}

/// The duty to land a flight. If its task dies, the session is kept.
pub(super) struct Landing {
    flights: Arc<Flights>,
    key: Key,
    sender: watch::Sender<Option<Outcome>>,
}

impl Flights {
    /// Joins the flight for `key`, or has the caller start it.
    pub(super) fn join(self: &Arc<Self>, key: &Key) -> Joined {
        let now = Instant::now();
        let mut state = self.lock();
        if let Some(entry) = state.by_key.get(key)
            && entry.forget_at.is_none_or(|at| now < at)
        {
            return Joined::Running(entry.outlook.clone());
        }
        state.sweep(now);
        if state.by_key.len() >= MAX {
            tracing::warn!(
                "too many sessions are being refreshed at once; this one is left as it is"
            );
            return Joined::Full;
        }
        let (sender, outlook) = watch::channel(None);
        state.by_key.insert(*key, Entry { outlook: outlook.clone(), forget_at: None });
        Joined::Start(Landing { flights: Arc::clone(self), key: *key, sender }, outlook)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Forgets what is old, and the oldest of what has landed while there is too much.
    fn sweep(&mut self, now: Instant) {
        while let Some((at, key)) = self.landed.front()
            && (*at <= now || self.by_key.len() >= MAX)
        {
            if self.by_key.get(key).is_some_and(|entry| entry.forget_at == Some(*at)) {
                self.by_key.remove(key);
            }
            self.landed.pop_front();
        }
        self.rescued.retain(|_, (until, _)| now < *until);
    }
}

impl Landing {
    /// Tells everybody, and remembers it for those who come late. A session in a store is not remembered: they read it.
    pub(super) fn land(self, outcome: Outcome, in_store: bool) {
        self.settle(outcome, in_store);
    }

    /// A session that was renewed earlier but could not be written.
    pub(super) fn rescued(&self) -> Option<Arc<Session>> {
        self.flights.lock().rescued.remove(&self.key).map(|(_, session)| session)
    }

    /// Keeps a renewed session that could not be written.
    pub(super) fn rescue(&self, session: Arc<Session>) {
        let mut state = self.flights.lock();
        if state.rescued.len() < MAX_RESCUED {
            state.rescued.insert(self.key, (Instant::now() + RESCUED_FOR, session));
        }
    }

    fn settle(&self, outcome: Outcome, in_store: bool) {
        let memory = match &outcome {
            Outcome::Kept => LEFT_ALONE_FOR,
            Outcome::Renewed(_) | Outcome::Ended if !in_store => SHARED_FOR,
            Outcome::Renewed(_) | Outcome::Ended | Outcome::Unavailable => Duration::ZERO,
        };
        let now = Instant::now();
        let mut state = self.flights.lock();
        if memory.is_zero() {
            state.by_key.remove(&self.key);
        } else if let Some(entry) = state.by_key.get_mut(&self.key) {
            entry.forget_at = Some(now + memory);
            state.landed.push_back((now + memory, self.key));
        }
        state.sweep(now);
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
