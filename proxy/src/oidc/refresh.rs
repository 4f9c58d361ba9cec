//! New tokens for a session (OpenID Connect Core 1.0 section 12). Single flight and storing are the caller's.

use super::callback::{expiry, userinfo};
use super::claims::{self, ClaimsRefused, Object, Sources};
use super::client::{Acting, Client, TOO_MANY};
use super::discovery::Metadata;
use super::issuer::{SignedError, Unavailable};
use super::keys::Asker;
use super::login_state::hash;
use super::provider::Provider;
use super::token::{self, TokenError, Tokens};
use super::verify::{self, Expected, Kind, Nonce, TokenRefused};
use crate::session::{Binding, Fingerprint, Login, Session, Token, TokenKinds};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// Why a session was not refreshed. The texts are for the log and have no secrets.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum RefreshError {
    /// The session has nothing to refresh it with.
    #[error("the session has no refresh token")]
    NoRefreshToken,
    /// The provider has ended it: the refresh token is revoked, expired or used up.
    #[error("the provider has ended the session: {0}")]
    InvalidGrant(TokenError),
    /// The new ID token is about somebody else.
    #[error("the refreshed ID token is about another subject")]
    SubjectChanged,
    /// The account may not pass any more.
    #[error(transparent)]
    Denied(ClaimsRefused),
    /// The provider does not answer.
    #[error("the session could not be refreshed: {0}")]
    Unavailable(String),
    /// It was not asked, because too many are being refreshed.
    #[error("the session could not be refreshed: {TOO_MANY}")]
    Busy,
    /// The provider answers that it can not serve now. That is soon said and keeps nobody waiting.
    #[error("the session could not be refreshed: {0}")]
    Failing(String),
    /// The provider refuses us rather than the session (a wrong client secret, for one), or its answer is of no use.
    #[error("the session could not be refreshed: {0}")]
    Rejected(String),
}

/// What a refresh brought.
#[derive(Debug)]
pub(crate) struct Refreshed {
    /// The session to go on with.
    pub(crate) session: Session,
    /// It has a new access token. Otherwise only the refresh token is new, because the rest of the answer did not pass.
    pub(crate) is_whole: bool,
}

/// Told once if the provider takes so long for an answer that it must be taken for away.
pub(crate) type Slow = Box<dyn FnOnce() + Send>;

/// So long.
const SLOW_AFTER: Duration = Duration::from_secs(10);

impl RefreshError {
    /// Whether the session is over. An outage, a wrong client secret or an unusable answer is no reason.
    pub(crate) fn ends_session(&self) -> bool {
        match self {
            Self::InvalidGrant(_) | Self::SubjectChanged | Self::Denied(_) => true,
            Self::NoRefreshToken
            | Self::Unavailable(_)
            | Self::Busy
            | Self::Failing(_)
            | Self::Rejected(_) => false,
        }
    }
}

impl From<Unavailable> for RefreshError {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl Provider {
    /// Uses the refresh token of `session`, once. The call goes on to its end on the control runtime even if the caller
    /// goes away, but its result is then lost: the caller sees to it that somebody waits.
    ///
    /// # Errors
    /// See [`RefreshError`].
    pub(crate) async fn refresh(
        &self,
        session: &Session,
        slow: Slow,
    ) -> Result<Refreshed, RefreshError> {
        let (client, session) = (Arc::clone(&self.client), session.clone());
        self.on_control(Box::pin(async move { refresh(&client, &session, slow).await })).await?
    }
}

async fn refresh(
    client: &Client,
    session: &Session,
    slow: Slow,
) -> Result<Refreshed, RefreshError> {
    let refresh_token = session.refresh_token.as_ref().ok_or(RefreshError::NoRefreshToken)?;
    let client = &client.acting(session.login.credentials);
    let metadata = client.issuer.metadata().await?;
    let _place = client.calls.refresh().await.ok_or(RefreshError::Busy)?;
    let endpoint =
        client.token_endpoint(&metadata.token, metadata.authentication_methods.as_deref());
    let answer = watched(token::refresh(&endpoint, refresh_token.as_str()), slow).await;
    let tokens = match client.noted(answer) {
        Ok(token::Refreshed::Whole(tokens)) => tokens,
        Ok(token::Refreshed::Rotated(refresh, reason)) => {
            let provider = client.config.id.as_str();
            tracing::warn!(provider, reason, "of a refresh only the new refresh token is of use");
            let session = continued(client, session, Some(refresh));
            return Ok(Refreshed { session, is_whole: false });
        }
        Err(error) if error.is_invalid_grant() => return Err(RefreshError::InvalidGrant(error)),
        Err(error) if error.is_outage() => {
            let text = error.to_string();
            return Err(match error {
                TokenError::Http(_) => RefreshError::Unavailable(text),
                _ => RefreshError::Failing(text),
            });
        }
        Err(error) => return Err(RefreshError::Rejected(error.to_string())),
    };
    renewed(client, &metadata, session, tokens).await
}

/// The outcome of `call`, however long it takes.
async fn watched<T>(call: impl Future<Output = T>, slow: Slow) -> T {
    let mut call = pin!(call);
    if let Ok(outcome) = tokio::time::timeout(SLOW_AFTER, &mut call).await {
        return outcome;
    }
    slow();
    call.await
}

/// The session as it goes on with another refresh token, if there is one, and nothing else that is new: the provider has
/// said that it stands.
fn continued(client: &Acting<'_>, session: &Session, refresh: Option<Token>) -> Session {
    let now = client.clock.now();
    let issuer = Fingerprint::of(client.config.vouches_as());
    Session {
        // A session of the first format may have been made under a name that the provider had then.
        provider: client.config.id.clone(),
        binding: session.binding.or_else(|| Some(Binding::continuing(session, issuer))),
        login: Login {
            credentials: client.ring.latest_of(client.credentials).generation,
            ..session.login.clone()
        },
        created_at: now,
        seen_at: now,
        refresh_token: refresh.or_else(|| session.refresh_token.clone()),
        ..session.clone()
    }
}

/// The session with the new tokens. From here on the old refresh token may be used up, so an ID token that does not pass keeps
/// the new refresh token with everything else as it was, and keys or a userinfo that can not be had keep all new tokens with
/// the identity that is known, rather than losing both.
async fn renewed(
    client: &Acting<'_>,
    metadata: &Metadata,
    session: &Session,
    tokens: Tokens,
) -> Result<Refreshed, RefreshError> {
    let kept = continued(client, session, tokens.refresh);
    let mut next = Session {
        // The provider was asked for everything: what is not there now was not given.
        left_out: TokenKinds::default(),
        expires_at: expiry(kept.created_at, tokens.expires_in),
        ..kept.clone()
    };
    if let Some(id_token) = tokens.id {
        let updated = update_identity(client, metadata, &mut next, (&id_token, &tokens.access));
        if let Err(refused) = updated.await? {
            let provider = client.config.id.as_str();
            tracing::warn!(provider, %refused, "a refreshed ID token is not accepted: only the new refresh token is kept");
            return Ok(Refreshed { session: kept, is_whole: false });
        }
    } else {
        look_for_claims(client, metadata, &mut next, &tokens.access).await;
    }
    // The same of claims: it was asked, whatever came of it.
    next.claims.asked.clone_from(&client.claims);
    // Who says nothing of the type says nothing new.
    let is_bearer = tokens
        .is_bearer
        .unwrap_or_else(|| session.access_token.is_some() || session.left_out.access_token);
    next.access_token = is_bearer.then_some(tokens.access);
    Ok(Refreshed { session: next, is_whole: true })
}

/// Takes over the new ID token and what it and userinfo say, if it passes.
async fn update_identity(
    client: &Acting<'_>,
    metadata: &Metadata,
    session: &mut Session,
    (id_token, access_token): (&Token, &Token),
) -> Result<Result<(), TokenRefused>, RefreshError> {
    let provider = client.config.id.as_str();
    let signed = match client.issuer.signed(id_token.as_str(), Asker::Login).await {
        Ok(signed) => signed,
        Err(SignedError::Refused(error)) => return Ok(Err(error.into())),
        Err(SignedError::Keys(error)) => {
            tracing::warn!(provider, %error, "a refreshed ID token can not be checked now: the old one stays");
            return Ok(Ok(()));
        }
        Err(SignedError::Unavailable(error)) => {
            tracing::warn!(provider, %error, "a refreshed ID token can not be checked now: the old one stays");
            return Ok(Ok(()));
        }
    };
    let nonce = session.nonce.map(|nonce| hash(&nonce));
    let expected = Expected {
        nonce: nonce.as_deref().map_or(Nonce::Any, Nonce::EqualIfPresent),
        access_token: Some(access_token.as_str()),
        max_age: None,
        kind: Kind::Received,
        now: session.created_at,
    };
    let subject = match verify::check(&signed, client.trusts(), &client.audience(), &expected) {
        Ok(subject) => subject,
        Err(refused) => return Ok(Err(refused)),
    };
    if subject != session.identity.user {
        return Err(RefreshError::SubjectChanged);
    }
    let userinfo = match userinfo(client, metadata, &signed.claims, access_token.as_str(), subject)
        .await
    {
        Ok(claims) => claims,
        Err(error) => {
            tracing::warn!(provider, %error, "userinfo gives nothing at a refresh: the identity stays as it was");
            session.id_token = Some(id_token.clone());
            return Ok(Ok(()));
        }
    };
    let sources = Sources { token: &signed.claims, userinfo: userinfo.as_ref() };
    let new =
        claims::identity(subject, sources, &client.config.claims).map_err(RefreshError::Denied)?;
    // A refreshed ID token may say less than the first (Core section 12.2). Names are kept then; groups are not, because they
    // open doors.
    let old = &mut session.identity;
    old.email = new.email.or_else(|| old.email.take());
    old.preferred_username = new.preferred_username.or_else(|| old.preferred_username.take());
    old.groups = new.groups;
    session.claims = claims::captured(&client.claims, sources);
    session.id_token = Some(id_token.clone());
    Ok(Ok(()))
}

/// Without a new ID token only userinfo can know a claim that nobody looked for before.
async fn look_for_claims(
    client: &Acting<'_>,
    metadata: &Metadata,
    session: &mut Session,
    access_token: &Token,
) {
    let (wanted, token) = (&client.claims, Object::new());
    if wanted.iter().all(|name| session.claims.asked.contains(name)) {
        return;
    }
    let subject = session.identity.user.as_str();
    match userinfo(client, metadata, &token, access_token.as_str(), subject).await {
        Ok(found) => {
            let sources = Sources { token: &token, userinfo: found.as_ref() };
            session.claims.values.extend(claims::captured(wanted, sources).values);
        }
        Err(error) => {
            let provider = client.config.id.as_str();
            tracing::warn!(provider, %error, "userinfo gives nothing at a refresh: a claim stays unknown");
        }
    }
}
