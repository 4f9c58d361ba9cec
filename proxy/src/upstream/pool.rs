//! Idle connections to upstreams, per worker thread and without a lock, last used first. A connection is here only while
//! nobody uses it; a request that breaks off never brings its connection back.

use super::http1::Connection;
use std::cell::RefCell;
use std::time::Duration;
use tokio::time::Instant;

/// Idle connections kept for one origin by one worker; more are closed.
const KEEP: usize = 256;
/// How long a connection may be idle.
const IDLE: Duration = Duration::from_secs(90);

struct Idle {
    connection: Connection,
    since: Instant,
}

thread_local! {
    static POOLS: RefCell<Vec<(u64, Vec<Idle>)>> = const { RefCell::new(Vec::new()) };
}

/// Others may use `connection`, which leads to `origin`.
pub(crate) fn give_back(origin: u64, connection: Connection) {
    let idle = Idle { connection, since: Instant::now() };
    with(origin, |pool| {
        if pool.len() >= KEEP {
            pool.remove(0).connection.close();
        }
        pool.push(idle);
    });
}

/// The connection to `origin` that was used last and is open.
pub(super) fn take(origin: u64) -> Option<Connection> {
    with(origin, |pool| {
        while let Some(mut idle) = pool.pop() {
            if idle.connection.is_idle() {
                return Some(idle.connection);
            }
        }
        None
    })
}

/// Closes what was closed by the other side, or has been idle for too long, on this thread.
pub(crate) fn sweep(now: Instant) {
    POOLS.with_borrow_mut(|pools| {
        for (_, pool) in pools.iter_mut() {
            let over = |idle: &mut Idle| {
                now.duration_since(idle.since) >= IDLE || !idle.connection.is_idle()
            };
            pool.extract_if(.., over).for_each(|idle| idle.connection.close());
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
