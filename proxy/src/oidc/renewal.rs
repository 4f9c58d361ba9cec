//! What becomes of a session that its provider is asked to renew. Which answers end one is said here and nowhere else: that
//! its grant is dead, that it is somebody else's, that its owner may not pass any more. A provider that is away, that refuses
//! us rather than the session, or whose answer is of no use leaves it as it is.

use super::claims::ClaimsRefused;
use super::client::TOO_MANY;
use super::issuer::Unavailable;
use super::token::TokenError;
use super::verify::TokenRefused;
use crate::session::Session;

/// What the provider made of a session.
#[derive(Debug)]
pub(crate) enum Renewal {
    /// A newer one.
    Renewed(Box<Session>),
    /// There is nothing to refresh it with, and it still stands.
    Stands,
    /// It could not be renewed now, and stays as it is.
    Kept(NotNow),
    /// It is over, and asking again will not change that.
    Ended(Ending),
}

/// Why a session could not be renewed now. The texts are for the log and have no secrets.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum NotNow {
    /// The provider was not asked, because too many sessions are being renewed. That is our doing.
    #[error("the session could not be refreshed: {TOO_MANY}")]
    Busy,
    /// It does not answer.
    #[error("the session could not be refreshed: {0}")]
    Away(String),
    /// It answers, with neither tokens nor the end of the session: it is in trouble, or refuses us (a wrong client secret, for
    /// one), or its answer is of no use.
    #[error("the session could not be refreshed: {0}")]
    Unusable(TokenError),
}

/// Why a session is over. The texts are for the log and have no secrets.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Ending {
    /// Its refresh token is revoked, expired or used up: perhaps by another process, a moment ago.
    #[error("the provider has ended the session: {0}")]
    Grant(TokenError),
    /// It has become somebody else's.
    #[error("the ID token is about another subject")]
    OtherSubject,
    /// The account may not pass any more.
    #[error(transparent)]
    Denied(ClaimsRefused),
    /// The validation endpoint refuses its new access token. The status.
    #[error("the validation endpoint answers {0}")]
    Invalid(u16),
    /// It has no refresh token, and the ID token that stands in for it is none that counts.
    #[error(transparent)]
    IdToken(TokenRefused),
    /// It has neither.
    #[error("it has no ID token")]
    NoIdToken,
}

impl From<TokenError> for Renewal {
    /// Nothing that the token endpoint says is the end of a session but that its grant is dead (RFC 6749 section 5.2).
    fn from(error: TokenError) -> Self {
        match error {
            error if error.is_invalid_grant() => Self::Ended(Ending::Grant(error)),
            TokenError::Http(error) => Self::Kept(NotNow::Away(error.to_string())),
            TokenError::Refused { .. }
            | TokenError::Malformed(_)
            | TokenError::NoMethod(_)
            | TokenError::Secret(_) => Self::Kept(NotNow::Unusable(error)),
        }
    }
}

impl From<Unavailable> for Renewal {
    fn from(error: Unavailable) -> Self {
        Self::Kept(NotNow::Away(error.to_string()))
    }
}
