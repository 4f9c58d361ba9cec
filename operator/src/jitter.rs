//! A little more time, so that what happened together does not come back together.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher as _};
use std::time::Duration;

/// Up to a quarter more than `delay`, differently for each key. Nothing secret depends on it, so a hash will do for chance.
pub(crate) fn jittered(delay: Duration, key: impl Hash) -> Duration {
    delay + (delay / 4).mul_f64(part(key))
}

/// A number that another key will hardly have.
pub(crate) fn number(key: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// From nothing to the whole, differently for each key.
pub(crate) fn part(key: impl Hash) -> f64 {
    f64::from(u16::try_from(number(key) & 0xffff).unwrap_or(0)) / 65535.0
}
