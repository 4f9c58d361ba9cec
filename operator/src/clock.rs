//! The time of day, in one place, as a value that is handed on: whatever decides takes the time as a parameter.

use jiff::Timestamp;

/// Where the time comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clock {
    /// The system's.
    System,
}

impl Clock {
    /// The time now.
    pub(crate) fn precise(self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
        }
    }

    /// The time now, to the second: status holds no finer ones.
    pub(crate) fn now(self) -> Timestamp {
        let now = self.precise();
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }
}
