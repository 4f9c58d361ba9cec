//! Sessions that this worker has seen, with everything that a request needs of them ready (performance: opening a cookie
//! is cheap, making headers and decisions from it is not).
//!
//! Per thread, so no lock. The key is a keyed digest of the whole cookie or token: nobody can search it, aim at it, or find
//! a session by anything but the exact bytes. An entry is good until its session ends or is due for a refresh, and for one
//! configuration only. Sessions in Redis are never kept, because a sign-out elsewhere must count at once.

use crate::policy::Person;
use crate::random;
use crate::refresh::SignedOut;
use crate::session::Family;
use siphasher::sip128::{Hasher128 as _, SipHasher13};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::hash::Hasher as _;
use std::sync::{Arc, LazyLock};

/// Entries in each of the two generations.
const GENERATION: usize = 2048;

static KEY: LazyLock<[u8; 16]> = LazyLock::new(random::array);

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::new(Cache::default());
}

/// What an entry is found by. One round for each word is enough, because nobody gets to see a digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Digest(u128);

impl Digest {
    /// The digest of a session cookie's value.
    pub(super) fn of_cookie(value: &str) -> Self {
        Self::of(b'c', value)
    }

    /// The digest of a bearer token.
    pub(super) fn of_bearer(token: &str) -> Self {
        Self::of(b'b', token)
    }

    fn of(kind: u8, text: &str) -> Self {
        let mut hasher = SipHasher13::new_with_key(&KEY);
        hasher.write_u8(kind);
        hasher.write(text.as_bytes());
        Self(hasher.finish128().as_u128())
    }
}

/// The person behind a digest, if known under this epoch; the caller checks the times.
pub(super) fn get(digest: Digest, epoch: u64) -> Option<Arc<Person>> {
    CACHE.with_borrow_mut(|cache| cache.get(digest, epoch))
}

/// Keeps a person.
pub(super) fn put(digest: Digest, epoch: u64, person: &Arc<Person>) {
    CACHE.with_borrow_mut(|cache| cache.put(digest, epoch, Arc::clone(person)));
}

/// Forgets one entry.
pub(super) fn remove(digest: Digest) {
    CACHE.with_borrow_mut(|cache| cache.remove(digest));
}

/// Forgets the sessions that were ended since the last call, in whichever worker that was.
pub(super) fn forget(ended: &SignedOut) {
    CACHE.with_borrow_mut(|cache| {
        if cache.ended == ended.count() {
            return;
        }
        let (count, families) = ended.since(cache.ended);
        cache.ended = count;
        cache.forget(families.as_ref());
    });
}

/// Two generations: a full young one becomes the old one, so what is used stays and nothing has to be sorted.
#[derive(Default)]
struct Cache {
    epoch: u64,
    /// How many sessions had been ended when it was last looked.
    ended: u64,
    young: HashMap<Digest, Arc<Person>>,
    old: HashMap<Digest, Arc<Person>>,
}

impl Cache {
    fn get(&mut self, digest: Digest, epoch: u64) -> Option<Arc<Person>> {
        if self.epoch != epoch {
            return None;
        }
        if let Some(person) = self.young.get(&digest) {
            return Some(Arc::clone(person));
        }
        let person = self.old.remove(&digest)?;
        self.insert(digest, Arc::clone(&person));
        Some(person)
    }

    fn put(&mut self, digest: Digest, epoch: u64, person: Arc<Person>) {
        // A request that began before a reload ends after it: its entries are of no use to anybody.
        if epoch < self.epoch {
            return;
        }
        if epoch > self.epoch {
            *self = Self { epoch, ended: self.ended, ..Self::default() };
        }
        self.insert(digest, person);
    }

    fn insert(&mut self, digest: Digest, person: Arc<Person>) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest, person);
    }

    /// All of them, if nobody knows which.
    fn forget(&mut self, families: Option<&HashSet<Family>>) {
        let stays = |person: &Arc<Person>| {
            families
                .is_some_and(|ended| person.family.is_none_or(|family| !ended.contains(&family)))
        };
        self.young.retain(|_, person| stays(person));
        self.old.retain(|_, person| stays(person));
    }

    fn remove(&mut self, digest: Digest) {
        self.young.remove(&digest);
        self.old.remove(&digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(n: u32) -> Digest {
        Digest::of_cookie(&n.to_string())
    }

    #[test]
    fn entries_of_another_configuration_are_not_found() {
        let mut cache = Cache::default();
        let person = Arc::new(Person::nobody());
        cache.put(digest(1), 3, Arc::clone(&person));
        assert!(cache.get(digest(1), 3).is_some());
        assert!(cache.get(digest(1), 4).is_none() && cache.get(digest(1), 2).is_none());
        cache.put(digest(2), 2, Arc::clone(&person));
        assert!(cache.get(digest(2), 2).is_none() && cache.get(digest(1), 3).is_some());
        cache.put(digest(2), 4, person);
        assert!(cache.get(digest(1), 4).is_none() && cache.get(digest(2), 4).is_some());
    }

    #[test]
    fn it_does_not_grow_and_keeps_what_is_used() {
        let mut cache = Cache::default();
        let person = Arc::new(Person::nobody());
        for n in 0..100_000 {
            cache.put(digest(n), 1, Arc::clone(&person));
            assert!(cache.get(digest(0), 1).is_some(), "{n}");
        }
        assert!(cache.young.len() + cache.old.len() <= 2 * GENERATION);
        assert!(cache.get(digest(50), 1).is_none());
    }

    #[test]
    fn a_session_that_was_ended_elsewhere_is_not_found() {
        let (ended, mut cache) = (SignedOut::default(), Cache::default());
        let person = |n| Arc::new(Person { family: Some(Family([n; 16])), ..Person::nobody() });
        cache.put(digest(1), 1, person(1));
        cache.put(digest(2), 1, person(2));
        ended.add(Family([1; 16]));
        cache.forget(ended.since(0).1.as_ref());
        assert!(cache.get(digest(1), 1).is_none() && cache.get(digest(2), 1).is_some());
        cache.forget(None);
        assert!(cache.get(digest(2), 1).is_none());
    }

    #[test]
    fn a_cookie_is_no_bearer_token() {
        assert!(Digest::of_cookie("x") != Digest::of_bearer("x"));
    }
}
