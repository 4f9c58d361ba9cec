//! From the authorization response to a session. The caller has compared `state` before; here follows everything else, in
//! this order: `iss`, the provider's own refusal, the code, the ID token, and only then userinfo and claims.

mod error;

pub(crate) use error::{CallbackError, Failure};

use super::callback_params::CallbackParams;
use super::claims::{self, ClaimsRefused, Object, Sources};
use super::discovery::Metadata;
use super::jws::shown;
use super::keys::Need;
use super::login;
use super::login_state::{LoginState, hash};
use super::provider::{Inner, Provider};
use super::token::{self, Code, Tokens};
use super::userinfo::{self, UserinfoError};
use super::verify::{self, Expected, Kind, Nonce};
use crate::session::{Binding, Fingerprint, Session};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;

impl Provider {
    /// Finishes a login. `redirect_uri` is that of [`Provider::login`]. The `state` parameter must have been compared with
    /// `state` already, and must not be accepted a second time.
    ///
    /// # Errors
    /// See [`CallbackError`]; its [`CallbackError::failure`] says what to answer.
    pub(crate) async fn callback(
        &self,
        params: &CallbackParams,
        state: LoginState,
        redirect_uri: &str,
    ) -> Result<Session, CallbackError> {
        let (inner, params, redirect_uri) =
            (Arc::clone(&self.inner), params.clone(), redirect_uri.to_owned());
        let work = async move {
            let result = complete(&inner, &params, &state, &redirect_uri).await;
            inner.outcomes.login(inner.clock.now(), result.as_ref().err());
            result
        };
        self.on_control(work).await?
    }
}

async fn complete(
    inner: &Inner,
    params: &CallbackParams,
    state: &LoginState,
    redirect_uri: &str,
) -> Result<Session, CallbackError> {
    let metadata = inner.metadata().await?;
    if !state.went_to(&inner.config.id, &inner.config.issuer_url) {
        return Err(CallbackError::OtherProvider);
    }
    check_issuer(inner, &metadata, params)?;
    if let Some(code) = &params.error {
        return Err(CallbackError::declined(code, params.error_description.as_deref()));
    }
    let code = params.code.as_ref().ok_or(CallbackError::NoCode)?;
    let _place = inner.calls.login().await?;
    let code = Code { value: code, redirect_uri, verifier: state.verifier() };
    let tokens = inner.noted(token::redeem(&inner.token_endpoint(&metadata), &code).await)?;
    session(inner, &metadata, state, tokens).await
}

/// RFC 9207 section 2.4: a response of another provider, mixed up or injected, ends here.
fn check_issuer(
    inner: &Inner,
    metadata: &Metadata,
    params: &CallbackParams,
) -> Result<(), CallbackError> {
    match &params.issuer {
        Some(issuer) if *issuer == metadata.issuer => Ok(()),
        Some(_) if inner.config.insecure_skip_issuer_verification => Ok(()),
        Some(issuer) => {
            Err(CallbackError::Issuer { got: shown(issuer), wanted: shown(&metadata.issuer) })
        }
        None if metadata.iss_in_response => Err(CallbackError::NoIssuer),
        None => Ok(()),
    }
}

async fn session(
    inner: &Inner,
    metadata: &Metadata,
    state: &LoginState,
    tokens: Tokens,
) -> Result<Session, CallbackError> {
    let now = inner.clock.now();
    let id_token = tokens.id.ok_or(CallbackError::NoIdToken)?;
    let signed = inner.signed(id_token.as_str(), Need::Login).await?;
    let nonce = state.nonce().map(|nonce| hash(&nonce));
    let expected = Expected {
        nonce: nonce.as_deref().map_or(Nonce::Any, Nonce::Equal),
        access_token: Some(tokens.access.as_str()),
        max_age: login::max_age(&inner.config),
        kind: Kind::Received,
        now,
    };
    let subject = verify::check(&signed, &inner.config, &expected)?;
    let userinfo =
        userinfo(inner, metadata, &signed.claims, tokens.access.as_str(), subject).await?;
    let sources = Sources { token: &signed.claims, userinfo: userinfo.as_ref() };
    let identity = claims::identity(subject, sources, &inner.config.claims)?;
    if identity.email.is_none() {
        return Err(ClaimsRefused::NoEmail {
            account: shown(subject),
            claim: inner.config.claims.email.clone(),
        }
        .into());
    }
    let mut login = claims::login(&signed.claims, now);
    login.credentials = state.credentials();
    Ok(Session {
        binding: Some(Binding::new(Fingerprint::of(&inner.config.issuer_url))),
        login,
        expires_at: expiry(now, tokens.expires_in),
        access_token: tokens.is_bearer.unwrap_or(false).then_some(tokens.access),
        id_token: Some(id_token),
        refresh_token: tokens.refresh,
        nonce: state.nonce(),
        identity,
        ..Session::new(&inner.config.id, now)
    })
}

/// The userinfo claims, if something is missing in the token and they may be asked for.
pub(super) async fn userinfo(
    inner: &Inner,
    metadata: &Metadata,
    token: &Object,
    access_token: &str,
    subject: &str,
) -> Result<Option<Object>, UserinfoError> {
    let config = &inner.config.claims;
    match &metadata.userinfo {
        Some(url) if !config.skip_userinfo && claims::incomplete(token, config) => {
            userinfo::ask(inner, url, access_token, subject).await.map(Some)
        }
        _ => Ok(None),
    }
}

/// When an access token ends that was given now.
pub(super) fn expiry(now: Timestamp, expires_in: Option<Duration>) -> Option<Timestamp> {
    now.checked_add(SignedDuration::try_from(expires_in?).ok()?).ok()
}
