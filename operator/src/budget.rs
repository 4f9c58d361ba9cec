//! How often what is settled is looked at again. Watches tell what changes; the looks that are made all the same are for what
//! no watch tells, and all of them together have to cost little, however many things there are.
//!
//! With few of a kind each has its usual interval. With more the interval grows, with the square of their number and from
//! [`MANY`] on in proportion to it: then each [`Share`] is kept, and all of them are under five requests a second.

use crate::jitter::number;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// From so many on looks of a kind are no more often than its share.
const MANY: u32 = 1000;

/// Looks at one kind of thing, with how many of them there may be in a thousand seconds when there are many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// Turns of objects: the Secrets that were made, and those that they are made of.
    Objects,
    /// Turns of workloads: the workload, its object and its companion. Their watches tell all of it.
    Workloads,
    /// Turns of Services: the Service, what is behind it and its pods.
    Services,
    /// Looks at the pods of workloads.
    Observers,
    /// Looks at the pods of stand-alone proxies.
    Standalone,
    /// What is told of other kinds, which costs no request.
    Told,
    /// Versions of Secrets and config maps that objects name.
    References,
}

impl Share {
    const ALL: usize = 7;

    const fn in_a_thousand_seconds(self) -> u32 {
        match self {
            Self::Objects => 200,
            Self::Workloads | Self::Services => 100,
            Self::Observers | Self::References => 1000,
            Self::Standalone => 400,
            Self::Told => 10_000,
        }
    }

    /// The interval of each of so many; never less than the usual one.
    pub(crate) fn interval(self, usual: Duration, number: usize) -> Duration {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let all = Duration::from_secs(1000) * number / self.in_a_thousand_seconds();
        usual.max(all.mul_f64(f64::from(number.min(MANY)) / f64::from(MANY)))
    }
}

/// What is looked at in all scopes of this process. Clones are one. Two of one number are counted as one, which nobody notices.
#[derive(Clone, Default)]
pub(crate) struct Budget(Arc<[Mutex<HashSet<u64>>; Share::ALL]>);

impl Budget {
    /// Notes that something is looked at again and again; the interval from now on.
    pub(crate) fn settled(&self, share: Share, key: impl Hash, usual: Duration) -> Duration {
        let Some(known) = self.0.get(share as usize) else { return usual };
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(number(key));
        share.interval(usual, known.len())
    }

    /// Something is looked at no more.
    pub(crate) fn forget(&self, share: Share, key: impl Hash) {
        if let Some(known) = self.0.get(share as usize) {
            known.lock().unwrap_or_else(PoisonError::into_inner).remove(&number(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn few_keep_their_usual_interval() {
        assert_eq!(
            Share::Observers.interval(Duration::from_secs(40), 200),
            Duration::from_secs(40)
        );
        assert_eq!(Share::References.interval(Duration::from_secs(5), 70), Duration::from_secs(5));
        for share in [Share::Objects, Share::Workloads, Share::Services] {
            assert_eq!(share.interval(10 * MINUTE, 240), 10 * MINUTE, "{share:?}");
        }
    }

    #[test]
    fn a_thousand_and_more_of_each_kind_cost_less_than_five_requests_a_second() {
        // Requests of one look, rounded up.
        let costs = [
            (Share::Objects, 5.0),
            (Share::Workloads, 4.0),
            (Share::Services, 5.0),
            (Share::Observers, 1.0),
            (Share::References, 1.0),
        ];
        for number in [1000_u32, 3000, 10_000] {
            let rate = |(share, cost): (Share, f64)| {
                let interval = share.interval(10 * MINUTE, number as usize);
                cost * f64::from(number) / interval.as_secs_f64()
            };
            let all: f64 = costs.into_iter().map(rate).sum();
            // The Lease costs a request a second.
            assert!(all < 4.0, "{number}: {all}");
        }
    }

    #[test]
    fn more_of_them_never_means_sooner() {
        for pair in (0..20_000).step_by(50).collect::<Vec<_>>().windows(2) {
            let of = |number| Share::Observers.interval(MINUTE, number);
            assert!(of(pair[0]) <= of(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn what_is_gone_no_longer_counts() {
        let budget = Budget::default();
        let settled = |key: usize| budget.settled(Share::Workloads, key, 10 * MINUTE);
        for key in 0..1000 {
            settled(key);
        }
        assert!(settled(0) > 10 * MINUTE);
        assert_eq!(settled(0), settled(999), "the same again is not more");
        for key in 1..1000_usize {
            budget.forget(Share::Workloads, key);
        }
        assert_eq!(settled(0), 10 * MINUTE);
    }
}
