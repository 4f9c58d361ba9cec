//! Requests to the token endpoint (RFC 6749 sections 2.3, 4.1.3, 5 and 6). A code or refresh token is sent once, and once more
//! only where the provider did not look at it, because it took us for nobody.

mod answer;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzzing;

pub(super) use answer::{Refreshed, Tokens};
pub(crate) use error::TokenError;

use super::client::{Credentials, Ring};
use super::http::{Answer, Http, LONG_TIME, TOTAL_TIME};
use super::login::form;
use crate::secrets;
use proxy_config::{ClientAuthentication as Method, Provider as Config, Secret};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use url::Url;
use zeroize::Zeroizing;

/// What is sent and must not be shown, whoever repeats it.
const SECRET: [&str; 3] = ["code", "code_verifier", "refresh_token"];

/// Redeems an authorization code.
///
/// # Errors
/// See [`TokenError`].
pub(super) async fn redeem(
    endpoint: &TokenEndpoint<'_>,
    grant: &Code<'_>,
) -> Result<Tokens, TokenError> {
    let mut pairs = vec![
        ("grant_type", "authorization_code"),
        ("code", grant.value),
        ("redirect_uri", grant.redirect_uri),
    ];
    pairs.extend(grant.verifier.map(|verifier| ("code_verifier", verifier)));
    endpoint.ask(pairs, (TOTAL_TIME, answer::read)).await.inspect(|tokens| endpoint.look(tokens))
}

/// Uses a refresh token.
///
/// # Errors
/// See [`TokenError`].
pub(super) async fn refresh(
    endpoint: &TokenEndpoint<'_>,
    refresh_token: &str,
) -> Result<Refreshed, TokenError> {
    let pairs = vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
    let refreshed = endpoint.ask(pairs, (LONG_TIME, answer::read_refreshed)).await?;
    if let Refreshed::Whole(tokens) = &refreshed {
        endpoint.look(tokens);
    }
    Ok(refreshed)
}

/// The time that a request has, and what reads its answer.
type Reading<T> = (Duration, fn(&Answer) -> Result<T, TokenError>);

/// What a code is redeemed with.
pub(super) struct Code<'a> {
    pub(super) value: &'a str,
    pub(super) redirect_uri: &'a str,
    pub(super) verifier: Option<&'a str>,
}

/// The way of client authentication that was found to work where two are possible.
#[derive(Clone, Default)]
pub(super) struct Learnt(Arc<AtomicU8>);

impl Learnt {
    const BASIC: u8 = 1;
    const POST: u8 = 2;

    fn get(&self) -> Option<Method> {
        match self.0.load(Ordering::Relaxed) {
            Self::BASIC => Some(Method::ClientSecretBasic),
            Self::POST => Some(Method::ClientSecretPost),
            _ => None,
        }
    }

    fn set(&self, method: Method) {
        let number = if method == Method::ClientSecretPost { Self::POST } else { Self::BASIC };
        self.0.store(number, Ordering::Relaxed);
    }
}

/// The token endpoint of a provider and how to speak to it.
pub(super) struct TokenEndpoint<'a> {
    pub(super) config: &'a Config,
    pub(super) ring: &'a Ring,
    /// With which the code or the refresh token was asked for.
    pub(super) credentials: &'a Credentials,
    pub(super) url: &'a Url,
    /// The ways of client authentication that the provider lists, if it lists any.
    pub(super) methods: Option<&'a [String]>,
    pub(super) http: &'a Http,
    pub(super) learnt: &'a Learnt,
}

impl TokenEndpoint<'_> {
    /// Asks with the credentials that the grant belongs to, and with others of the same client id while the provider takes us
    /// for nobody: its secret is not changed at the same instant there and here.
    async fn ask<T>(&self, pairs: Vec<(&str, &str)>, reading: Reading<T>) -> Result<T, TokenError> {
        let (first, others) = self.ring.ways(self.credentials);
        let refused = self.ask_as(first, pairs.clone(), reading).await;
        if !refused.as_ref().is_err_and(TokenError::is_about_the_client) {
            return refused;
        }
        for credentials in others {
            let result = self.ask_as(credentials, pairs.clone(), reading).await;
            match &result {
                Err(error) if error.is_about_the_client() => {}
                Err(error) if error.is_outage() => break,
                _ => {
                    self.ring.worked(credentials);
                    tracing::info!(
                        provider = self.config.id.as_str(),
                        generation = credentials.generation,
                        "the identity provider takes these of the client's credentials, which are tried first from now on"
                    );
                    return result;
                }
            }
        }
        refused
    }

    /// Asks in the way that is configured or known to work, and where neither is, in a second one if the provider takes us
    /// for nobody: many do not say which way they want, or say both and mean one.
    async fn ask_as<T>(
        &self,
        credentials: &Credentials,
        pairs: Vec<(&str, &str)>,
        reading: Reading<T>,
    ) -> Result<T, TokenError> {
        let secret = credentials.secret.as_ref().map(read).transpose()?;
        let client = (credentials.id.as_str(), secret.as_ref().map(|text| text.as_str()));
        let method = self.method(credentials)?;
        let first = self.ask_by(method, pairs.clone(), client, reading).await;
        let Some(other) = self.alternative(method) else { return first };
        if !first.as_ref().is_err_and(TokenError::is_about_the_client) {
            return first;
        }
        let second = self.ask_by(other, pairs, client, reading).await;
        if second.as_ref().is_err_and(|error| error.is_about_the_client() || error.is_outage()) {
            return first;
        }
        let (provider, method) = (self.config.id.as_str(), name_of(other));
        tracing::info!(
            provider,
            method,
            "the identity provider takes this way of client authentication only, which is used from now on: configure it \
             (clientAuthentication, --client-authentication) to save the attempt"
        );
        self.learnt.set(other);
        second
    }

    async fn ask_by<T>(
        &self,
        method: Method,
        mut pairs: Vec<(&str, &str)>,
        (id, secret): (&str, Option<&str>),
        (time, read): Reading<T>,
    ) -> Result<T, TokenError> {
        let mut authorization = None;
        match (method, secret) {
            (Method::ClientSecretBasic, Some(secret)) => {
                authorization = Some(basic(id, secret));
            }
            (Method::ClientSecretPost, Some(secret)) => {
                pairs.push(("client_id", id));
                pairs.push(("client_secret", secret));
            }
            (Method::None, _) | (_, None) => pairs.push(("client_id", id)),
        }
        let sent: Vec<&str> = pairs
            .iter()
            .filter(|(n, _)| SECRET.contains(n))
            .map(|(_, v)| *v)
            .chain(secret)
            .collect();
        let form = Zeroizing::new(form(pairs.iter().copied()));
        let answer = self
            .http
            .post_form(self.url, form, authorization.as_deref().map(String::as_str), time)
            .await?;
        read(&answer).map_err(|error| error.without(&sent))
    }

    /// Says so if the provider says nothing of the kind of its access token.
    fn look(&self, tokens: &Tokens) {
        if tokens.is_bearer != Some(true) {
            tracing::warn!(
                provider = self.config.id.as_str(),
                "the identity provider does not say that its access token is a bearer token (token_type): it is kept from \
                 applications"
            );
        }
    }

    /// As configured, else what worked before, else the best that the provider offers. What it does not list counts as HTTP
    /// Basic (Discovery 1.0 section 3).
    fn method(&self, credentials: &Credentials) -> Result<Method, TokenError> {
        if let Some(method) = self.config.client_authentication {
            return Ok(method);
        }
        if credentials.secret.is_none() {
            return Ok(Method::None);
        }
        if let Some(method) = self.learnt.get().filter(|method| self.offers(*method)) {
            return Ok(method);
        }
        let ways = [Method::ClientSecretBasic, Method::ClientSecretPost];
        ways.into_iter().find(|method| self.offers(*method)).ok_or_else(|| {
            let offered = self.methods.unwrap_or_default();
            TokenError::NoMethod(super::jws::shown(&offered.join(", ")))
        })
    }

    /// The other way, where nothing says that there is one only.
    fn alternative(&self, method: Method) -> Option<Method> {
        if self.config.client_authentication.is_some() {
            return None;
        }
        let other = match method {
            Method::ClientSecretBasic => Method::ClientSecretPost,
            Method::ClientSecretPost => Method::ClientSecretBasic,
            Method::None => return None,
        };
        Some(other).filter(|other| self.offers(*other))
    }

    /// A provider that lists nothing may take either.
    fn offers(&self, method: Method) -> bool {
        let Some(offered) = self.methods else { return true };
        offered.iter().any(|name| name == name_of(method))
    }
}

/// The registered name.
fn name_of(method: Method) -> &'static str {
    match method {
        Method::ClientSecretBasic => "client_secret_basic",
        Method::ClientSecretPost => "client_secret_post",
        Method::None => "none",
    }
}

/// RFC 6749 section 2.3.1: both parts are form-encoded first.
fn basic(id: &str, secret: &str) -> Zeroizing<String> {
    let encode = |text: &str| Zeroizing::new(form([("", text)]).split_off(1));
    let pair = Zeroizing::new(format!("{}:{}", *encode(id), *encode(secret)));
    Zeroizing::new(format!(
        "Basic {}",
        *Zeroizing::new(base64_simd::STANDARD.encode_to_string(pair.as_bytes()))
    ))
}

/// Read at each use, so that a rotated secret counts from the next request on.
fn read(secret: &Secret) -> Result<Zeroizing<String>, TokenError> {
    match secret {
        Secret::Value(text) => Ok(text.clone()),
        Secret::File(path) => secrets::read_file(path)
            .map_err(|error| TokenError::Secret(format!("{}: {error}", path.display()))),
    }
}
