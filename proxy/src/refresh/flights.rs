//! Who is refreshing what at the moment, and what came of it a moment ago. Bounded in number and in bytes, and locked only
//! for a look-up.

use super::Outcome;
use super::breaker::Admission;
use crate::session::{self, Session};
use proxy_config::SessionFormat;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Keyed digest of what all requests of one session have in common.
pub(super) type Key = [u8; 32];

/// Most flights running and remembered, and most refusals that are remembered.
const MAX: usize = 8192;
/// Most bytes of sessions that are remembered. What would be forgotten soonest goes first.
const MAX_BYTES: usize = 16 << 20;
/// What an entry takes beside its session.
const OVERHEAD: usize = 512;
/// How long requests that were on their way with the old cookie are given the outcome.
const SHARED_FOR: Duration = Duration::from_mins(1);
/// How long a renewed session that no request has been given waits for the next one. The browser's cookie is worth nothing
/// any more at a provider that rotates refresh tokens, so this is long.
const UNDELIVERED_FOR: Duration = Duration::from_hours(1);
/// How long a session is left alone after a failure.
const LEFT_ALONE_FOR: Duration = Duration::from_secs(10);
/// How long a renewed session waits for its store.
const RESCUED_FOR: Duration = Duration::from_mins(10);
/// How long after its first refusal a session is taken for one that another process may have renewed.
const CONTESTED_FOR: Duration = Duration::from_mins(1);
/// How long a refusal is remembered.
const REFUSED_FOR: Duration = Duration::from_mins(10);

/// The flights of a process.
#[derive(Default)]
pub(super) struct Flights(Mutex<State>);

#[derive(Default)]
struct State {
    by_key: HashMap<Key, Entry>,
    /// Landed ones, in the order in which they are forgotten.
    landed: BTreeSet<(Instant, Key)>,
    rescued: HashMap<Key, Rescued>,
    /// When the provider first refused a session.
    refused: HashMap<Key, Instant>,
    /// Of all sessions in here.
    bytes: usize,
}

struct Entry {
    outlook: Outlook,
    /// When the flight began.
    since: Instant,
    /// Forgotten from then on; `None`: still in the air.
    forget_at: Option<Instant>,
    /// Nobody was waiting when it landed.
    undelivered: bool,
    bytes: usize,
}

struct Rescued {
    until: Instant,
    session: Arc<Session>,
    bytes: usize,
}

/// Waits for the end of a flight.
type Outlook = watch::Receiver<Option<Outcome>>;

/// A flight that somebody takes part in.
pub(super) struct Running {
    pub(super) outlook: Outlook,
    pub(super) since: Instant,
}

/// How a request takes part.
pub(super) enum Joined {
    /// In a flight of somebody else, or one that has just landed.
    Running(Running),
    /// In a new one, which has to be started.
    Start(Landing, Running),
    /// Not at all: there are too many, or the provider is left alone.
    Not,
}

/// The duty to land a flight. If its task dies, the session is kept.
pub(super) struct Landing {
    flights: Arc<Flights>,
    key: Key,
    admission: Admission,
    sender: watch::Sender<Option<Outcome>>,
}

impl Flights {
    /// Joins the flight for `key`, or has the caller start it, if `admit` lets it.
    pub(super) fn join(self: &Arc<Self>, key: &Key, admit: impl FnOnce() -> Admission) -> Joined {
        let now = Instant::now();
        let mut state = self.lock();
        if let Some(running) = state.present(key, now) {
            return Joined::Running(running);
        }
        state.sweep(now);
        if state.by_key.len() >= MAX {
            tracing::warn!(
                "too many sessions are being refreshed at once; this one is left as it is"
            );
            return Joined::Not;
        }
        let admission = admit();
        if admission == Admission::No {
            return Joined::Not;
        }
        let (sender, outlook) = watch::channel(None);
        let running = Running { outlook: outlook.clone(), since: now };
        let entry = Entry { outlook, since: now, forget_at: None, undelivered: false, bytes: 0 };
        state.by_key.insert(*key, entry);
        Joined::Start(Landing { flights: Arc::clone(self), key: *key, admission, sender }, running)
    }

    /// A session that was renewed earlier and could not be written.
    pub(super) fn rescued(&self, key: &Key) -> Option<Arc<Session>> {
        let state = self.lock();
        let rescued = state.rescued.get(key).filter(|rescued| Instant::now() < rescued.until);
        rescued.map(|rescued| Arc::clone(&rescued.session))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn present(&mut self, key: &Key, now: Instant) -> Option<Running> {
        let entry =
            self.by_key.get_mut(key).filter(|entry| entry.forget_at.is_none_or(|at| now < at))?;
        if let Some(at) = entry.forget_at.filter(|_| entry.undelivered) {
            self.landed.remove(&(at, *key));
            self.landed.insert((now + SHARED_FOR, *key));
            entry.forget_at = Some(now + SHARED_FOR);
            entry.undelivered = false;
        }
        Some(Running { outlook: entry.outlook.clone(), since: entry.since })
    }

    /// Forgets what is old, and while there is too much also what would be forgotten next.
    fn sweep(&mut self, now: Instant) {
        while let Some((at, key)) = self.landed.first().copied()
            && (at <= now || self.by_key.len() >= MAX || self.bytes > MAX_BYTES)
        {
            self.landed.pop_first();
            self.remove(&key);
        }
        if self.rescued.values().any(|rescued| rescued.until <= now) {
            self.rescued.retain(|_, rescued| now < rescued.until);
            self.bytes = self.by_key.values().map(|entry| entry.bytes).sum::<usize>()
                + self.rescued.values().map(|rescued| rescued.bytes).sum::<usize>();
        }
        if self.refused.len() >= MAX {
            self.refused.retain(|_, since| now.duration_since(*since) < REFUSED_FOR);
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.by_key.remove(key) {
            self.bytes -= entry.bytes;
        }
    }
}

impl Landing {
    /// Of which flight.
    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// All flights.
    pub(super) fn flights(&self) -> &Arc<Flights> {
        &self.flights
    }

    /// How it came to be.
    pub(super) fn admission(&self) -> Admission {
        self.admission
    }

    /// Tells everybody, and remembers it for those who come late. A session in a store is not remembered: they read it.
    pub(super) fn land(self, outcome: Outcome, in_store: bool) {
        self.settle(outcome, in_store);
    }

    /// Keeps a renewed session that could not be written, if there is room.
    pub(super) fn rescue(&self, session: Arc<Session>) {
        let mut state = self.flights.lock();
        let bytes = weight(&session);
        if state.bytes + bytes > MAX_BYTES {
            tracing::error!(
                "a renewed session can not be written, and there is no room to keep it"
            );
            return;
        }
        let rescued = Rescued { until: Instant::now() + RESCUED_FOR, session, bytes };
        if let Some(old) = state.rescued.insert(self.key, rescued) {
            state.bytes -= old.bytes;
        }
        state.bytes += bytes;
    }

    /// Forgets it: it was written, or has ended.
    pub(super) fn settled(&self) {
        let mut state = self.flights.lock();
        if let Some(old) = state.rescued.remove(&self.key) {
            state.bytes -= old.bytes;
        }
    }

    /// Whether a session that the provider refuses for the first time may have been renewed by another process a moment ago.
    pub(super) fn is_contested(&self) -> bool {
        let now = Instant::now();
        let mut state = self.flights.lock();
        state.sweep(now);
        let known = state.refused.get(&self.key).copied();
        let since = known.filter(|since| now.duration_since(*since) < REFUSED_FOR).unwrap_or(now);
        if state.refused.len() < MAX {
            state.refused.insert(self.key, since);
        }
        now.duration_since(since) < CONTESTED_FOR
    }

    fn settle(&self, outcome: Outcome, in_store: bool) {
        let now = Instant::now();
        // Beside those who wait there is the one in the table.
        let undelivered = self.sender.receiver_count() <= 1;
        let memory = match &outcome {
            Outcome::Kept | Outcome::Stands => LEFT_ALONE_FOR,
            Outcome::Contested => CONTESTED_FOR,
            Outcome::Renewed(_) if !in_store && undelivered => UNDELIVERED_FOR,
            Outcome::Renewed(_) | Outcome::Ended if !in_store => SHARED_FOR,
            Outcome::Renewed(_) | Outcome::Ended | Outcome::Unavailable => Duration::ZERO,
        };
        let bytes = match &outcome {
            Outcome::Renewed(renewed) if !memory.is_zero() => weight(&renewed.session),
            _ => 0,
        };
        let mut state = self.flights.lock();
        if memory.is_zero() {
            state.remove(&self.key);
        } else if let Some(entry) = state.by_key.get_mut(&self.key) {
            entry.forget_at = Some(now + memory);
            entry.undelivered = undelivered;
            entry.bytes = bytes;
            state.bytes += bytes;
            state.landed.insert((now + memory, self.key));
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

/// What a session takes, roughly, with the text in which it is sealed.
fn weight(session: &Session) -> usize {
    let bytes = session::encode(session, SessionFormat::V2).len();
    OVERHEAD + bytes + bytes * 4 / 3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refresh::renewed::Renewed;
    use crate::session::Token;
    use crate::store::tests::session;

    fn land(flights: &Arc<Flights>, n: u32, outcome: Outcome) {
        let Joined::Start(landing, _running) = flights.join(&key(n), || Admission::Usual) else {
            panic!("{n} is known already")
        };
        landing.land(outcome, false);
    }

    fn key(n: u32) -> Key {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&n.to_le_bytes());
        key
    }

    #[test]
    fn what_is_remembered_has_a_bound_in_bytes_and_the_latest_stays() {
        let flights = Arc::<Flights>::default();
        let long = Session { id_token: Some(Token::new("t".repeat(60_000))), ..session() };
        for n in 0..1000 {
            land(&flights, n, Outcome::Renewed(Renewed::new(Arc::new(long.clone()))));
            assert!(flights.lock().bytes <= MAX_BYTES, "{n}");
        }
        assert!(flights.lock().by_key.len() > 100);
        assert!(matches!(flights.join(&key(999), || Admission::Usual), Joined::Running(_)));
        assert!(matches!(flights.join(&key(0), || Admission::No), Joined::Not), "forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn everything_is_forgotten_in_its_time() {
        let flights = Arc::<Flights>::default();
        for n in 0..100 {
            let outcome = match n % 4 {
                0 => Outcome::Kept,
                1 => Outcome::Ended,
                2 => Outcome::Contested,
                _ => Outcome::Renewed(Renewed::new(Arc::new(session()))),
            };
            land(&flights, n, outcome);
        }
        let Joined::Start(landing, _) = flights.join(&key(1000), || Admission::Usual) else {
            panic!()
        };
        landing.rescue(Arc::new(session()));
        tokio::time::advance(SHARED_FOR).await;
        flights.lock().sweep(Instant::now());
        assert_eq!(flights.lock().landed.len(), 0);
        assert!(flights.rescued(&key(1000)).is_some());
        tokio::time::advance(RESCUED_FOR).await;
        flights.lock().sweep(Instant::now());
        assert!(flights.rescued(&key(1000)).is_none());
        drop(landing);
        assert_eq!(flights.lock().bytes, 0);
    }
}
