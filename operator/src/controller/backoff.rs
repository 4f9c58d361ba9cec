//! Kinds of failures and how long each waits: a mistake of the user waits for a change, a conflict hardly at all, the API
//! server's trouble longer each time.

use crate::failure::FailureClass;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often each object has failed in a row.
#[derive(Default)]
pub(super) struct Backoff(Mutex<HashMap<String, u32>>);

impl Backoff {
    /// Notes a failure; when to try again.
    pub(super) fn failed(&self, key: &str, class: FailureClass) -> Duration {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(key.to_owned()).or_insert(0);
        *count = count.saturating_add(1);
        let (first, most) = match class {
            FailureClass::User => (Duration::from_mins(5), Duration::from_mins(10)),
            FailureClass::Conflict => (Duration::from_millis(100), Duration::from_secs(10)),
            FailureClass::Api => (Duration::from_secs(1), Duration::from_mins(5)),
            // Whoever made room in a quota or changed a policy looks whether it helped.
            FailureClass::Refused => (Duration::from_secs(1), Duration::from_mins(2)),
        };
        let delay = first.saturating_mul(1 << (*count - 1).min(16)).min(most);
        jittered(delay, &format!("{key}{count}"))
    }

    /// Notes a success, or that the object is gone.
    pub(super) fn forget(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// Up to a quarter more than `delay`, differently for each key, so that objects that failed together do not come back
/// together. Nothing secret depends on it, so a hash will do for chance.
pub(super) fn jittered(delay: Duration, key: &str) -> Duration {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    delay
        + (delay / 4).mul_f64(f64::from(u8::try_from(hasher.finish() & 0xff).unwrap_or(0)) / 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_of_the_api_waits_longer_up_to_a_bound() {
        let backoff = Backoff::default();
        let delays: Vec<_> = (0..20).map(|_| backoff.failed("a/b", FailureClass::Api)).collect();
        assert!(delays[0] >= Duration::from_secs(1) && delays[0] < Duration::from_secs(2));
        assert!(delays.windows(2).take(7).all(|pair| pair[0] < pair[1]), "{delays:?}");
        assert!(delays[19] <= Duration::from_secs(375));
    }

    #[test]
    fn a_success_starts_over_and_objects_do_not_share_their_failures() {
        let backoff = Backoff::default();
        for _ in 0..6 {
            backoff.failed("a/b", FailureClass::Api);
        }
        assert!(backoff.failed("a/c", FailureClass::Api) < Duration::from_secs(2));
        backoff.forget("a/b");
        assert!(backoff.failed("a/b", FailureClass::Api) < Duration::from_secs(2));
    }

    #[test]
    fn a_conflict_is_tried_again_at_once() {
        assert!(
            Backoff::default().failed("a/b", FailureClass::Conflict) < Duration::from_millis(200)
        );
    }
}
