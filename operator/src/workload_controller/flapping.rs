//! Counts how often somebody else's change was undone, and gives up for a while before two programs wear a cluster out
//! with rollouts.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Repairs within [`WINDOW`] after which no further one is made.
pub(crate) const MOST: usize = 5;
/// The time over which repairs are counted.
const WINDOW: Duration = Duration::from_hours(1);

/// Repairs of one workload. Kept in memory: a new leader starts to count anew, which costs at most [`MOST`] rollouts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Repairs(VecDeque<Instant>);

impl Repairs {
    /// Notes a repair, or says how long to wait before the next may be made.
    pub(crate) fn allow(&mut self, now: Instant) -> Result<(), Duration> {
        while self.0.front().is_some_and(|first| now.duration_since(*first) >= WINDOW) {
            self.0.pop_front();
        }
        match self.0.front() {
            Some(first) if self.0.len() >= MOST => {
                Err(WINDOW.saturating_sub(now.duration_since(*first)))
            }
            _ => {
                self.0.push_back(now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repairs_stop_after_a_few_and_go_on_when_the_first_is_an_hour_old() {
        let start = Instant::now();
        let mut repairs = Repairs::default();
        for minute in 0..5 {
            assert_eq!(repairs.allow(start + Duration::from_secs(60 * minute)), Ok(()));
        }
        assert_eq!(repairs.allow(start + Duration::from_mins(10)), Err(Duration::from_mins(50)));
        assert_eq!(repairs.allow(start + Duration::from_hours(1)), Ok(()));
    }
}
