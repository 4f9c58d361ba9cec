//! A little more time, so that what happened together does not come back together.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher as _};
use std::time::Duration;

/// Up to a quarter more than `delay`, differently for each key. Nothing secret depends on it, so a hash will do for chance.
pub(crate) fn jittered(delay: Duration, key: impl Hash) -> Duration {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    let part = f64::from(u8::try_from(hasher.finish() & 0xff).unwrap_or(0)) / 255.0;
    delay + (delay / 4).mul_f64(part)
}
