//! Waiting for a condition with a deadline; on failure it says what was last seen.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Asks again, with growing pauses, until `check` says `Ok`; panics with the last `Err` when `limit` has passed.
///
/// # Panics
/// When the deadline passes.
#[expect(clippy::panic, reason = "the way a test fails")]
pub async fn eventually<T, E, F>(what: &str, limit: Duration, mut check: impl FnMut() -> F) -> T
where
    E: Debug,
    F: Future<Output = Result<T, E>>,
{
    let end = Instant::now() + limit;
    let mut pause = Duration::from_millis(20);
    loop {
        match check().await {
            Ok(value) => return value,
            Err(last) if Instant::now() >= end => {
                panic!("{what}: not within {limit:?}; last seen: {last:?}")
            }
            Err(_) => sleep(pause).await,
        }
        pause = (pause * 3 / 2).min(Duration::from_millis(500));
    }
}
