use super::{BUDGET, Idle, KEEP, POOLS, Pools, give_back, sweep};
use crate::stream::Stream;
use crate::upstream::http1::Connection;
use crate::upstream::known::Known;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::{Instant, advance};

fn connection(origin: &Arc<Known>) -> (Box<Connection>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Box::new(Connection::new(Stream::Unix(ours), Arc::clone(origin))), theirs)
}

/// A pool of one connection, idle since now.
fn pools(origin: &Arc<Known>) -> (Pools, UnixStream) {
    let mut pools = Pools { all: Vec::new(), weight: 0, spoke: 0 };
    let (connection, theirs) = connection(origin);
    pools.of(origin.id()).idle.push(Idle { connection, since: Instant::now(), weight: 1 });
    (pools, theirs)
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_repeated_gets_no_connection_that_may_be_closing() {
    let origin = Arc::new(Known::default());
    let (mut pools, _theirs) = pools(&origin);
    let start = Instant::now();
    advance(Duration::from_millis(20)).await;
    pools.of(origin.id()).note_closed(start, Instant::now());
    // Twenty milliseconds were too long; this one has waited just as long.
    assert!(pools.take(&origin, false).is_none());
    assert!(pools.take(&origin, true).is_some());
    let (fresh, _theirs) = connection(&origin);
    let idle = Idle { connection: fresh, since: Instant::now(), weight: 1 };
    pools.of(origin.id()).idle.push(idle);
    advance(Duration::from_millis(17)).await;
    assert!(pools.take(&origin, false).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_time_that_was_seen_once_is_not_believed_for_ever() {
    let origin = Arc::new(Known::default());
    let (mut pools, _theirs) = pools(&origin);
    let start = Instant::now();
    let pool = pools.of(origin.id());
    pool.note_closed(start, start);
    assert!(pool.is_stale(Instant::now()));
    pool.sweep(start + Duration::from_mins(11));
    assert!(!pool.is_stale(Instant::now()));
}

#[tokio::test]
async fn idle_connections_are_bounded_by_number_and_by_weight() {
    let origin = Arc::new(Known::default());
    let mut others = Vec::new();
    for _ in 0..=KEEP {
        let (connection, theirs) = connection(&origin);
        others.push(theirs);
        give_back(7, connection);
    }
    let (count, weight) = POOLS.with_borrow_mut(|pools| (pools.of(7).idle.len(), pools.weight));
    assert_eq!(count, KEEP);
    let each = weight / KEEP;
    POOLS.with_borrow_mut(|pools| pools.weight = BUDGET);
    let (connection, _theirs) = connection(&origin);
    give_back(8, connection);
    let counts = POOLS.with_borrow_mut(|pools| (pools.of(7).idle.len(), pools.of(8).idle.len()));
    assert_eq!(counts, (KEEP - 1, 1));
    sweep(Instant::now());
    assert_eq!(POOLS.with_borrow(|pools| pools.weight), each * KEEP);
}
