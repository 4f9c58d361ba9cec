//! What may go wrong with a store. The ways in which a session is not loaded are answered differently, and counted by their
//! reasons: a forged cookie is no expired one. No text has a secret in it.

use crate::cookie::TooLong;
use crate::session::{RecordError, SealError};

/// Why a request's session cookie gave no session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoadError {
    /// The cookie is of no use: clear it and go on without a session.
    #[error("session cookie refused: {0}")]
    Invalid(#[from] Unfit),
    /// It was made later than it is: one of two clocks is wrong. Go on without a session and leave the cookie alone, because
    /// it is not what is wrong.
    #[error(transparent)]
    Early(#[from] Early),
    /// Nobody knows: answer 503 and leave the cookie alone.
    #[error(transparent)]
    Unavailable(#[from] Outage),
}

/// Why a cookie is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    /// It, or its record, does not open.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// It opens, and what is in it is no session.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The same of a ticket.
    #[error("malformed ticket")]
    Ticket,
    /// In the place of its record is more than anybody wrote.
    #[error("its record is too long")]
    LongRecord,
    /// In the place of its record is something else.
    #[error("its record is of another type")]
    OtherRecord,
    /// Its record is gone: somebody signed out, or it ran out.
    #[error("its session has ended")]
    Gone,
    /// It is past its end.
    #[error("it has expired")]
    Expired,
    /// Its ticket says so before its record is asked for.
    #[error("its ticket is of another issuer")]
    OtherTicket,
    /// Its provider has another issuer now.
    #[error("it is of another issuer than its identity provider has now")]
    OtherIssuer,
    /// It has no provider any more.
    #[error("its identity provider is no longer configured")]
    NoProvider,
    /// Applications are shown something that was not kept, and it can not be had again.
    #[error("the configuration needs more than was kept of the login")]
    Lacking,
}

/// How far in the future a session was made, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the session was made {0} s in the future: the clock of this machine or of another is wrong"
)]
pub(crate) struct Early(pub(crate) i64);

/// Why nobody knows what the store has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Outage {
    /// Redis did not do it: what it, or the way to it, says.
    #[error("the session store does not answer: {0}")]
    Redis(String),
    /// It takes longer than a request waits that can do without it.
    #[error("the session store does not answer: it is slow")]
    Slow,
    /// It answers, and has lost what was written a moment ago.
    #[error("the session store does not keep what is written")]
    Forgets,
    /// It answers, with what a wrong clock wrote.
    #[error(transparent)]
    Clock(#[from] Early),
}

/// Why a session was not written.
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
    #[error(transparent)]
    Unavailable(#[from] Outage),
}
