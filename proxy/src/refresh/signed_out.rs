//! Sessions that were ended here: whoever comes with their cookie afterwards, or had them in renewal meanwhile, has none.
//!
//! A cookie can not be taken back from whoever copied it, so the process remembers. It remembers the last
//! [`MAX`] and until it ends, and other replicas do not know; with Redis they find the record gone.

use crate::session::Family;
use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most that are remembered, at about fifty bytes each. Only people with a session add to them.
const MAX: usize = 16_384;

/// The sessions that were ended in this process.
#[derive(Default)]
pub(crate) struct SignedOut {
    /// How many there were, ever. Read without the lock by everybody who keeps something of sessions.
    count: AtomicU64,
    recent: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    families: HashSet<Family>,
    /// Oldest first.
    order: VecDeque<Family>,
}

impl SignedOut {
    /// Ends a session and all that its refreshes make of it.
    pub(crate) fn add(&self, family: Family) {
        let mut recent = self.lock();
        if !recent.families.insert(family) {
            return;
        }
        recent.order.push_back(family);
        if recent.order.len() > MAX
            && let Some(oldest) = recent.order.pop_front()
        {
            recent.families.remove(&oldest);
        }
        self.count.fetch_add(1, Ordering::Release);
    }

    /// Whether the session was ended here.
    pub(crate) fn contains(&self, family: &Family) -> bool {
        self.count() != 0 && self.lock().families.contains(family)
    }

    /// How many were ended so far.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Those that came after the first `seen`, and the new count. If too many came, the oldest are missing: then the answer
    /// is `None`, and what was kept of any session is to be thrown away.
    pub(crate) fn since(&self, seen: u64) -> (u64, Option<HashSet<Family>>) {
        let recent = self.lock();
        let count = self.count();
        let new = usize::try_from(count.saturating_sub(seen)).unwrap_or(usize::MAX);
        let first = recent.order.len().checked_sub(new);
        (count, first.map(|first| recent.order.range(first..).copied().collect()))
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(n: usize) -> Family {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&n.to_le_bytes());
        Family(bytes)
    }

    #[test]
    fn the_last_ones_are_remembered_and_told_to_whoever_keeps_something() {
        let ended = SignedOut::default();
        assert!(!ended.contains(&family(0)));
        (0..3).for_each(|n| ended.add(family(n)));
        ended.add(family(1));
        assert_eq!(ended.since(0), (3, Some((0..3).map(family).collect())));
        assert_eq!(ended.since(2), (3, Some([family(2)].into())));
        assert_eq!(ended.since(3), (3, Some(HashSet::new())));
        (3..MAX + 2).for_each(|n| ended.add(family(n)));
        assert!(!ended.contains(&family(1)) && ended.contains(&family(2)));
        assert_eq!(ended.since(1).1, None, "one of them is forgotten already");
        assert_eq!(ended.since(2).1.map(|new| new.len()), Some(MAX));
    }
}
