//! Idle connections to upstreams, per worker thread and without a lock, last used first. A connection is here only while
//! nobody uses it; a request that breaks off never brings its connection back.

use super::http1::{Connection, Silence};
use super::known::Known;
use crate::metrics::Event;
use crate::worker::Worker;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Idle connections kept for one origin by one worker; more are closed.
const KEEP: usize = 256;
/// What all idle connections of one worker may weigh.
const BUDGET: usize = 4 << 20;
/// How long a connection may be idle.
const IDLE: Duration = Duration::from_secs(90);
/// Connections to one origin that one worker may be opening at a time.
const OPENING: usize = 64;
/// How long a time after which an origin closed a connection is believed to be its rule: it may have been a restart.
const BELIEVED: Duration = Duration::from_mins(10);

struct Idle {
    connection: Box<Connection>,
    since: Instant,
    weight: usize,
}

struct Pool {
    origin: u64,
    /// Oldest first.
    idle: Vec<Idle>,
    /// The shortest time after which the other side was seen to have closed an idle connection, and when that was.
    closes_after: Option<(Duration, Instant)>,
    opening: Arc<Semaphore>,
}

struct Pools {
    all: Vec<Pool>,
    weight: usize,
    /// Connections that spoke unasked and are not counted yet.
    spoke: u32,
}

thread_local! {
    static POOLS: RefCell<Pools> = const { RefCell::new(Pools { all: Vec::new(), weight: 0, spoke: 0 }) };
}

/// Others may use `connection`, which leads to `origin`.
pub(crate) fn give_back(origin: u64, connection: Box<Connection>) {
    let weight = connection.weight();
    let idle = Idle { connection, since: Instant::now(), weight };
    POOLS.with_borrow_mut(|pools| {
        pools.weight += weight;
        let pool = pools.of(origin);
        pool.idle.push(idle);
        if pool.idle.len() > KEEP {
            pools.drop_oldest_of(origin);
        }
        while pools.weight > BUDGET {
            let fullest = pools.all.iter().max_by_key(|pool| pool.idle.len());
            let Some(origin) = fullest.map(|pool| pool.origin) else { break };
            pools.drop_oldest_of(origin);
        }
    });
}

/// The connection to `origin` that was used last and is open. What is not `repeatable` gets none that is about as old as
/// those that the other side closed.
pub(super) fn take(worker: &Worker, origin: &Known, repeatable: bool) -> Option<Taken> {
    POOLS.with_borrow_mut(|pools| {
        let taken = pools.take(origin, repeatable);
        for _ in 0..std::mem::take(&mut pools.spoke) {
            worker.shard.count(Event::UpstreamUnasked);
        }
        taken
    })
}

/// A connection that was idle.
pub(super) struct Taken {
    pub(super) connection: Box<Connection>,
    pub(super) since: Instant,
}

/// The other side was seen to have closed a connection that had been idle since `since`.
pub(super) fn note_closed(origin: &Known, since: Instant) {
    POOLS.with_borrow_mut(|pools| pools.of(origin.id()).note_closed(since, Instant::now()));
}

/// Who opens a connection to `origin` waits here for its turn.
pub(super) fn opening(origin: &Known) -> Arc<Semaphore> {
    POOLS.with_borrow_mut(|pools| Arc::clone(&pools.of(origin.id()).opening))
}

/// Closes what was closed by the other side, or has been idle for too long, on this thread.
pub(crate) fn sweep(now: Instant) {
    POOLS.with_borrow_mut(|pools| {
        let (mut weight, mut spoke) = (0, 0);
        for pool in &mut pools.all {
            spoke += pool.sweep(now);
            weight += pool.idle.iter().map(|idle| idle.weight).sum::<usize>();
        }
        pools.all.retain(|pool| {
            !pool.idle.is_empty()
                || pool.closes_after.is_some()
                || Arc::strong_count(&pool.opening) > 1
        });
        (pools.weight, pools.spoke) = (weight, pools.spoke + spoke);
    });
}

impl Pools {
    fn of(&mut self, origin: u64) -> &mut Pool {
        let index = self.all.iter().position(|pool| pool.origin == origin);
        let index = index.unwrap_or(self.all.len());
        if index == self.all.len() {
            self.all.push(Pool::new(origin));
        }
        #[expect(clippy::indexing_slicing, reason = "found or just pushed")]
        &mut self.all[index]
    }

    fn take(&mut self, origin: &Known, repeatable: bool) -> Option<Taken> {
        let pool = self.all.iter_mut().find(|pool| pool.origin == origin.id())?;
        loop {
            let newest = pool.idle.last()?;
            if !repeatable && pool.is_stale(newest.since) {
                return None;
            }
            let Idle { mut connection, since, weight } = pool.idle.pop()?;
            self.weight = self.weight.saturating_sub(weight);
            if connection.has_expired(since) || connection.is_suspect() {
                connection.close();
                continue;
            }
            match connection.silence() {
                Silence::Kept => return Some(Taken { connection, since }),
                Silence::Ended => pool.note_closed(since, Instant::now()),
                Silence::Broken => self.spoke += 1,
            }
        }
    }

    fn drop_oldest_of(&mut self, origin: u64) {
        let pool = self.of(origin);
        if pool.idle.is_empty() {
            return;
        }
        let Idle { connection, weight, .. } = pool.idle.remove(0);
        connection.close();
        self.weight = self.weight.saturating_sub(weight);
    }
}

impl Pool {
    fn new(origin: u64) -> Self {
        Self {
            origin,
            idle: Vec::new(),
            closes_after: None,
            opening: Arc::new(Semaphore::new(OPENING)),
        }
    }

    /// It may be closing just now. An eighth is for the way there and for clocks.
    fn is_stale(&self, since: Instant) -> bool {
        self.closes_after.is_some_and(|(after, _)| since.elapsed() >= after.mul_f32(0.875))
    }

    fn note_closed(&mut self, since: Instant, now: Instant) {
        let idle = now.saturating_duration_since(since);
        if self.closes_after.is_none_or(|(after, _)| idle <= after) {
            self.closes_after = Some((idle, now));
        }
    }

    /// Returns how many connections spoke unasked.
    fn sweep(&mut self, now: Instant) -> u32 {
        let (mut spoke, mut closed) = (0, None);
        let over = |idle: &mut Idle| {
            let quiet = match idle.connection.silence() {
                Silence::Kept => true,
                Silence::Ended => {
                    closed = Some(idle.since);
                    false
                }
                Silence::Broken => {
                    spoke += 1;
                    false
                }
            };
            !quiet
                || now.duration_since(idle.since) >= IDLE
                || idle.connection.has_expired(idle.since)
        };
        self.idle.extract_if(.., over).for_each(|idle| idle.connection.close());
        // The one that was idle for the shortest time is the last that was found.
        if let Some(since) = closed {
            self.note_closed(since, now);
        }
        if self.closes_after.is_some_and(|(_, seen)| now.duration_since(seen) >= BELIEVED) {
            self.closes_after = None;
        }
        spoke
    }
}

#[cfg(test)]
mod tests;
