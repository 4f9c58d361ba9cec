//! Sessions that this worker has seen, with everything that a request needs of them ready (performance: opening a cookie
//! is cheap, making headers and decisions from it is not).
//!
//! Per thread, so no lock. A cookie or a bearer token is found by a keyed digest of its end, which is ciphertext and tag or a
//! signature, and then compared as a whole with the one that was opened: comparing costs a small part of hashing. Nobody can
//! search the keys, aim at them, or find a session by anything but the exact bytes. Bounded by bytes, not by count. An entry is
//! found for as long as its person was judged for, and under one configuration only. Sessions in Redis are never kept, because
//! a sign-out elsewhere must count at once.

use crate::policy::Person;
use crate::random;
use crate::refresh::SignedOut;
use crate::session::Family;
use jiff::{SignedDuration, Timestamp};
use siphasher::sip128::{Hasher128 as _, SipHasher13};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::hash::Hasher as _;
use std::sync::{Arc, LazyLock};
use zeroize::Zeroizing;

/// Bytes that the persons of a worker may take, in two generations.
const BUDGET: usize = 8 << 20;
/// Bytes of an entry beside what it holds: places in the map, the person itself.
const ENTRY: usize = 512;
/// How much of the end of a cookie or token is hashed.
const TAIL: usize = 24;

/// Refused tokens that are remembered; when there are more, all are forgotten.
const REFUSALS: usize = 1024;
/// How long a refused token is not looked at again; as long as unknown keys are not looked for again.
const REFUSED_FOR: SignedDuration = SignedDuration::from_secs(10);

static KEY: LazyLock<[u8; 16]> = LazyLock::new(random::array);

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::new(Cache::default());
    static REFUSED: RefCell<HashMap<Digest, Timestamp>> = RefCell::new(HashMap::new());
}

/// What an entry is found by. One round for each word is enough, because nobody gets to see a digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Digest(u128);

impl Digest {
    /// The digest of the end of a session cookie's value; whoever finds an entry by it compares the whole.
    pub(super) fn of_cookie(value: &[u8]) -> Self {
        Self::of(b'c', (0, 0), end(value))
    }

    /// The digest of a bearer token under the provider and keys that `epoch` stands for; of all of it, as no token that is
    /// refused is kept.
    pub(super) fn of_bearer(token: &str, epoch: (u64, u64)) -> Self {
        Self::of(b'b', epoch, token.as_bytes())
    }

    /// The digest of the end of a token; whoever finds an entry by it compares the whole.
    fn of_known(token: &[u8], epoch: (u64, u64)) -> Self {
        Self::of(b'k', epoch, end(token))
    }

    fn of(kind: u8, (provider, keys): (u64, u64), text: &[u8]) -> Self {
        let mut hasher = SipHasher13::new_with_key(&KEY);
        hasher.write_u8(kind);
        hasher.write_u64(provider);
        hasher.write_u64(keys);
        hasher.write(text);
        Self(hasher.finish128().as_u128())
    }
}

fn end(text: &[u8]) -> &[u8] {
    text.get(text.len().saturating_sub(TAIL)..).unwrap_or_default()
}

/// The person behind exactly this bearer token under the provider and keys that `of` stands for, if known under this epoch and
/// judged for now.
pub(super) fn get_bearer(
    token: &[u8],
    of: (u64, u64),
    (epoch, now): (u64, Timestamp),
) -> Option<Arc<Person>> {
    CACHE.with_borrow_mut(|cache| cache.get(Digest::of_known(token, of), token, (epoch, now)))
}

/// The same behind exactly this session cookie.
pub(super) fn get_cookie(value: &[u8], (epoch, now): (u64, Timestamp)) -> Option<Arc<Person>> {
    CACHE.with_borrow_mut(|cache| cache.get(Digest::of_cookie(value), value, (epoch, now)))
}

/// Keeps a person under a bearer token, which must have been verified as these bytes.
pub(super) fn put_bearer(token: &[u8], of: (u64, u64), epoch: u64, person: &Arc<Person>) {
    let digest = Digest::of_known(token, of);
    CACHE.with_borrow_mut(|cache| cache.put(digest, (token, epoch), Arc::clone(person)));
}

/// Whether the token behind a digest was refused a moment ago. Sent again it costs its digest, not a signature.
pub(super) fn was_refused(digest: Digest, now: Timestamp) -> bool {
    REFUSED.with_borrow(|refused| refused.get(&digest).is_some_and(|until| now < *until))
}

/// Remembers that a token was refused.
pub(super) fn refuse(digest: Digest, now: Timestamp) {
    let Ok(until) = now.checked_add(REFUSED_FOR) else { return };
    REFUSED.with_borrow_mut(|refused| {
        if refused.len() >= REFUSALS {
            refused.clear();
        }
        refused.insert(digest, until);
    });
}

/// Keeps a person under a session cookie, which must have been read and opened as these bytes.
pub(super) fn put_cookie(value: &[u8], epoch: u64, person: &Arc<Person>) {
    let digest = Digest::of_cookie(value);
    CACHE.with_borrow_mut(|cache| cache.put(digest, (value, epoch), Arc::clone(person)));
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
    young: HashMap<Digest, Entry>,
    /// Bytes of the young ones.
    bytes: usize,
    old: HashMap<Digest, Entry>,
}

struct Entry {
    /// The whole cookie or token.
    value: Zeroizing<Box<[u8]>>,
    person: Arc<Person>,
}

impl Entry {
    /// Whether it is that of exactly these bytes, and still holds.
    fn answers(&self, value: &[u8], now: Timestamp) -> bool {
        self.value[..] == *value && self.person.term.covers(now)
    }

    fn bytes(&self) -> usize {
        ENTRY + self.value.len() + self.person.bytes()
    }
}

impl Cache {
    fn get(
        &mut self,
        digest: Digest,
        value: &[u8],
        (epoch, now): (u64, Timestamp),
    ) -> Option<Arc<Person>> {
        if self.epoch != epoch {
            return None;
        }
        if let Some(entry) = self.young.get(&digest) {
            return entry.answers(value, now).then(|| Arc::clone(&entry.person));
        }
        if !self.old.get(&digest).is_some_and(|entry| entry.answers(value, now)) {
            return None;
        }
        let entry = self.old.remove(&digest)?;
        let person = Arc::clone(&entry.person);
        self.insert(digest, entry);
        Some(person)
    }

    fn put(&mut self, digest: Digest, (value, epoch): (&[u8], u64), person: Arc<Person>) {
        // A request that began before a reload ends after it: its entries are of no use to anybody. Nor are those of a person
        // who was judged for one request.
        if epoch < self.epoch || person.term.is_over_at_once() {
            return;
        }
        if epoch > self.epoch {
            *self = Self { epoch, ended: self.ended, ..Self::default() };
        }
        self.remove(digest);
        self.insert(digest, Entry { value: Zeroizing::new(value.into()), person });
    }

    fn insert(&mut self, digest: Digest, entry: Entry) {
        let bytes = entry.bytes();
        if self.bytes + bytes > BUDGET / 2 {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        // One that is larger than all may be is not kept.
        if bytes <= BUDGET / 2 {
            self.bytes += bytes;
            self.young.insert(digest, entry);
        }
    }

    /// All of them, if nobody knows which.
    fn forget(&mut self, families: Option<&HashSet<Family>>) {
        let stays = |entry: &Entry| {
            let family = entry.person.family;
            families.is_some_and(|ended| family.is_none_or(|family| !ended.contains(&family)))
        };
        self.young.retain(|_, entry| stays(entry));
        self.old.retain(|_, entry| stays(entry));
        self.bytes = self.young.values().map(Entry::bytes).sum();
    }

    fn remove(&mut self, digest: Digest) {
        if let Some(entry) = self.young.remove(&digest) {
            self.bytes = self.bytes.saturating_sub(entry.bytes());
        }
        self.old.remove(&digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Term;

    fn value(n: u32) -> Vec<u8> {
        format!("{n:032}").into_bytes()
    }

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn get(cache: &mut Cache, n: u32, epoch: u64) -> bool {
        cache.get(Digest::of_cookie(&value(n)), &value(n), (epoch, NOW)).is_some()
    }

    fn put(cache: &mut Cache, n: u32, epoch: u64) {
        let person = Arc::new(Person::nobody());
        cache.put(Digest::of_cookie(&value(n)), (&value(n), epoch), person);
    }

    #[test]
    fn entries_of_another_configuration_are_not_found() {
        let mut cache = Cache::default();
        put(&mut cache, 1, 3);
        assert!(get(&mut cache, 1, 3) && !get(&mut cache, 1, 4) && !get(&mut cache, 1, 2));
        put(&mut cache, 2, 2);
        assert!(!get(&mut cache, 2, 2) && get(&mut cache, 1, 3));
        put(&mut cache, 2, 4);
        assert!(!get(&mut cache, 1, 4) && get(&mut cache, 2, 4));
    }

    #[test]
    fn it_does_not_grow_and_keeps_what_is_used() {
        let mut cache = Cache::default();
        for n in 0..50_000 {
            put(&mut cache, n, 1);
            assert!(get(&mut cache, 0, 1), "{n}");
            assert!(cache.bytes <= BUDGET / 2);
        }
        let held: usize = cache.young.values().chain(cache.old.values()).map(Entry::bytes).sum();
        assert!(held <= BUDGET);
        assert!(!get(&mut cache, 50, 1));
    }

    #[test]
    fn nobody_is_found_for_longer_than_they_were_judged_for() {
        let at = |cache: &mut Cache, second: i64| {
            let now = Timestamp::from_second(second).unwrap();
            cache.get(Digest::of_cookie(&value(1)), &value(1), (1, now)).is_some()
        };
        for (lasting, found) in
            [(0, [false; 3]), (1, [true, false, false]), (2, [true, true, false])]
        {
            let term = Term::starting(NOW).lasting(SignedDuration::from_secs(lasting));
            let person = Arc::new(Person { term, ..Person::nobody() });
            let mut cache = Cache::default();
            cache.put(Digest::of_cookie(&value(1)), (&value(1), 1), person);
            assert_eq!([0, 1, 2].map(|second| at(&mut cache, second)), found, "{lasting} s");
            cache.old = std::mem::take(&mut cache.young);
            for (second, found) in [2, 1, 0].into_iter().zip(found.into_iter().rev()) {
                assert_eq!(at(&mut cache, second), found, "of old, {lasting} s, {second}");
            }
        }
    }

    #[test]
    fn a_session_that_was_ended_elsewhere_is_not_found() {
        let (ended, mut cache) = (SignedOut::default(), Cache::default());
        for n in [1, 2] {
            let family = Some(Family([n; 16]));
            let (person, value) = (Person { family, ..Person::nobody() }, value(n.into()));
            cache.put(Digest::of_cookie(&value), (&value, 1), Arc::new(person));
        }
        ended.add(Family([1; 16]));
        cache.forget(ended.since(0).1.as_ref());
        assert!(!get(&mut cache, 1, 1) && get(&mut cache, 2, 1));
        cache.forget(None);
        assert!(!get(&mut cache, 2, 1) && cache.bytes == 0);
    }

    #[test]
    fn a_refused_token_is_remembered_for_a_while_and_only_so_many_are() {
        let digest = |n: usize| Digest::of_bearer(&n.to_string(), (1, 1));
        let now = Timestamp::UNIX_EPOCH;
        assert!(!was_refused(digest(0), now));
        refuse(digest(0), now);
        let end = now.checked_add(REFUSED_FOR).unwrap();
        assert!(was_refused(digest(0), now) && !was_refused(digest(0), end));
        assert!(!was_refused(digest(1), now));
        assert!(!was_refused(Digest::of_bearer("0", (1, 2)), now), "other keys may accept it");
        for n in 0..10 * REFUSALS {
            refuse(digest(n), now);
            assert!(REFUSED.with_borrow(HashMap::len) <= REFUSALS);
        }
        assert!(was_refused(digest(10 * REFUSALS - 1), now));
    }

    #[test]
    fn a_cookie_with_the_same_end_is_another_cookie() {
        let mut cache = Cache::default();
        put(&mut cache, 7, 1);
        let mut other = value(7);
        other[0] = b'x';
        assert!(Digest::of_cookie(&other) == Digest::of_cookie(&value(7)));
        assert!(cache.get(Digest::of_cookie(&other), &other, (1, NOW)).is_none());
        let mut longer = b"y".to_vec();
        longer.extend(value(7));
        assert!(cache.get(Digest::of_cookie(&longer), &longer, (1, NOW)).is_none());
        assert!(get(&mut cache, 7, 1));
    }

    #[test]
    fn a_token_is_known_as_a_whole_and_under_its_keys_only() {
        let person = Arc::new(Person::nobody());
        let token = b"eyA.eyB.signature-of-some-length";
        let known = |token: &[u8], of| get_bearer(token, of, (7, NOW)).is_some();
        assert!(!known(token, (1, 1)));
        put_bearer(token, (1, 1), 7, &person);
        assert!(known(token, (1, 1)) && !known(token, (1, 2)) && !known(token, (2, 1)));
        assert!(!known(b"eyC.eyB.signature-of-some-length", (1, 1)), "only its end is the same");
        assert!(!known(b"xeyA.eyB.signature-of-some-length", (1, 1)));
        assert!(get_cookie(token, (7, NOW)).is_none());
        assert!(get_bearer(token, (1, 1), (8, NOW)).is_none());
    }

    #[test]
    fn a_cookie_is_no_bearer_token() {
        let bearer = |epoch| Digest::of_bearer("x", epoch);
        assert!(Digest::of_cookie(b"x") != bearer((1, 1)));
        assert!(bearer((1, 1)) == bearer((1, 1)));
        assert!(bearer((1, 1)) != bearer((2, 1)) && bearer((1, 1)) != bearer((1, 2)));
    }
}
