//! A session as bytes: a version byte and what that version makes of it. A stored format: see [`v1`] and [`v2`].

mod v1;
mod v2;

use super::{Opened, Session};
use crate::fields::Malformed;
use proxy_config::SessionFormat;

/// Why bytes are no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    /// Written by a newer program, or not by us.
    #[error("session record of an unknown version")]
    Version,
    /// Cut short, too long, or a value out of range.
    #[error("malformed session record")]
    Malformed,
}

impl From<Malformed> for RecordError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// The bytes of a session, to be sealed. A session without a binding is one of the first version, and stays one.
pub(crate) fn encode(session: &Session, format: SessionFormat) -> Opened {
    match (format, &session.binding) {
        (SessionFormat::V2, Some(binding)) => v2::encode(session, binding),
        (SessionFormat::V1 | SessionFormat::V2, _) => v1::encode(session),
    }
}

/// Reads what [`encode`] wrote, in whichever version.
///
/// # Errors
/// An unknown version, or bytes that [`encode`] can not have written.
pub(crate) fn decode(bytes: &[u8]) -> Result<Session, RecordError> {
    let (&version, body) = bytes.split_first().ok_or(RecordError::Malformed)?;
    match version {
        v1::VERSION => v1::decode(body),
        v2::VERSION => v2::decode(body),
        _ => Err(RecordError::Version),
    }
}
