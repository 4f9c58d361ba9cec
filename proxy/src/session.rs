//! A session: an identity, the tokens behind it and the times that bound it; how it is written, sealed and aged.
//!
//! Nothing here knows HTTP, cookies or a store. A sealed session is opaque and bound to a purpose and a name.

mod family;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod keyring;
mod lifetime;
mod needs;
mod record;
mod seal;
mod wear;

pub(crate) use family::Family;
pub(crate) use keyring::{KeyRing, KeyRingError, Purpose};
pub(crate) use lifetime::Lifetime;
pub(crate) use needs::{Needs, TokenKinds, Uses, claims_named};
pub(crate) use record::{RecordError, decode, encode};
pub(crate) use seal::{Opened, SealError, open_record, seal_record};

use crate::identity::Identity;
use crate::random;
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
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

/// First bytes of the SHA-256 of an issuer's URL, as it is configured: what a session is bound to beside the provider's id,
/// which is only a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint(pub(crate) [u8; 8]);

impl Fingerprint {
    /// Of an issuer's URL.
    pub(crate) fn of(issuer: &str) -> Self {
        let hash = digest(&SHA256, issuer.as_bytes());
        Self(hash.as_ref().first_chunk().copied().unwrap_or_default())
    }
}

/// What a session is called and to whom it belongs. A session that an older program made has none until it is refreshed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Binding {
    /// Random, made at the login and kept by every refresh. See [`Session::shown_id`].
    pub(crate) id: [u8; 16],
    /// The issuer that vouched for it.
    pub(crate) issuer: Fingerprint,
}

impl Binding {
    /// A new one.
    pub(crate) fn new(issuer: Fingerprint) -> Self {
        Self { id: random::array(), issuer }
    }

    /// One for a session of the first format that goes on in the second: whoever ends the one ends the other.
    pub(crate) fn continuing(session: &Session, issuer: Fingerprint) -> Self {
        Self { id: Family::of(session).map_or_else(random::array, |family| family.0), issuer }
    }
}

/// What a login found out, and no refresh changes, unless it is said here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Login {
    /// By our clock. Of a session that an older program made: its last refresh before it was read.
    pub(crate) at: Timestamp,
    /// Which of the client's credentials the tokens were given to.
    pub(crate) credentials: u32,
    /// `sub`.
    pub(crate) subject: Option<String>,
    /// `sid`: the provider's own session.
    pub(crate) provider_session: Option<String>,
    /// `iat` of the ID token, by the provider's clock, in seconds: what a logout token's is compared with.
    pub(crate) issued_at: Option<i64>,
    /// `auth_time`: when the person last proved who they are, in seconds. A refresh does not renew it.
    pub(crate) auth_time: Option<i64>,
    /// `acr`. A refresh does not raise it.
    pub(crate) acr: Option<String>,
    /// `amr`.
    pub(crate) amr: Vec<String>,
}

/// Claims that rules and headers name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Captured {
    /// Names that were looked for. What is not among them is not absent: nobody looked.
    pub(crate) asked: Vec<String>,
    /// Those that were there, as texts; a claim that is no list has one value.
    pub(crate) values: BTreeMap<String, Vec<String>>,
}

/// What a login gave. Times are kept to the millisecond when it is stored.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// [`proxy_config::Provider::id`] of the provider that vouched for it.
    pub(crate) provider: String,
    /// Its own name and issuer.
    pub(crate) binding: Option<Binding>,
    /// Facts of the login.
    pub(crate) login: Login,
    /// Login or last refresh; the lifetime counts from here.
    pub(crate) created_at: Timestamp,
    /// Last use that was written down: at the login and at each refresh.
    pub(crate) seen_at: Timestamp,
    /// When the access token expires, if the provider said so.
    pub(crate) expires_at: Option<Timestamp>,
    /// Access token.
    pub(crate) access_token: Option<Token>,
    /// ID token, as received.
    pub(crate) id_token: Option<Token>,
    /// Refresh token.
    pub(crate) refresh_token: Option<Token>,
    /// Which of these were there and were not kept.
    pub(crate) left_out: TokenKinds,
    /// The nonce of the login, to compare with a later ID token's.
    pub(crate) nonce: Option<[u8; 32]>,
    /// Who it is.
    pub(crate) identity: Identity,
    /// Further claims.
    pub(crate) claims: Captured,
}

impl Session {
    /// A session that begins `now` and knows nobody yet.
    pub(crate) fn new(provider: &str, now: Timestamp) -> Self {
        Self {
            provider: provider.to_owned(),
            binding: None,
            login: Login { at: now, ..Login::default() },
            created_at: now,
            seen_at: now,
            expires_at: None,
            access_token: None,
            id_token: None,
            refresh_token: None,
            left_out: TokenKinds::default(),
            nonce: None,
            identity: Identity::default(),
            claims: Captured::default(),
        }
    }

    /// A name for logs: it tells sessions apart and opens nothing.
    pub(crate) fn shown_id(&self) -> String {
        let Some(binding) = &self.binding else { return "-".to_owned() };
        let hash = digest(&SHA256, &binding.id);
        hash.as_ref().iter().take(5).fold(String::new(), |mut text, byte| {
            // Writing to a String can not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl fmt::Debug for Session {
    /// Who and when; no token and no nonce.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("provider", &self.provider)
            .field("id", &self.shown_id())
            .field("identity", &self.identity)
            .field("created_at", &self.created_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
