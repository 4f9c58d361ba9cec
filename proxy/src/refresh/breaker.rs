//! What is known of each provider's health: whether to wait for it, and whether to ask it at all.
//!
//! Two answers in a row that did not come in the time that requests of people with a live session have, and nobody waits
//! that time again until an answer has come. Two calls in a row that failed because the provider is not there, and it is
//! left alone but for one call at a time, with pauses that grow to a minute. Only providers that the configuration names
//! have sessions, so this does not grow.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// So often in a row it may fail, or keep people waiting, before that has consequences.
const FAILURES: u32 = 2;
/// The first pause between calls to a provider that is away, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// How long one call that finds out whether it is back has the field for itself: longer than it takes to know.
const PROBE: Duration = Duration::from_secs(15);
/// What somebody is told who asks when to come again, if nothing better is known.
const USUAL_PAUSE: Duration = Duration::from_secs(10);

/// The health of all providers of the process.
#[derive(Default)]
pub(super) struct Breakers(Mutex<HashMap<String, Breaker>>);

#[derive(Default)]
struct Breaker {
    /// Times in a row that a request waited briefly and in vain.
    in_vain: u32,
    /// Calls in a row that failed because it is away.
    away: u32,
    /// It is left alone until then.
    closed_until: Option<Instant>,
}

/// Whether a provider may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// As usual.
    Usual,
    /// To see whether it is back.
    Probe,
    /// Not now.
    No,
}

/// What waiting for a provider is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prospect {
    /// It answers in time, as far as is known.
    Good,
    /// It is slow: somebody who can do without an answer does not wait.
    Slow,
    /// It is away: nobody waits.
    Away,
}

impl Breakers {
    /// Whether to ask the provider now. [`Admission::Probe`] is given to one call at a time.
    pub(super) fn admit(&self, provider: &str) -> Admission {
        let mut breakers = self.lock();
        let Some(Breaker { closed_until: Some(until), .. }) = breakers.get_mut(provider) else {
            return Admission::Usual;
        };
        let now = Instant::now();
        if now < *until {
            return Admission::No;
        }
        *until = now + PROBE;
        Admission::Probe
    }

    /// Whether to wait for it.
    pub(super) fn prospect(&self, provider: &str) -> Prospect {
        match self.lock().get(provider) {
            Some(Breaker { closed_until: Some(_), .. }) => Prospect::Away,
            Some(breaker) if breaker.in_vain >= FAILURES => Prospect::Slow,
            _ => Prospect::Good,
        }
    }

    /// Somebody waited briefly and in vain.
    pub(super) fn kept_waiting(&self, provider: &str) {
        let mut breakers = self.lock();
        let breaker = breakers.entry(provider.to_owned()).or_default();
        breaker.in_vain = breaker.in_vain.saturating_add(1);
    }

    /// It answered, whatever it said.
    pub(super) fn answered(&self, provider: &str) {
        if self.lock().remove(provider).is_some_and(|breaker| breaker.closed_until.is_some()) {
            tracing::info!(provider, "the provider answers again");
        }
    }

    /// A call that was admitted so failed because it is away.
    pub(super) fn away(&self, provider: &str, admission: Admission) {
        let mut breakers = self.lock();
        let breaker = breakers.entry(provider.to_owned()).or_default();
        // Calls that were under way when it was given up say nothing new.
        if breaker.closed_until.is_some() && admission != Admission::Probe {
            return;
        }
        breaker.away = breaker.away.saturating_add(1);
        let Some(more) = breaker.away.checked_sub(FAILURES) else { return };
        let pause = FIRST_PAUSE.saturating_mul(1 << more.min(8)).min(LONGEST_PAUSE);
        if more == 0 {
            tracing::warn!(
                provider,
                "the provider does not answer: sessions are not refreshed, and one call at a time finds out when it does"
            );
        }
        breaker.closed_until = Some(Instant::now() + pause);
    }

    /// A call that was admitted so did not ask it after all: the next may.
    pub(super) fn unasked(&self, provider: &str, admission: Admission) {
        if admission == Admission::Probe
            && let Some(breaker) = self.lock().get_mut(provider)
            && breaker.closed_until.is_some()
        {
            breaker.closed_until = Some(Instant::now());
        }
    }

    /// When it may be worth asking again.
    pub(super) fn pause(&self, provider: &str) -> Duration {
        let until = self.lock().get(provider).and_then(|breaker| breaker.closed_until);
        until.map_or(USUAL_PAUSE, |at| at.saturating_duration_since(Instant::now()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Breaker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_is_away_is_asked_by_one_call_at_a_time_with_growing_pauses() {
        let breakers = Breakers::default();
        assert_eq!(breakers.admit("a"), Admission::Usual);
        breakers.away("a", Admission::Usual);
        assert_eq!(
            (breakers.admit("a"), breakers.prospect("a")),
            (Admission::Usual, Prospect::Good)
        );
        breakers.away("a", Admission::Usual);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            // Those that were under way do not lengthen the pause.
            breakers.away("a", Admission::Usual);
            assert_eq!(
                (breakers.admit("a"), breakers.prospect("a")),
                (Admission::No, Prospect::Away)
            );
            assert_eq!(breakers.pause("a"), Duration::from_secs(seconds));
            tokio::time::advance(Duration::from_secs(seconds)).await;
            assert_eq!(
                [breakers.admit("a"), breakers.admit("a")],
                [Admission::Probe, Admission::No]
            );
            breakers.away("a", Admission::Probe);
        }
        assert_eq!(breakers.admit("b"), Admission::Usual, "another provider is not concerned");
        breakers.answered("a");
        assert_eq!(
            (breakers.admit("a"), breakers.prospect("a")),
            (Admission::Usual, Prospect::Good)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_never_ends_does_not_keep_the_next_from_trying() {
        let breakers = Breakers::default();
        breakers.away("a", Admission::Usual);
        breakers.away("a", Admission::Usual);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(breakers.admit("a"), Admission::Probe);
        breakers.unasked("a", Admission::Usual);
        assert_eq!(breakers.admit("a"), Admission::No);
        breakers.unasked("a", Admission::Probe);
        assert_eq!(breakers.admit("a"), Admission::Probe, "the one before asked nothing");
        tokio::time::advance(PROBE).await;
        assert_eq!(breakers.admit("a"), Admission::Probe);
    }

    #[test]
    fn a_slow_provider_is_not_waited_for_until_it_answers() {
        let breakers = Breakers::default();
        breakers.kept_waiting("a");
        assert_eq!(breakers.prospect("a"), Prospect::Good);
        breakers.kept_waiting("a");
        assert_eq!(
            (breakers.prospect("a"), breakers.admit("a")),
            (Prospect::Slow, Admission::Usual)
        );
        breakers.answered("a");
        assert_eq!(breakers.prospect("a"), Prospect::Good);
    }
}
