//! The time of day, in one place, as a value that is handed on: whatever decides takes the time as a parameter.

use jiff::Timestamp;

/// Where the time comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clock {
    /// The system's.
    System,
    /// The system's and so many seconds more, as a test says.
    #[cfg(test)]
    Ahead(&'static std::sync::atomic::AtomicI64),
}

impl Clock {
    /// The time now.
    pub(crate) fn precise(self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            #[cfg(test)]
            Self::Ahead(seconds) => {
                let more = seconds.load(std::sync::atomic::Ordering::SeqCst);
                Timestamp::now() + jiff::SignedDuration::from_secs(more)
            }
        }
    }

    /// The time now, to the second: status holds no finer ones.
    pub(crate) fn now(self) -> Timestamp {
        let now = self.precise();
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }
}
