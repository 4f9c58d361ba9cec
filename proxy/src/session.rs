//! A session: an identity, the tokens behind it and the times that bound it; how it is written, sealed and aged.
//!
//! Nothing here knows HTTP, cookies or a store. A sealed session is opaque and bound to a purpose and a name.

mod keyring;
mod lifetime;
mod record;
mod seal;

pub(crate) use keyring::{KeyRing, KeyRingError, Purpose};
pub(crate) use lifetime::Lifetime;
pub(crate) use record::{decode, encode};
pub(crate) use seal::{Opened, SealError, open_record, seal_record};

use crate::identity::Identity;
use jiff::Timestamp;
use std::fmt;
use zeroize::Zeroizing;

/// A token or another secret text: wiped when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(Zeroizing<String>);

impl Token {
    /// Takes a text; an empty one is a mistake that [`Token::optional`] avoids.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// A token unless the text is empty.
    pub(crate) fn optional(text: impl Into<String>) -> Option<Self> {
        Some(Self::new(text)).filter(|token| !token.as_str().is_empty())
    }

    /// The text. Mind where it goes.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a login gave. Times are kept to the millisecond when it is stored.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// [`proxy_config::Provider::id`] of the provider that vouched for it.
    pub(crate) provider: String,
    /// Login or last refresh; [`Lifetime`] counts from here.
    pub(crate) created_at: Timestamp,
    /// When the access token expires, if the provider said so.
    pub(crate) expires_at: Option<Timestamp>,
    /// Access token.
    pub(crate) access_token: Option<Token>,
    /// ID token, as received.
    pub(crate) id_token: Option<Token>,
    /// Refresh token.
    pub(crate) refresh_token: Option<Token>,
    /// The nonce of the login, to compare with a later ID token's.
    pub(crate) nonce: Option<[u8; 32]>,
    /// Who it is.
    pub(crate) identity: Identity,
}

impl fmt::Debug for Session {
    /// Who and when; no token and no nonce.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("provider", &self.provider)
            .field("identity", &self.identity)
            .field("created_at", &self.created_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
