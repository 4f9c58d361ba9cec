//! Numbers for names that must not meet those of another process. Nothing secret is made of them.

use std::hash::{BuildHasher as _, RandomState};

/// A number that no other process has, and that nobody can foresee.
pub(crate) fn number() -> u64 {
    // Its keys are the system's chance.
    RandomState::new().hash_one(std::process::id())
}
