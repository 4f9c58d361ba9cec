//! New tokens for a session (OpenID Connect Core 1.0 section 12). Single flight and storing are the caller's.

use super::callback::{expiry, userinfo};
use super::claims::{self, Object, Sources};
use super::client::{Acting, Client};
use super::discovery::Metadata;
use super::issuer::SignedError;
use super::keys::Asker;
use super::login_state::hash;
use super::provider::Provider;
use super::renewal::{Ending, NotNow, Renewal};
use super::token::{self, Tokens};
use super::validate::{self, Validity};
use super::verify::{self, Expected, Kind, Nonce, TokenRefused};
use crate::session::{Binding, Fingerprint, Login, Session, Token, TokenKinds};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// What a refresh brought.
struct Refreshed {
    /// The session to go on with.
    session: Session,
    /// It has a new access token. Otherwise only the refresh token is new, because the rest of the answer did not pass.
    is_whole: bool,
}

/// Told once if the provider takes so long for an answer that it must be taken for away.
pub(crate) type Slow = Box<dyn FnOnce() + Send>;

/// So long.
const SLOW_AFTER: Duration = Duration::from_secs(10);

impl Provider {
    /// Uses the refresh token of `session`, once, and sees whether what came of it still stands; without one, whether the
    /// session does. The call goes on to its end on the control runtime even if the caller goes away, but its result is then
    /// lost: the caller sees to it that somebody waits.
    pub(crate) async fn refresh(&self, session: &Session, slow: Slow) -> Renewal {
        let (client, session) = (Arc::clone(&self.client), session.clone());
        let work = Box::pin(async move { renew(&client, &session, slow).await });
        self.on_control(work).await.unwrap_or_else(Renewal::from)
    }
}

async fn renew(client: &Client, session: &Session, slow: Slow) -> Renewal {
    let Some(token) = &session.refresh_token else {
        return match validate::by_id_token(client, session).await {
            Validity::Stands => Renewal::Stands,
            Validity::Ended(reason) => Renewal::Ended(reason),
            Validity::Unknown(reason) => Renewal::Kept(reason),
        };
    };
    let Refreshed { session, is_whole } = match refresh(client, session, token, slow).await {
        Ok(refreshed) => refreshed,
        Err(renewal) => return renewal,
    };
    // Otherwise there is no access token to look at but that of before.
    if is_whole && let Validity::Ended(reason) = validate::refreshed(client, &session).await {
        return Renewal::Ended(reason);
    }
    Renewal::Renewed(Box::new(session))
}

async fn refresh(
    client: &Client,
    session: &Session,
    refresh_token: &Token,
    slow: Slow,
) -> Result<Refreshed, Renewal> {
    let client = &client.acting(session.login.credentials);
    let metadata = client.issuer.metadata().await?;
    let _place = client.calls.refresh().await.ok_or(Renewal::Kept(NotNow::Busy))?;
    let endpoint =
        client.token_endpoint(&metadata.token, metadata.authentication_methods.as_deref());
    let answer = watched(token::refresh(&endpoint, refresh_token.as_str()), slow).await;
    match client.noted(answer)? {
        token::Refreshed::Whole(tokens) => {
            renewed(client, &metadata, session, tokens).await.map_err(Renewal::Ended)
        }
        token::Refreshed::Rotated(refresh, reason) => {
            let provider = client.config.id.as_str();
            tracing::warn!(provider, reason, "of a refresh only the new refresh token is of use");
            let session = continued(client, session, Some(refresh));
            Ok(Refreshed { session, is_whole: false })
        }
    }
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
) -> Result<Refreshed, Ending> {
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
) -> Result<Result<(), TokenRefused>, Ending> {
    let provider = client.config.id.as_str();
    let signed = match client.issuer.signed(id_token.as_str(), Asker::Login).await {
        Ok(signed) => signed,
        Err(SignedError::Refused(error)) => return Ok(Err(error.into())),
        Err(error @ (SignedError::Keys(_) | SignedError::Unavailable(_))) => {
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
        return Err(Ending::OtherSubject);
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
    let new = claims::identity(subject, sources, &client.config.claims).map_err(Ending::Denied)?;
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
