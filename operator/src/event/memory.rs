//! What was told lately: a fact that is told again is one event that counts, and what says something new at every turn fills
//! neither the API server nor this process. What a look costs does not depend on how much there is. No I/O.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// What equal notes and equal objects are known by: a digest, so that one takes as much room as another.
pub(super) type Key = [u8; 32];

/// A fact that is told again within this time is the same event. After it the next one is a new event, so that an old one
/// does not grow for ever.
const LASTS: Duration = Duration::from_mins(10);
/// Facts, and objects, that are remembered at most: about half a megabyte.
const CAPACITY: usize = 4096;
/// Requests for one object and tone that may go out at once.
const BURST: u32 = 20;
/// One more for each of these.
const REFILL: Duration = Duration::from_secs(30);

/// What to do with a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// An event of its own, with this number in its name.
    New(u64),
    /// It is that event once more.
    Again {
        /// The number in its name.
        number: u64,
        /// How often it was told, with this time.
        count: i32,
    },
    /// Nothing: there was too much of this object lately.
    TooMuch,
}

/// What was told lately.
pub(super) struct Memory {
    facts: Recent<Fact>,
    budgets: Recent<Budget>,
    next: u64,
}

struct Fact {
    number: u64,
    count: i32,
}

/// How many more requests an object may cost.
struct Budget {
    left: u32,
    counted: Instant,
}

impl Memory {
    /// An empty one, whose numbers go up from `next`.
    pub(super) fn new(next: u64) -> Self {
        Self { facts: Recent::default(), budgets: Recent::default(), next }
    }

    /// Notes that `fact` is told of `subject`.
    pub(super) fn tell(&mut self, fact: Key, subject: Key, now: Instant) -> Told {
        let full = || Budget { left: BURST, counted: now };
        let allowed = self.budgets.get_or_insert(subject, now, full).take(now);
        self.facts.expire(now);
        if let Some(known) = self.facts.entries.get_mut(&fact) {
            known.count = known.count.saturating_add(1);
            let Fact { number, count } = *known;
            return if allowed { Told::Again { number, count } } else { Told::TooMuch };
        }
        if !allowed {
            return Told::TooMuch;
        }
        let number = self.next;
        self.next = number.wrapping_add(1);
        self.facts.get_or_insert(fact, now, || Fact { number, count: 1 });
        Told::New(number)
    }
}

impl Budget {
    fn take(&mut self, now: Instant) -> bool {
        let more = now.duration_since(self.counted).as_secs() / REFILL.as_secs();
        if more > 0 {
            self.left = self.left.saturating_add(u32::try_from(more).unwrap_or(BURST)).min(BURST);
            self.counted = now;
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

/// Entries that last for a while from their first use, the oldest of which go first when there are too many.
struct Recent<V> {
    entries: HashMap<Key, V>,
    order: VecDeque<(Key, Instant)>,
}

impl<V> Default for Recent<V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new() }
    }
}

impl<V> Recent<V> {
    /// Drops what is over. Each entry is dropped once, so it costs as much as its insertion.
    fn expire(&mut self, now: Instant) {
        while let Some((oldest, since)) = self.order.front() {
            if now.duration_since(*since) < LASTS && self.order.len() <= CAPACITY {
                break;
            }
            self.entries.remove(oldest);
            self.order.pop_front();
        }
    }

    fn get_or_insert(&mut self, key: Key, now: Instant, make: impl FnOnce() -> V) -> &mut V {
        self.expire(now);
        let order = &mut self.order;
        self.entries.entry(key).or_insert_with(|| {
            order.push_back((key, now));
            make()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_le_bytes());
        key
    }

    #[test]
    fn each_fact_is_an_event_and_the_same_fact_is_one_that_counts_for_a_while() {
        let (mut memory, now) = (Memory::new(7), Instant::now());
        let mut tell = |fact, after| memory.tell(key(fact), key(0), now + after);
        assert_eq!(tell(1, Duration::ZERO), Told::New(7));
        assert_eq!(tell(2, Duration::ZERO), Told::New(8));
        assert_eq!(tell(1, Duration::from_mins(1)), Told::Again { number: 7, count: 2 });
        assert_eq!(tell(1, Duration::from_mins(9)), Told::Again { number: 7, count: 3 });
        assert_eq!(tell(1, LASTS), Told::New(9));
    }

    #[test]
    fn an_object_that_says_something_new_at_every_turn_costs_few_requests_and_no_other_object_its_own()
     {
        let (mut memory, start) = (Memory::new(0), Instant::now());
        let told = (0..36_000).filter(|tenth| {
            let now = start + Duration::from_millis(100) * *tenth;
            memory.tell(key(*tenth as usize), key(0), now) != Told::TooMuch
        });
        let told = told.count();
        assert!((100..300).contains(&told), "{told} in an hour");
        let now = start + Duration::from_hours(1);
        assert!(matches!(memory.tell(key(1), key(1), now), Told::New(_)));
    }

    #[test]
    fn a_fact_that_is_held_back_is_counted_and_told_once_there_is_room() {
        let (mut memory, now) = (Memory::new(0), Instant::now());
        for _ in 0..BURST {
            assert_ne!(memory.tell(key(1), key(0), now), Told::TooMuch);
        }
        assert_eq!(memory.tell(key(1), key(0), now), Told::TooMuch);
        assert_eq!(memory.tell(key(2), key(0), now), Told::TooMuch);
        let later = now + REFILL;
        assert_eq!(memory.tell(key(1), key(0), later), Told::Again { number: 0, count: 22 });
        assert_eq!(memory.tell(key(2), key(0), later + REFILL), Told::New(1));
    }

    /// A first sync of ten thousand workloads: what it costs is the same for the first and the last, and bounded in memory.
    #[test]
    fn many_events_cost_as_much_each_as_few_and_do_not_pile_up() {
        let (mut memory, now) = (Memory::new(0), Instant::now());
        let start = Instant::now();
        for number in 0..20_000 {
            assert_eq!(memory.tell(key(number), key(number), now), Told::New(number as u64));
        }
        // Milliseconds; what walks through all that it remembers takes half a minute here.
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        assert!(
            memory.facts.entries.len() <= CAPACITY + 1
                && memory.budgets.order.len() <= CAPACITY + 1
        );
        assert_eq!(memory.facts.entries.len(), memory.facts.order.len());
    }
}
