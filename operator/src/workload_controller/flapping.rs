//! How long to wait before somebody's change is undone once more. Two programs that undo each other's changes would wear a
//! cluster out with rollouts; somebody who deploys twenty times a day must not be taken for one of them.

use std::time::Duration;
use tokio::time::Instant;

/// What is undone sooner than this, on top of the wait before it, is a fight.
const FIGHT: Duration = Duration::from_mins(1);
/// The longest wait.
const LONGEST: Duration = Duration::from_mins(4);
/// Rounds of a fight after which it is told.
const TOLD: u32 = 3;

/// Repairs of one workload. Kept in memory: a new leader starts to count anew, which costs a few rollouts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Repairs {
    last: Option<Instant>,
    rounds: u32,
}

/// Why a repair is not made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    /// For how long.
    pub(crate) rest: Duration,
    /// Whether that has gone on for long enough to be told.
    pub(crate) told: bool,
}

impl Repairs {
    /// Whether a repair may be made now.
    ///
    /// # Errors
    /// How long to wait.
    pub(crate) fn allow(&self, now: Instant) -> Result<(), Wait> {
        let Some(last) = self.last else { return Ok(()) };
        let wait = wait(self.rounds);
        match (last + wait).checked_duration_since(now) {
            Some(rest) if !rest.is_zero() => Err(Wait { rest, told: self.rounds >= TOLD }),
            _ => Ok(()),
        }
    }

    /// Notes a repair.
    pub(crate) fn note(&mut self, now: Instant) {
        let fights =
            self.last.is_some_and(|last| now.duration_since(last) < wait(self.rounds) + FIGHT);
        self.rounds = if fights { self.rounds.saturating_add(1) } else { 0 };
        self.last = Some(now);
    }
}

/// Before the next repair: none before the second, then longer each time.
fn wait(rounds: u32) -> Duration {
    if rounds == 0 {
        return Duration::ZERO;
    }
    Duration::from_secs(1 << rounds.min(8)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fight_is_slowed_down_and_never_given_up() {
        let mut now = Instant::now();
        let mut repairs = Repairs::default();
        let mut waits = Vec::new();
        for _ in 0..12 {
            let wait = repairs.allow(now).err().map_or(Duration::ZERO, |wait| wait.rest);
            waits.push(wait.as_secs());
            now += wait;
            assert_eq!(repairs.allow(now), Ok(()));
            repairs.note(now);
        }
        assert_eq!(waits, [0, 0, 2, 4, 8, 16, 32, 64, 128, 240, 240, 240]);
        assert!(repairs.allow(now).unwrap_err().told);
    }

    #[test]
    fn deployments_are_no_fight_however_many() {
        let mut now = Instant::now();
        let mut repairs = Repairs::default();
        for _ in 0..50 {
            assert_eq!(repairs.allow(now), Ok(()));
            repairs.note(now);
            now += Duration::from_secs(70);
        }
        // Two at once are none either.
        repairs.note(now);
        assert_eq!(repairs.allow(now), Ok(()));
    }
}
