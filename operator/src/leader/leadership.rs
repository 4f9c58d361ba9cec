//! Whether this replica may write now. A renewal counts for a while only, by two clocks: a node that was suspended goes on
//! where it was, with a monotonic clock that may have stood still, while another replica has long been writing.

use crate::clock::Clock;
use jiff::Timestamp;
use std::time::Duration;
use tokio::sync::watch::{Receiver, Sender, channel};
use tokio::time::Instant;

/// The last renewal, by both clocks.
#[derive(Clone, Copy)]
pub(super) struct Renewed {
    /// By the clock that is never set.
    pub(super) at: Instant,
    time: Timestamp,
}

/// The end that tells of renewals.
pub(super) struct Teller {
    renewed: Sender<Option<Renewed>>,
    clock: Clock,
}

/// Whether this replica holds the lease. Clones are one.
#[derive(Clone)]
pub(crate) struct Leadership {
    renewed: Receiver<Option<Renewed>>,
    /// How long a renewal counts.
    lasts: Duration,
    clock: Clock,
}

/// Both ends. A renewal counts for so long.
pub(super) fn leadership(lasts: Duration, clock: Clock) -> (Teller, Leadership) {
    let (sender, receiver) = channel(None);
    (Teller { renewed: sender, clock }, Leadership { renewed: receiver, lasts, clock })
}

impl Leadership {
    /// Waits until this replica may write.
    pub(crate) async fn acquired(&self) {
        let mut receiver = self.renewed.clone();
        if receiver.wait_for(|renewed| self.counts(*renewed)).await.is_err() {
            // The lease is gone and so is this process.
            std::future::pending::<()>().await;
        }
    }

    /// Whether it may at this moment.
    pub(crate) fn is_held(&self) -> bool {
        self.counts(*self.renewed.borrow())
    }

    fn counts(&self, renewed: Option<Renewed>) -> bool {
        renewed.is_some_and(|Renewed { at, time }| {
            // A clock that was set back says nothing.
            let by_the_day =
                self.clock.precise().duration_since(time).try_into().unwrap_or_default();
            at.elapsed().max(by_the_day) < self.lasts
        })
    }

    /// One that a test gives and takes, without an end of its own.
    #[cfg(test)]
    pub(crate) fn of_test() -> (impl Fn(bool), Self) {
        let (teller, leadership) = leadership(Duration::MAX, Clock::System);
        let give = move |leads: bool| {
            teller.renewed.send_replace(leads.then(|| teller.now()));
        };
        (give, leadership)
    }
}

impl Teller {
    /// Tells of a renewal that counts from that moment on; says whether it is the first.
    pub(super) fn tell(&self, renewed: Renewed) -> bool {
        self.renewed.send_replace(Some(renewed)).is_none()
    }

    /// Whether there was any renewal.
    pub(super) fn has_led(&self) -> bool {
        self.renewed.borrow().is_some()
    }

    /// This moment.
    pub(super) fn now(&self) -> Renewed {
        Renewed { at: Instant::now(), time: self.clock.precise() }
    }
}
