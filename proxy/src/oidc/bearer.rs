//! Tokens that a client brings in `Authorization: Bearer` (RFC 6750 section 2.1). Only the token itself is asked:
//! no userinfo, no nonce. With known keys this is pure computation and stays on the caller's thread.

use super::claims::{self, ClaimsRefused, Sources};
use super::issuer::{SignedError, Unavailable};
use super::jws::{self, SignatureError, Signed};
use super::keys::KeysError;
use super::provider::Provider;
use super::verify::{self, Expected, Kind, Nonce, TokenRefused};
use crate::session::{Session, Token};
use jiff::Timestamp;
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Why a bearer token is not accepted. The texts are for the log and have no secrets.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum BearerError {
    /// It is not a good token of the provider for us.
    #[error(transparent)]
    Refused(#[from] TokenRefused),
    /// It is, and its account may not pass.
    #[error(transparent)]
    Denied(#[from] ClaimsRefused),
    /// It can not be checked now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// There is no key for it, and the keys can not be fetched now.
    #[error(transparent)]
    Keys(KeysError),
}

impl BearerError {
    /// Whether the token may be good and only the provider is out of reach.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Keys(_))
    }
}

impl From<SignedError> for BearerError {
    fn from(error: SignedError) -> Self {
        match error {
            SignedError::Refused(error) => Self::Refused(error.into()),
            SignedError::Keys(error) => Self::Keys(error),
            SignedError::Unavailable(error) => Self::Unavailable(error),
        }
    }
}

/// Whose a token says it is, before anything of it is verified: good for nothing but choosing whom to ask.
pub(crate) struct ClaimedIssuer(Option<String>);

impl ClaimedIssuer {
    /// Of a compact JWT, or of nobody.
    pub(crate) fn of(token: &str) -> Self {
        #[derive(Deserialize)]
        struct Claims {
            iss: String,
        }
        let claims = token.split('.').nth(1).and_then(|part| jws::decode(part).ok());
        Self(claims.and_then(|text| jws::object::<Claims>(&text).ok()).map(|claims| claims.iss))
    }
}

impl Provider {
    /// Whether a token that claims to be from there may be this provider's.
    pub(crate) fn may_have_made(&self, ClaimedIssuer(name): &ClaimedIssuer) -> bool {
        self.client.trusts().skip_verification
            || name.as_deref().is_some_and(|name| self.is_issuer(name))
    }

    /// The session that a bearer token stands for: the token is its access and ID token, and it ends with the token.
    /// Without an e-mail claim the subject takes its place; a token without subject is known by its address alone.
    ///
    /// # Errors
    /// See [`BearerError`].
    pub(crate) async fn bearer(&self, token: &str) -> Result<Session, BearerError> {
        self.client.issuer.bearers.store(true, Ordering::Relaxed);
        let signed = self.signed_bearer(token).await?;
        let client = &self.client;
        let now = client.clock.now();
        let expected = Expected {
            nonce: Nonce::Any,
            access_token: None,
            max_age: None,
            kind: Kind::Bearer,
            now,
        };
        let subject =
            verify::check(&signed, client.trusts(), &client.bearer_audience(), &expected)?;
        let sources = Sources { token: &signed.claims, userinfo: None };
        let mut identity = claims::identity(subject, sources, &client.config.claims)?;
        if identity.email.is_none() && subject.is_empty() {
            return Err(TokenRefused::Missing("sub").into());
        }
        identity.email.get_or_insert_with(|| subject.to_owned());
        let expires =
            verify::seconds(&signed.claims, "exp")?.ok_or(TokenRefused::Missing("exp"))?;
        let token = Token::new(token);
        Ok(Session {
            login: claims::login(&signed.claims, now),
            expires_at: Some(Timestamp::from_second(expires).unwrap_or(Timestamp::MAX)),
            access_token: Some(token.clone()),
            id_token: Some(token),
            identity,
            claims: claims::captured(&client.claims, sources),
            ..Session::new(&client.config.id, now)
        })
    }

    async fn signed_bearer(&self, token: &str) -> Result<Signed, BearerError> {
        let metadata = self.client.issuer.metadata().await?;
        match jws::verify(token, &self.client.issuer.keys.present(), &metadata.algorithms) {
            Err(SignatureError::UnknownKey(..) | SignatureError::Wrong) => {}
            other => return other.map_err(|error| BearerError::Refused(error.into())),
        }
        // Only the fetch itself is work of the control runtime, which everybody shares; what a stranger's token costs to
        // verify is paid by the worker that the stranger is at.
        let fetched = if let Some(outcome) = self.client.issuer.keys.rests() {
            outcome
        } else {
            let client = Arc::clone(&self.client);
            self.on_control(async move { client.issuer.look_for_keys().await }).await?
        };
        fetched.map_err(BearerError::Keys)?;
        jws::verify(token, &self.client.issuer.keys.present(), &metadata.algorithms)
            .map_err(|error| BearerError::Refused(error.into()))
    }

    /// Stands for the provider and its keys as they are: whatever was made of a bearer token under another one is void. One
    /// that is withdrawn counts until the keys are next fetched, which is every few minutes while tokens are in use.
    pub(crate) fn bearer_epoch(&self) -> (u64, u64) {
        (self.client.serial, self.client.issuer.keys.epoch())
    }
}
