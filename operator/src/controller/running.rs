//! Which turns are under way now, so that one controller can wait for those of another that may not know yet what it knows.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A turn: the controller's name, and `namespace/name` of the object.
type Turn = (&'static str, String);

/// The turns that are under way in this process. Clones are one.
#[derive(Clone, Default)]
pub(crate) struct Running(Arc<Mutex<HashSet<Turn>>>);

impl Running {
    /// Notes a turn until what is returned is dropped, in whatever way the turn ends.
    pub(crate) fn enter(&self, controller: &'static str, key: &str) -> impl Drop + use<> {
        let turn = (controller, key.to_owned());
        self.lock().insert(turn.clone());
        Entered { running: self.clone(), turn }
    }

    /// `namespace/name` of the objects whose turns are under way now, in any controller but `besides`.
    pub(crate) fn others(&self, besides: &str) -> HashSet<String> {
        let turns = self.lock();
        let others = turns.iter().filter(|(controller, _)| *controller != besides);
        others.map(|(_, key)| key.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Turn>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Entered {
    running: Running,
    turn: Turn,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.running.lock().remove(&self.turn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_known_while_it_lasts_to_other_controllers() {
        let running = Running::default();
        let turn = running.enter("workload", "shop/web");
        assert!(running.clone().others("oauth2proxy").contains("shop/web"));
        assert!(running.others("workload").is_empty());
        drop(turn);
        assert!(running.others("oauth2proxy").is_empty());
    }
}
