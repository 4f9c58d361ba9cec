//! Lines that anybody can cause as often as they like: the first is written, then one a second, which says how many were
//! left out. One of these stands in each thread, for one line of code.

use std::cell::Cell;
use std::time::Duration;
use tokio::time::Instant;

const PAUSE: Duration = Duration::from_secs(1);

/// Says which of many like events are told.
#[derive(Debug, Default)]
pub(crate) struct Sparing {
    next: Cell<Option<Instant>>,
    left_out: Cell<u64>,
}

impl Sparing {
    /// Nothing was told yet.
    pub(crate) const fn new() -> Self {
        Self { next: Cell::new(None), left_out: Cell::new(0) }
    }

    /// Whether the event that happens now is told, and how many before it were not.
    pub(crate) fn admit(&self) -> Option<u64> {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> Option<u64> {
        if self.next.get().is_some_and(|next| now < next) {
            self.left_out.set(self.left_out.get() + 1);
            return None;
        }
        self.next.set(Some(now + PAUSE));
        Some(self.left_out.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_tells_how_many_were_left_out() {
        let (sparing, start) = (Sparing::new(), Instant::now());
        let at = |milliseconds| sparing.admit_at(start + Duration::from_millis(milliseconds));
        assert_eq!([at(0), at(1), at(999)], [Some(0), None, None]);
        assert_eq!([at(1000), at(1001), at(5000)], [Some(2), None, Some(1)]);
    }
}
