//! Kinds of failures and how long each waits: a mistake of the user waits for a change, a conflict hardly at all, the API
//! server's trouble longer each time.

use crate::failure::{Failure, FailureClass};
use crate::jitter::jittered;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Times between looks at what is under way, in seconds. What the pods of an object say is to be known within a minute, so the
/// last one and the time that all may take to answer are less.
const LOOKS: [u64; 10] = [1, 1, 1, 1, 2, 2, 4, 8, 15, LONGEST];
const LONGEST: u64 = 30;
/// The last of them.
pub(super) const LAST: Duration = Duration::from_secs(LONGEST);

/// What is remembered of objects that failed, or with which something is under way.
#[derive(Default)]
pub(super) struct Backoff(Mutex<HashMap<String, Memory>>);

#[derive(Default)]
struct Memory {
    /// Failures in a row.
    failures: u32,
    /// Looks in a row that found the same.
    looks: usize,
    /// What they found.
    state: u64,
}

impl Backoff {
    /// Notes a failure; when to try again.
    pub(super) fn failed(&self, key: &str, failure: &Failure) -> Duration {
        let mut memories = self.lock();
        let count = &mut memories.entry(key.to_owned()).or_default().failures;
        *count = count.saturating_add(1);
        let (first, most) = match failure.class {
            FailureClass::User | FailureClass::Defect => {
                (Duration::from_mins(5), Duration::from_mins(10))
            }
            FailureClass::Conflict => (Duration::from_millis(100), Duration::from_secs(10)),
            FailureClass::Api => (Duration::from_secs(1), Duration::from_mins(5)),
            // Whoever made room in a quota or changed a policy looks whether it helped.
            FailureClass::Refused => (Duration::from_secs(1), Duration::from_mins(2)),
        };
        let delay = first.saturating_mul(1 << (*count - 1).min(16)).min(most);
        jittered(delay.max(failure.not_before), (key, *count))
    }

    /// Notes that something is under way, and at which state; when to look again.
    pub(super) fn soon(&self, key: &str, state: u64) -> Duration {
        let mut memories = self.lock();
        let memory = memories.entry(key.to_owned()).or_default();
        let looks = if memory.state == state { memory.looks } else { 0 };
        *memory = Memory { failures: 0, looks: looks + 1, state };
        let delay = LOOKS.get(looks).or(LOOKS.last()).copied().unwrap_or_default();
        jittered(Duration::from_secs(delay), (key, looks))
    }

    /// Notes a success with nothing under way, or that the object is gone.
    pub(super) fn forget(&self, key: &str) {
        self.lock().remove(key);
    }

    /// Whether anything is remembered.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Memory>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api() -> Failure {
        Failure::timeout(Duration::from_mins(1))
    }

    #[test]
    fn each_failure_of_the_api_waits_longer_up_to_a_bound() {
        let backoff = Backoff::default();
        let delays: Vec<_> = (0..20).map(|_| backoff.failed("a/b", &api())).collect();
        assert!(delays[0] >= Duration::from_secs(1) && delays[0] < Duration::from_secs(2));
        assert!(delays.windows(2).take(7).all(|pair| pair[0] < pair[1]), "{delays:?}");
        assert!(delays[19] <= Duration::from_secs(375));
    }

    #[test]
    fn a_success_starts_over_and_objects_do_not_share_their_failures() {
        let backoff = Backoff::default();
        for _ in 0..6 {
            backoff.failed("a/b", &api());
        }
        assert!(backoff.failed("a/c", &api()) < Duration::from_secs(2));
        backoff.forget("a/b");
        assert!(backoff.failed("a/b", &api()) < Duration::from_secs(2));
    }

    #[test]
    fn a_conflict_is_tried_again_at_once() {
        let delay = Backoff::default().failed("a/b", &Failure::conflict("meanwhile"));
        assert!(delay < Duration::from_millis(200));
    }

    #[test]
    fn the_api_server_decides_when_it_is_asked_again() {
        let busy = Failure { not_before: Duration::from_secs(90), ..api() };
        assert!(Backoff::default().failed("a/b", &busy) >= Duration::from_secs(90));
    }

    #[test]
    fn what_stays_as_it_is_is_looked_at_less_and_less_and_a_change_soon_again() {
        let backoff = Backoff::default();
        let delays: Vec<_> = (0..20).map(|_| backoff.soon("a/b", 1)).collect();
        assert!(delays[0] < Duration::from_secs(2), "{delays:?}");
        assert!(delays[12..].iter().all(|delay| *delay >= Duration::from_secs(30)), "{delays:?}");
        assert!(backoff.soon("a/b", 2) < Duration::from_secs(2));
        backoff.forget("a/b");
        assert!(backoff.is_empty());
    }
}
