//! Idle connections to upstreams, per worker thread and without a lock, last used first. A connection is here only while
//! nobody uses it; a request that breaks off never brings its connection back.

use super::forward::RequestBody;
use hyper::client::conn::http1::SendRequest;
use std::cell::RefCell;
use std::time::Duration;
use tokio::time::Instant;

/// The sending half of a connection.
pub(super) type Sender = SendRequest<RequestBody>;

/// Idle connections kept for one origin by one worker; more are closed.
const KEEP: usize = 256;
/// How long a connection may be idle.
const IDLE: Duration = Duration::from_secs(90);

struct Idle {
    sender: Sender,
    since: Instant,
}

thread_local! {
    static POOLS: RefCell<Vec<(u64, Vec<Idle>)>> = const { RefCell::new(Vec::new()) };
}

/// A connection in use. Dropped without [`Lease::give_back`] it is closed.
pub(crate) struct Lease {
    origin: u64,
    sender: Sender,
}

impl Lease {
    pub(super) fn new(origin: u64, sender: Sender) -> Self {
        Self { origin, sender }
    }

    pub(super) fn sender(&mut self) -> &mut Sender {
        &mut self.sender
    }

    /// The answer has been read to its end: others may use the connection.
    pub(crate) fn give_back(self) {
        if self.sender.is_closed() {
            return;
        }
        let idle = Idle { sender: self.sender, since: Instant::now() };
        with(self.origin, |pool| {
            if pool.len() >= KEEP {
                pool.remove(0);
            }
            pool.push(idle);
        });
    }
}

/// The connection to `origin` that was used last and is ready now.
pub(super) fn take(origin: u64) -> Option<Lease> {
    with(origin, |pool| {
        for index in (0..pool.len()).rev() {
            let sender = &pool.get(index)?.sender;
            // One that is open and not ready still sends a request body whose answer came early: leave it to finish.
            if sender.is_closed() {
                pool.remove(index);
            } else if sender.is_ready() {
                return Some(Lease { origin, sender: pool.remove(index).sender });
            }
        }
        None
    })
}

/// Closes what has been idle for too long on this thread.
pub(crate) fn sweep(now: Instant) {
    POOLS.with_borrow_mut(|pools| {
        for (_, pool) in pools.iter_mut() {
            pool.retain(|idle| !idle.sender.is_closed() && now.duration_since(idle.since) < IDLE);
        }
        pools.retain(|(_, pool)| !pool.is_empty());
    });
}

fn with<T>(origin: u64, act: impl FnOnce(&mut Vec<Idle>) -> T) -> T {
    POOLS.with_borrow_mut(|pools| {
        let index = pools.iter().position(|(id, _)| *id == origin).unwrap_or_else(|| {
            pools.push((origin, Vec::new()));
            pools.len() - 1
        });
        match pools.get_mut(index) {
            Some((_, pool)) => act(pool),
            None => act(&mut Vec::new()),
        }
    })
}
