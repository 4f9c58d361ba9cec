//! What a request asks of whoever sends it, and what a person has to show: sets of numbered requirements, so that a request on
//! its way compares two numbers and never looks at a claim.
//!
//! A configuration numbers its requirements when it is compiled. Number 0 is that of the whole site. A rule that asks for more
//! gets a number of its own, and a rule that lets nobody pass one that nobody is given.

/// A set of requirements. Two sets are joined where a request could be taken for either of two: whoever meets the whole of it may
/// send both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Requirements(u64);

impl Requirements {
    /// Asks for nothing: nobody needs to be there.
    pub(crate) const NONE: Self = Self(0);
    /// The lists of addresses and groups that hold for the whole site.
    pub(crate) const SITE: Self = Self(1);

    /// All of both.
    #[must_use]
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `others` are among them.
    pub(crate) const fn include(self, others: Self) -> bool {
        others.0 & !self.0 == 0
    }

    /// Whether there are none.
    pub(crate) const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// That with a number; `None`: there are not so many. For tests, until a rule asks for one.
    #[cfg(test)]
    pub(super) fn numbered(number: u32) -> Option<Self> {
        1_u64.checked_shl(number).map(Self)
    }
}

/// What a request asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asks {
    /// As it is.
    pub(crate) now: Requirements,
    /// All that it could ask with another method. A header that asks the application for one is only for whoever meets this.
    pub(crate) with_any_method: Requirements,
}

impl Asks {
    /// The same with every method.
    pub(crate) const fn always(asked: Requirements) -> Self {
        Self { now: asked, with_any_method: asked }
    }

    /// All of both.
    #[must_use]
    pub(crate) const fn and(self, other: Self) -> Self {
        Self {
            now: self.now.and(other.now),
            with_any_method: self.with_any_method.and(other.with_any_method),
        }
    }

    /// Whether nobody needs to be there.
    pub(crate) const fn are_open(self) -> bool {
        self.now.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_one_of_its_own_or_none() {
        let all = (0..64).map(|number| Requirements::numbered(number).expect("a number"));
        let mut known = Requirements::NONE;
        for one in all {
            assert!(!known.include(one) && !one.is_none());
            known = known.and(one);
        }
        assert_eq!(Requirements::numbered(0), Some(Requirements::SITE));
        for number in [64, 65, 128, u32::MAX] {
            assert_eq!(Requirements::numbered(number), None, "{number}");
        }
    }

    #[test]
    fn what_is_asked_twice_is_met_by_whoever_meets_both() {
        let [one, other] = [1, 2].map(|number| Requirements::numbered(number).expect("a number"));
        let both = one.and(other);
        assert!(both.include(one) && both.include(other) && both.include(both));
        assert!(!one.include(both) && !one.include(other));
        assert!(one.include(Requirements::NONE) && Requirements::NONE.include(Requirements::NONE));
        assert!(!Requirements::NONE.include(Requirements::SITE));
    }
}
