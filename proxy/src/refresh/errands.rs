//! What goes on behind requests and has to be done before the process ends: refreshes that end in a store, and removals
//! that the store did not take. Each has its bound in time, and removals in number.

use crate::store::{Store, Ticket};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

/// How often the store is tried again, whether or not there are requests: at first soon, because another process that has it
/// back may use a spent refresh token, or a session that was signed out.
const OFTEN: Duration = Duration::from_millis(200);
const OFTEN_FOR: Duration = Duration::from_secs(30);
const EVERY: Duration = Duration::from_secs(1);
/// How long a record that could not be removed is tried again.
const REMOVED_WITHIN: Duration = Duration::from_mins(10);
/// Most records that wait for their removal. Others stay until they expire.
const MAX: usize = 1024;

/// All of a process.
pub(super) struct Errands {
    control: Handle,
    under_way: watch::Sender<usize>,
    removals: Arc<Semaphore>,
}

/// One more, until it is dropped.
struct UnderWay(Arc<Errands>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.send_modify(|count| *count -= 1);
    }
}

impl Errands {
    pub(super) fn new(control: Handle) -> Arc<Self> {
        let (under_way, removals) = (watch::Sender::new(0), Arc::new(Semaphore::new(MAX)));
        Arc::new(Self { control, under_way, removals })
    }

    /// Does `work` on the control runtime.
    pub(super) fn run(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        self.under_way.send_modify(|count| *count += 1);
        let one = UnderWay(Arc::clone(self));
        self.control.spawn(async move {
            let _one = one;
            work.await;
        });
    }

    /// Removes a record that could not be removed, as soon as the store does it.
    pub(super) fn remove(self: &Arc<Self>, store: Arc<Store>, ticket: Ticket) {
        let Ok(place) = Arc::clone(&self.removals).try_acquire_owned() else {
            tracing::warn!(
                "too many records wait for their removal; one of an ended session stays until it expires"
            );
            return;
        };
        self.run(async move {
            let (_place, began) = (place, Instant::now());
            while began.elapsed() < REMOVED_WITHIN {
                tokio::time::sleep(pause(began)).await;
                if store.remove(Some(&ticket)).await.is_ok() {
                    tracing::info!(
                        "the record of an ended session is removed, later than it should"
                    );
                    return;
                }
            }
            tracing::warn!("the record of an ended session stays until it expires");
        });
    }

    /// Waits until all are done.
    pub(super) async fn done(&self) {
        // The sender is here.
        let _ = self.under_way.subscribe().wait_for(|count| *count == 0).await;
    }
}

/// The time until the next attempt of what was first tried at `began`.
pub(super) fn pause(began: Instant) -> Duration {
    if began.elapsed() < OFTEN_FOR { OFTEN } else { EVERY }
}
