//! What stays the same of a session from the login on, through all refreshes. Kept in memory only: it opens nothing, and it
//! ends what was made of one login.

use super::Session;

/// A session and everything that its refreshes make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Family(pub(crate) [u8; 16]);

impl Family {
    /// That of a session: the beginning of its login's nonce. A session that was stored without one has none.
    pub(crate) fn of(session: &Session) -> Option<Self> {
        session.nonce.and_then(|nonce| nonce.first_chunk().copied()).map(Self)
    }
}
