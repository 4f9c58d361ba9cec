//! What may go wrong with a store. The two ways in which a session is not loaded are answered differently.

use crate::cookie::TooLong;

/// Why a request's session cookie gave no session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoadError {
    /// The cookie is of no use: clear it and go on without a session.
    #[error("session cookie refused: {0}")]
    Invalid(String),
    /// It was made later than it is: one of two clocks is wrong. Go on without a session and leave the cookie alone, because
    /// it is not what is wrong.
    #[error("{0}")]
    Early(String),
    /// Nobody knows: answer 503 and leave the cookie alone.
    #[error("session store does not answer: {0}")]
    Unavailable(String),
}

/// Why a session was not written or removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreError {
    /// It does not fit.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// It does not fit into a record.
    #[error(
        "the session has {0} bytes, more than a record in Redis may have; have the provider send smaller tokens or fewer groups"
    )]
    TooLarge(usize),
    /// Redis did not do it.
    #[error("session store does not answer: {0}")]
    Unavailable(String),
}
