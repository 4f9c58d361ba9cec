//! Who is refreshing what at the moment, and what came of it a moment ago. Bounded in number and in bytes, and locked only
//! for a look-up.

mod landing;
mod refusals;

pub(super) use landing::Landing;

use super::Outcome;
use super::breaker::Admission;
use super::renewed::Renewed;
use crate::random;
use crate::session::Session;
use aws_lc_rs::hmac;
use refusals::Refusals;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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
/// How long requests that were on their way with the old cookie are given the outcome.
const SHARED_FOR: Duration = Duration::from_mins(1);

/// The flights of a process.
pub(super) struct Flights {
    state: Mutex<State>,
    /// Makes keys, so that what is remembered can not be searched for a cookie.
    digest: hmac::Key,
    /// How many renewed sessions no request has come with yet. Read without the lock by everybody who comes with one.
    awaited: AtomicUsize,
}

/// What all requests have in common whose cookie holds `session`. Not the cookie: one session may have been sealed more than
/// once. Not the token alone: where tokens are not rotated, the renewed session has it too and is due again later.
pub(super) fn name(session: &Session) -> Option<String> {
    let token = session.refresh_token.as_ref()?;
    Some(format!("{} {}", session.created_at.as_millisecond(), token.as_str()))
}

#[derive(Default)]
struct State {
    by_key: HashMap<Key, Entry>,
    /// Landed ones, in the order in which they are forgotten.
    landed: BTreeSet<(Instant, Key)>,
    rescued: HashMap<Key, Rescued>,
    /// By the key of a renewed session that no request has come with, that of the flight that brought it.
    awaited: HashMap<Key, Key>,
    refused: Refusals,
    /// Of all sessions in here.
    bytes: usize,
}

struct Entry {
    outlook: Outlook,
    /// When the flight began.
    since: Instant,
    /// Forgotten from then on; `None`: still in the air.
    forget_at: Option<Instant>,
    /// The key of what it brought, as long as no request has come with that.
    awaited: Option<Key>,
    bytes: usize,
}

struct Rescued {
    until: Instant,
    renewed: Arc<Renewed>,
    /// Somebody looks after it.
    tended: bool,
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

impl Default for Flights {
    fn default() -> Self {
        let digest = hmac::Key::new(hmac::HMAC_SHA256, &random::array::<32>());
        Self { state: Mutex::default(), digest, awaited: AtomicUsize::new(0) }
    }
}

impl Flights {
    /// The key of what `text` names.
    pub(super) fn key(&self, text: &str) -> Key {
        let tag = hmac::sign(&self.digest, text.as_bytes());
        tag.as_ref().try_into().expect("HMAC-SHA256 gives 32 bytes")
    }

    /// A request came with `session` in its cookie.
    pub(super) fn seen(&self, session: &Session) {
        if self.awaited.load(Ordering::Relaxed) == 0 {
            return;
        }
        let Some(new) = name(session).map(|name| self.key(&name)) else { return };
        let mut state = self.lock();
        if let Some(old) = state.awaited.remove(&new) {
            state.has_arrived(&old, Instant::now());
            self.awaited.store(state.awaited.len(), Ordering::Relaxed);
        }
    }

    /// Joins the flight for `key`, or has the caller start it, if `admit` lets it. What has landed in a store and was
    /// written there is flown again: whoever comes has found the record older, or is late.
    pub(super) fn join(
        self: &Arc<Self>,
        key: &Key,
        in_store: bool,
        admit: impl FnOnce() -> Admission,
    ) -> Joined {
        let now = Instant::now();
        let mut state = self.lock();
        let newest = if in_store { state.newest(key, now) } else { None };
        if (newest.is_none() || state.rescued.contains_key(key))
            && let Some(running) = state.present(key, now)
        {
            return Joined::Running(running);
        }
        state.sweep(now);
        if state.by_key.len() >= MAX {
            tracing::warn!(
                "too many sessions are being refreshed at once; this one is left as it is"
            );
            return Joined::Not;
        }
        // To write what is known already, the provider is not needed.
        let admission = if newest.is_some() { Admission::Usual } else { admit() };
        if admission == Admission::No {
            return Joined::Not;
        }
        state.forget(key);
        let (sender, outlook) = watch::channel(None);
        let running = Running { outlook: outlook.clone(), since: now };
        let entry = Entry { outlook, since: now, forget_at: None, awaited: None, bytes: 0 };
        state.by_key.insert(*key, entry);
        let (flights, asked) = (Arc::clone(self), AtomicBool::new(false));
        Joined::Start(Landing { flights, key: *key, admission, sender, newest, asked }, running)
    }

    /// A session that was renewed earlier and could not be written.
    pub(super) fn rescued(&self, key: &Key) -> Option<Arc<Renewed>> {
        self.lock().rescued(key, Instant::now())
    }

    /// Whether something waits for the store that nobody looks after: the caller is to, then.
    pub(super) fn tend(&self, key: &Key) -> bool {
        let mut state = self.lock();
        let found = state.rescued.get_mut(key);
        found.is_some_and(|rescued| !std::mem::replace(&mut rescued.tended, true))
    }

    /// Forgets that it could not be written: it was, or has ended.
    pub(super) fn settled(&self, key: &Key) {
        let mut state = self.lock();
        if let Some(old) = state.rescued.remove(key) {
            state.bytes -= old.bytes;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn present(&self, key: &Key, now: Instant) -> Option<Running> {
        let entry =
            self.by_key.get(key).filter(|entry| entry.forget_at.is_none_or(|at| now < at))?;
        Some(Running { outlook: entry.outlook.clone(), since: entry.since })
    }

    /// What the flight of `key` brought is where it belongs: from now on it is remembered for a while only.
    fn has_arrived(&mut self, key: &Key, now: Instant) {
        let Some(entry) = self.by_key.get_mut(key) else { return };
        entry.awaited = None;
        if let Some(at) = entry.forget_at.filter(|at| now + SHARED_FOR < *at) {
            entry.forget_at = Some(now + SHARED_FOR);
            self.landed.remove(&(at, *key));
            self.landed.insert((now + SHARED_FOR, *key));
        }
    }

    fn rescued(&self, key: &Key, now: Instant) -> Option<Arc<Renewed>> {
        let rescued = self.rescued.get(key).filter(|rescued| now < rescued.until)?;
        Some(Arc::clone(&rescued.renewed))
    }

    /// The newest form of a session that is known here, whether or not it could be written.
    fn newest(&self, key: &Key, now: Instant) -> Option<Arc<Renewed>> {
        self.rescued(key, now).or_else(|| {
            let entry = self.by_key.get(key)?;
            entry.forget_at.filter(|at| now < *at)?;
            match &*entry.outlook.borrow() {
                Some(Outcome::Renewed(renewed)) => Some(Arc::clone(renewed)),
                _ => None,
            }
        })
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
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.by_key.remove(key) {
            self.bytes -= entry.bytes;
            if let Some(new) = entry.awaited {
                self.awaited.remove(&new);
            }
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(at) = self.by_key.get(key).and_then(|entry| entry.forget_at) {
            self.landed.remove(&(at, *key));
        }
        self.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::landing::{RESCUED_FOR, UNDELIVERED_FOR};
    use super::*;
    use crate::session::Token;
    use crate::store::tests::session;

    fn land(flights: &Arc<Flights>, n: u32, outcome: Outcome) {
        let Joined::Start(landing, _running) = flights.join(&key(n), false, || Admission::Usual)
        else {
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
        assert!(matches!(flights.join(&key(999), false, || Admission::Usual), Joined::Running(_)));
        assert!(matches!(flights.join(&key(0), false, || Admission::No), Joined::Not), "forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn everything_is_forgotten_in_its_time() {
        let flights = Arc::<Flights>::default();
        for n in 0..100 {
            let outcome = match n % 4 {
                0 => Outcome::Kept,
                1 => Outcome::Ended,
                2 => Outcome::Contested,
                _ => {
                    let refresh_token = Some(Token::new(format!("of-{n}")));
                    Outcome::Renewed(Renewed::new(Arc::new(Session { refresh_token, ..session() })))
                }
            };
            land(&flights, n, outcome);
        }
        let Joined::Start(landing, _) = flights.join(&key(1000), true, || Admission::Usual) else {
            panic!()
        };
        landing.rescue(&Renewed::new(Arc::new(session())));
        let arrived = Session { refresh_token: Some(Token::new("of-3")), ..session() };
        flights.seen(&arrived);
        tokio::time::advance(SHARED_FOR).await;
        flights.lock().sweep(Instant::now());
        assert_eq!(flights.lock().landed.len(), 24, "renewed, and not seen with their browsers");
        assert!(flights.rescued(&key(1000)).is_some());
        tokio::time::advance(RESCUED_FOR).await;
        flights.lock().sweep(Instant::now());
        assert!(flights.rescued(&key(1000)).is_none());
        tokio::time::advance(UNDELIVERED_FOR).await;
        flights.lock().sweep(Instant::now());
        drop(landing);
        let state = flights.lock();
        assert_eq!((state.bytes, state.awaited.len()), (0, 0));
    }
}
