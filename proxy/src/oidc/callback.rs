//! From the authorization response to a session. The caller has compared `state` before; here follows everything else, in
//! this order: `iss`, the provider's own refusal, the code, the ID token, and only then userinfo and claims.

mod error;

pub(crate) use error::{CallbackError, Failure};

use super::callback_params::CallbackParams;
use super::claims::{self, ClaimsRefused, Object, Sources};
use super::client::{Acting, Client, Network};
use super::discovery::Metadata;
use super::jws::shown;
use super::keys::Asker;
use super::login;
use super::login_state::{LoginState, hash};
use super::provider::{Provider, on_worker};
use super::token::{self, Code, Tokens};
use super::userinfo::{self, UserinfoError};
use super::verify::{self, Expected, Kind, Nonce};
use crate::session::{Binding, Fingerprint, Session};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;

impl Provider {
    /// Finishes a login. `redirect_uri` is that of [`Provider::login`], `network` that of whoever comes back. The `state`
    /// parameter must have been compared with `state` already, and must not be accepted a second time.
    ///
    /// # Errors
    /// See [`CallbackError`]; its [`CallbackError::failure`] says what to answer.
    pub(crate) async fn callback(
        &self,
        params: &CallbackParams,
        state: LoginState,
        redirect_uri: &str,
        network: Network,
    ) -> Result<Session, CallbackError> {
        if !self.began(&state) {
            return Err(CallbackError::OtherProvider);
        }
        let (client, params, redirect_uri) =
            (Arc::clone(&self.client), params.clone(), redirect_uri.to_owned());
        // Boxed, because a task is moved several times.
        let work = Box::pin(async move {
            let result = complete(&client, &params, &state, (&redirect_uri, network)).await;
            client.outcomes.login(client.clock.now(), result.as_ref().err());
            result
        });
        on_worker(work).await?
    }
}

async fn complete(
    client: &Client,
    params: &CallbackParams,
    state: &LoginState,
    (redirect_uri, network): (&str, Network),
) -> Result<Session, CallbackError> {
    let client = &client.acting(state.credentials());
    let metadata = client.issuer.metadata().await?;
    check_issuer(client, &metadata, params)?;
    if let Some(code) = &params.error {
        let declined = CallbackError::declined(code, params.error_description.as_deref());
        return Err(declined.about(login::scope_asked(client, &metadata)));
    }
    let code = params.code.as_ref().ok_or(CallbackError::NoCode)?;
    let _place = client.calls.login(network).await?;
    let code = Code { value: code, redirect_uri, verifier: state.verifier() };
    let methods = metadata.authentication_methods.as_deref();
    let endpoint = client.token_endpoint(&metadata.token, methods);
    let tokens = client.noted(token::redeem(&endpoint, &code).await);
    let tokens = tokens
        .map_err(|error| CallbackError::from(error).about(login::scope_asked(client, &metadata)))?;
    session(client, &metadata, state, tokens).await
}

/// RFC 9207 section 2.4: a response of another provider, mixed up or injected, ends here. With several providers each has to
/// name itself, because nothing else tells whose page the person came back from.
fn check_issuer(
    client: &Client,
    metadata: &Metadata,
    params: &CallbackParams,
) -> Result<(), CallbackError> {
    match &params.issuer {
        Some(issuer) if *issuer == metadata.issuer => Ok(()),
        Some(_) if client.config.insecure_skip_issuer_verification => Ok(()),
        Some(issuer) => {
            Err(CallbackError::Issuer { got: shown(issuer), wanted: shown(&metadata.issuer) })
        }
        None if metadata.iss_in_response || client.among_others => Err(CallbackError::NoIssuer),
        None => Ok(()),
    }
}

async fn session(
    client: &Acting<'_>,
    metadata: &Metadata,
    state: &LoginState,
    tokens: Tokens,
) -> Result<Session, CallbackError> {
    let now = client.clock.now();
    let id_token = tokens.id.ok_or(CallbackError::NoIdToken)?;
    let signed = client.issuer.signed(id_token.as_str(), Asker::Login).await?;
    let nonce = state.nonce().map(|nonce| hash(&nonce));
    let expected = Expected {
        nonce: nonce.as_deref().map_or(Nonce::Any, Nonce::Equal),
        access_token: Some(tokens.access.as_str()),
        max_age: login::max_age_due(state, client),
        kind: Kind::Received,
        now,
    };
    let subject = verify::check(&signed, client.trusts(), &client.audience(), &expected)?;
    let userinfo =
        userinfo(client, metadata, &signed.claims, tokens.access.as_str(), subject).await?;
    let sources = Sources { token: &signed.claims, userinfo: userinfo.as_ref() };
    let identity = claims::identity(subject, sources, &client.config.claims)?;
    if identity.email.is_none() {
        return Err(ClaimsRefused::NoEmail {
            account: shown(subject),
            claim: client.config.claims.email.clone(),
        }
        .into());
    }
    let mut login = claims::login(&signed.claims, now);
    login.credentials = client.credentials.generation;
    Ok(Session {
        binding: Some(Binding::new(Fingerprint::of(client.config.vouches_as()))),
        login,
        expires_at: expiry(now, tokens.expires_in),
        access_token: tokens.is_bearer.unwrap_or(false).then_some(tokens.access),
        id_token: Some(id_token),
        refresh_token: tokens.refresh,
        nonce: state.nonce(),
        identity,
        claims: claims::captured(&client.claims, sources),
        ..Session::new(&client.config.id, now)
    })
}

/// The userinfo claims, if something is missing in the token and they may be asked for.
pub(super) async fn userinfo(
    client: &Acting<'_>,
    metadata: &Metadata,
    token: &Object,
    access_token: &str,
    subject: &str,
) -> Result<Option<Object>, UserinfoError> {
    let config = &client.config.claims;
    match &metadata.userinfo {
        Some(url) if !config.skip_userinfo && claims::incomplete(token, config, &client.claims) => {
            userinfo::ask(client, url, access_token, subject).await.map(Some)
        }
        _ => Ok(None),
    }
}

/// When an access token ends that was given now.
pub(super) fn expiry(now: Timestamp, expires_in: Option<Duration>) -> Option<Timestamp> {
    now.checked_add(SignedDuration::try_from(expires_in?).ok()?).ok()
}
