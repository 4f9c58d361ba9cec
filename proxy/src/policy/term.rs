//! How long a judgement may be used without looking again: until the first of all ends that are known. A [`Term`] can be made
//! shorter and never longer, so whoever forgets nothing that ends can not pass somebody for too long.

use jiff::{SignedDuration, Timestamp};

/// From the moment of a judgement to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    from: Timestamp,
    /// `None`: nothing ends it.
    until: Option<Timestamp>,
}

impl Term {
    /// That of a judgement made `now`, as long as nothing is known to end it.
    pub(crate) const fn starting(now: Timestamp) -> Self {
        Self { from: now, until: None }
    }

    /// No longer than until `end`; `None` ends nothing.
    #[must_use]
    pub(crate) fn ending(self, end: Option<Timestamp>) -> Self {
        Self { until: self.until.into_iter().chain(end).min(), ..self }
    }

    /// No longer than for `length`.
    #[must_use]
    pub(crate) fn lasting(self, length: SignedDuration) -> Self {
        self.ending(Some(self.from.checked_add(length).unwrap_or(self.from)))
    }

    /// Whether the judgement holds for a request that came `now`.
    pub(crate) fn covers(self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Whether it holds for the request only that it was made for.
    pub(crate) fn is_over_at_once(self) -> bool {
        !self.covers(self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn what_lasts_no_time_is_over_at_once() {
        let term = Term::starting(at(100));
        assert!(!term.is_over_at_once() && term.covers(Timestamp::MAX));
        assert!(term.lasting(SignedDuration::ZERO).is_over_at_once());
        assert!(term.ending(Some(at(100))).is_over_at_once());
        assert!(!term.ending(Some(at(101))).is_over_at_once());
        let beyond_all_time = Term::starting(Timestamp::MAX).lasting(SignedDuration::from_secs(1));
        assert!(beyond_all_time.is_over_at_once());
    }

    proptest! {
        #[test]
        fn a_judgement_holds_until_the_first_of_all_ends_in_whatever_order_they_come(
            now in 0_i64..10,
            steps in prop::collection::vec((any::<bool>(), prop::option::of(0_i64..30)), 0..6),
            time in 0_i64..60,
        ) {
            let mut term = Term::starting(at(now));
            let mut covers = true;
            for (relative, end) in steps {
                let before = term;
                match end {
                    Some(length) if relative => {
                        term = term.lasting(SignedDuration::from_secs(length));
                        covers &= time < now + length;
                    }
                    end => {
                        term = term.ending(end.map(at));
                        covers &= end.is_none_or(|end| time < end);
                    }
                }
                prop_assert!(before.covers(at(time)) || !term.covers(at(time)), "never longer");
            }
            prop_assert_eq!(term.covers(at(time)), covers);
            prop_assert_eq!(term.is_over_at_once(), !term.covers(at(now)));
        }
    }
}
