//! Whether a session still stands with the provider: by the validation endpoint (`--validate-url`), or by its ID token.

use super::client::Client;
use super::discovery;
use super::http::{Get, MAX_ANSWER};
use super::issuer::SignedError;
use super::keys::Asker;
use super::login_state::hash;
use super::renewal::{Ending, NotNow};
use super::verify::{self, Expected, Kind, Nonce};
use crate::session::Session;

/// The verdict.
pub(super) enum Validity {
    /// It stands.
    Stands,
    /// It does not.
    Ended(Ending),
    /// Nobody knows now; no reason to end a session.
    Unknown(NotNow),
}

/// Of a session that was refreshed just now: what the validation endpoint says of the new access token, where there is one that
/// may be shown to it. Otherwise the token endpoint's word counts, which gave it a moment ago: the ID token may be the old one.
pub(super) async fn refreshed(client: &Client, session: &Session) -> Validity {
    match (&client.config.endpoints.validate, &session.access_token) {
        (Some(url), Some(token)) => by_endpoint(client, url, token.as_str()).await,
        _ => Validity::Stands,
    }
}

/// The validation endpoint's verdict.
async fn by_endpoint(client: &Client, url: &str, token: &str) -> Validity {
    let away = |reason: String| Validity::Unknown(NotNow::Away(reason));
    let url = match discovery::endpoint("endpoints.validate (--validate-url)", url) {
        Ok(url) => url,
        Err(error) => return away(error.to_string()),
    };
    let Some(_place) = client.calls.refresh().await else {
        return Validity::Unknown(NotNow::Busy);
    };
    let get = Get { accept: "application/json", bearer: Some(token), limit: MAX_ANSWER };
    match client.http.get(&url, &get).await {
        Ok(answer) => match answer.status {
            200 => Validity::Stands,
            401 | 403 => Validity::Ended(Ending::Invalid(answer.status)),
            // All others, such as 404, come from what stands in front of it as well, while it is being changed.
            status => away(format!("the validation endpoint answers {status}")),
        },
        Err(error) => away(error.to_string()),
    }
}

/// Of any other session: its ID token must still be good, which includes its expiry.
pub(super) async fn by_id_token(client: &Client, session: &Session) -> Validity {
    let Some(token) = &session.id_token else {
        return Validity::Ended(Ending::NoIdToken);
    };
    let signed = match client.issuer.signed(token.as_str(), Asker::Bearer).await {
        Ok(signed) => signed,
        Err(SignedError::Refused(error)) => return Validity::Ended(Ending::IdToken(error.into())),
        Err(error @ (SignedError::Keys(_) | SignedError::Unavailable(_))) => {
            return Validity::Unknown(NotNow::Away(error.to_string()));
        }
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
        Ok(subject) if subject == session.identity.user => Validity::Stands,
        Ok(_) => Validity::Ended(Ending::OtherSubject),
        Err(refused) => Validity::Ended(Ending::IdToken(refused)),
    }
}
