//! The userinfo endpoint (OpenID Connect Core 1.0 section 5.3), asked only once the ID token has passed.

use super::claims::Object;
use super::client::Acting;
use super::http::{Answer, Get, HttpError, MAX_ANSWER};
use super::issuer::SignedError;
use super::jws::shown;
use super::keys::{Asker, KeysError};
use super::verify::{self, TokenRefused, text};
use url::Url;

/// Why its claims are not used.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum UserinfoError {
    /// No answer.
    #[error("userinfo: {0}")]
    Http(#[from] HttpError),
    /// An answer that is not claims.
    #[error("userinfo: the answer is unusable: {0}")]
    Unusable(String),
    /// A signed answer, and no keys to check it with.
    #[error("userinfo: {0}")]
    Keys(KeysError),
    /// A signed answer that does not pass.
    #[error("userinfo: {0}")]
    Token(#[from] TokenRefused),
    /// Claims about somebody else (Core section 5.3.2).
    #[error("userinfo: the answer is about {0}, not about the subject of the ID token")]
    Subject(String),
}

impl UserinfoError {
    /// Whether asking again later may help.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            Self::Http(_) | Self::Keys(_) => true,
            Self::Unusable(_) | Self::Token(_) | Self::Subject(_) => false,
        }
    }
}

/// The claims about `subject`.
///
/// # Errors
/// See [`UserinfoError`].
pub(super) async fn ask(
    client: &Acting<'_>,
    url: &Url,
    access_token: &str,
    subject: &str,
) -> Result<Object, UserinfoError> {
    let get = Get {
        accept: "application/json, application/jwt",
        bearer: Some(access_token),
        limit: MAX_ANSWER,
    };
    let answer = client.http.get(url, &get).await?;
    let claims = read(client, &answer).await?;
    match text(&claims, "sub")? {
        Some(found) if found == subject => Ok(claims),
        Some(other) => Err(UserinfoError::Subject(shown(other))),
        None => Err(UserinfoError::Subject("nobody (it has no sub)".to_owned())),
    }
}

async fn read(client: &Acting<'_>, answer: &Answer) -> Result<Object, UserinfoError> {
    let unusable = |reason: &str| UserinfoError::Unusable(reason.to_owned());
    if answer.status >= 500 || answer.status == 429 {
        return Err(HttpError::Unreachable {
            address: "userinfo".to_owned(),
            reason: format!("the status is {}", answer.status),
        }
        .into());
    }
    if answer.status != 200 {
        return Err(UserinfoError::Unusable(format!("the status is {}", answer.status)));
    }
    if answer.media_type != "application/jwt" {
        return serde_json::from_slice(&answer.body).map_err(|_| unusable("it is no JSON object"));
    }
    let token = std::str::from_utf8(&answer.body).map_err(|_| unusable("it is not text"))?.trim();
    let signed = client.issuer.signed(token, Asker::Login).await.map_err(|error| match error {
        SignedError::Refused(refused) => UserinfoError::Token(refused.into()),
        SignedError::Keys(error) => UserinfoError::Keys(error),
        SignedError::Unavailable(error) => UserinfoError::Unusable(error.to_string()),
    })?;
    verify::check_kind(&signed)?;
    // Core section 5.3.2: a signed answer names its issuer and whom it is for; a provider that leaves them out is tolerated,
    // because the answer came over the channel that was asked.
    if let Some(issuer) = text(&signed.claims, "iss")?
        && !client.trusts().is_called(issuer)
        && !client.trusts().skip_verification
    {
        return Err(TokenRefused::Issuer {
            got: shown(issuer),
            wanted: shown(&client.trusts().url),
        }
        .into());
    }
    if signed.claims.contains_key("aud") {
        client.audience().check(&signed.claims)?;
    }
    Ok(signed.claims)
}
