//! Which connections the admin listeners keep. Anybody who reaches the pod can open them, so nobody can take all: the
//! oldest that asks for nothing gives way to a new one, and a few places are for this pod and the node, which probes it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Probes, a scraper and the operator: more connections than this are somebody else's.
pub(super) const ALL: usize = 64;
/// How many of them others than this pod and the node may have.
pub(super) const FAR: usize = 56;

/// The places of one listener.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    next: u64,
    /// By age.
    taken: BTreeMap<u64, Taken>,
}

#[derive(Debug)]
struct Taken {
    near: bool,
    busy: bool,
    over: Arc<Notify>,
}

/// A place, given back when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Slots,
    number: u64,
    over: Arc<Notify>,
}

impl Slots {
    /// A place for a new connection, `near` from this pod or the node; none if all others have a request under way.
    pub(super) fn enter(&self, near: bool) -> Option<Slot> {
        let mut table = self.table();
        let counted = table.taken.values().filter(|taken| near || !taken.near).count();
        if counted >= if near { ALL } else { FAR } {
            let idle = |from_near: bool| {
                let is_idle = |taken: &Taken| !taken.busy && taken.near == from_near;
                table.taken.iter().find(|(_, taken)| is_idle(taken)).map(|(number, _)| *number)
            };
            let oldest = idle(false).or_else(|| idle(true).filter(|_| near))?;
            if let Some(taken) = table.taken.remove(&oldest) {
                taken.over.notify_one();
            }
        }
        let (number, over) = (table.next, Arc::new(Notify::new()));
        table.next += 1;
        table.taken.insert(number, Taken { near, busy: false, over: Arc::clone(&over) });
        Some(Slot { slots: self.clone(), number, over })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Whether there is a request to answer; then the place is safe. Who does not read the answer has none.
    pub(super) fn set_busy(&self, busy: bool) {
        if let Some(taken) = self.slots.table().taken.get_mut(&self.number) {
            taken.busy = busy;
        }
    }

    /// Returns when somebody else has got the place.
    pub(super) async fn over(&self) {
        self.over.notified().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.table().taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    fn is_over(slot: &Slot) -> bool {
        slot.over().now_or_never().is_some()
    }

    #[test]
    fn the_oldest_without_a_request_gives_way_and_never_the_newest() {
        let slots = Slots::default();
        let taken: Vec<_> = (0..FAR).map(|_| slots.enter(false).unwrap()).collect();
        taken[0].set_busy(true);
        let new = slots.enter(false).unwrap();
        assert!(is_over(&taken[1]), "it was the oldest that asked for nothing");
        assert!(![&taken[0], &taken[2], &new].into_iter().any(is_over));
    }

    #[test]
    fn with_a_request_on_every_other_connection_a_new_one_is_refused() {
        let slots = Slots::default();
        let taken: Vec<_> = (0..FAR).map(|_| slots.enter(false).unwrap()).collect();
        for slot in &taken {
            slot.set_busy(true);
        }
        assert!(slots.enter(false).is_none());
        let near: Vec<_> = (FAR..ALL).map(|_| slots.enter(true).unwrap()).collect();
        for slot in &near {
            slot.set_busy(true);
        }
        assert!(slots.enter(true).is_none());
        drop(taken);
        assert!(slots.enter(false).is_some());
    }

    #[test]
    fn strangers_push_nobody_near_out() {
        let slots = Slots::default();
        let near: Vec<_> = (0..4).map(|_| slots.enter(true).unwrap()).collect();
        let far: Vec<_> = (0..3 * ALL).map(|_| slots.enter(false).unwrap()).collect();
        assert!(!near.iter().any(is_over));
        assert_eq!(far.iter().filter(|slot| !is_over(slot)).count(), FAR);
        // What is near takes from strangers first.
        let more: Vec<_> = (0..ALL - 4).map(|_| slots.enter(true).unwrap()).collect();
        assert!(!near.iter().chain(&more).any(is_over));
        let _one_more = slots.enter(true).unwrap();
        assert!(is_over(&near[0]));
    }
}
