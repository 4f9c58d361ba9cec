//! What stays the same of a session from the login on, through all refreshes. Kept in memory only: it opens nothing, and it
//! ends what was made of one login.

use super::Session;

/// A session and everything that its refreshes make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Family(pub(crate) [u8; 16]);

impl Family {
    /// That of a session: its id. Of the first format, which has none, the beginning of its login's nonce, which becomes the id
    /// when it is refreshed; a session that was stored without one has none.
    pub(crate) fn of(session: &Session) -> Option<Self> {
        let nonce = || session.nonce.and_then(|nonce| nonce.first_chunk().copied());
        session.binding.map(|binding| binding.id).or_else(nonce).map(Self)
    }
}
