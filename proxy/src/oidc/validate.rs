//! Whether a session still stands with the provider (`reference/providers.md` 3.4).

use super::client::{Client, TOO_MANY};
use super::discovery;
use super::http::{Get, MAX_ANSWER};
use super::issuer::SignedError;
use super::keys::Asker;
use super::login_state::hash;
use super::provider::Provider;
use super::verify::{self, Expected, Kind, Nonce, TokenRefused};
use crate::session::Session;
use std::sync::Arc;

/// The verdict. The texts are for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Validity {
    /// It stands.
    Valid,
    /// It does not, and asking again will not change that.
    Invalid(String),
    /// The provider could not be asked; no reason to end a session.
    Unavailable(String),
}

impl Provider {
    /// Whether a session that is due still stands. One that was refreshed just now (`refreshed`) does if the validation
    /// endpoint, where there is one, says so of the new access token; of any other the ID token must still be good, which
    /// includes its expiry.
    pub(crate) async fn validate(&self, session: &Session, refreshed: bool) -> Validity {
        let (client, session) = (Arc::clone(&self.client), session.clone());
        let work = async move {
            match (&client.config.endpoints.validate, &session.access_token) {
                (Some(url), Some(token)) if refreshed => {
                    ask_endpoint(&client, url, token.as_str()).await
                }
                (None, _) if refreshed => Validity::Valid,
                _ => check_id_token(&client, &session).await,
            }
        };
        self.on_control(work)
            .await
            .unwrap_or_else(|stopping| Validity::Unavailable(stopping.to_string()))
    }
}

/// The validation endpoint's verdict.
async fn ask_endpoint(client: &Client, url: &str, token: &str) -> Validity {
    let url = match discovery::endpoint("endpoints.validate (--validate-url)", url) {
        Ok(url) => url,
        Err(error) => return Validity::Unavailable(error.to_string()),
    };
    let Some(_place) = client.calls.refresh().await else {
        return Validity::Unavailable(TOO_MANY.to_owned());
    };
    let get = Get { accept: "application/json", bearer: Some(token), limit: MAX_ANSWER };
    match client.http.get(&url, &get).await {
        Ok(answer) if answer.status == 200 => Validity::Valid,
        // All others, such as 404, come from what stands in front of it as well, while it is being changed.
        Ok(answer) if [401, 403].contains(&answer.status) => {
            Validity::Invalid(format!("the validation endpoint answers {}", answer.status))
        }
        Ok(answer) => {
            Validity::Unavailable(format!("the validation endpoint answers {}", answer.status))
        }
        Err(error) => Validity::Unavailable(error.to_string()),
    }
}

async fn check_id_token(client: &Client, session: &Session) -> Validity {
    let Some(token) = &session.id_token else {
        return Validity::Invalid("it has no ID token".to_owned());
    };
    let signed = match client.issuer.signed(token.as_str(), Asker::Bearer).await {
        Ok(signed) => signed,
        Err(SignedError::Refused(error)) => {
            return Validity::Invalid(TokenRefused::from(error).to_string());
        }
        Err(SignedError::Keys(error)) => return Validity::Unavailable(error.to_string()),
        Err(SignedError::Unavailable(error)) => return Validity::Unavailable(error.to_string()),
    };
    let nonce = session.nonce.map(|nonce| hash(&nonce));
    // A refreshed ID token need not repeat the nonce (Core section 12.2).
    let nonce = match &nonce {
        Some(nonce) if !client.config.insecure_skip_nonce => Nonce::EqualIfPresent(nonce),
        _ => Nonce::Any,
    };
    let expected = Expected {
        nonce,
        access_token: None,
        max_age: None,
        kind: Kind::Kept,
        now: client.clock.now(),
    };
    let audience = client.acting(session.login.credentials).audience();
    match verify::check(&signed, client.trusts(), &audience, &expected) {
        Ok(subject) if subject == session.identity.user => Validity::Valid,
        Ok(_) => Validity::Invalid("the ID token is about somebody else".to_owned()),
        Err(refused) => Validity::Invalid(refused.to_string()),
    }
}
