//! Requests to the token endpoint (RFC 6749 sections 2.3, 4.1.3, 5 and 6). A code or refresh token is sent once, in one way.

mod answer;

pub(super) use answer::Tokens;

use super::discovery::Metadata;
use super::http::{Client, HttpError};
use super::login::form;
use crate::secrets;
use proxy_config::{ClientAuthentication as Method, Provider as Config, Secret};
use zeroize::Zeroizing;

/// Why there are no tokens. The texts show the provider's error code, never what was sent.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum TokenError {
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The provider said no.
    #[error("the token endpoint answers {status} {code}{description}{advice}", advice = advice(code))]
    Refused {
        /// HTTP status.
        status: u16,
        /// RFC 6749 section 5.2, shortened and without control characters; empty if there is none.
        code: String,
        /// ` (...)`, likewise cleaned, or empty.
        description: String,
    },
    /// An answer that can not be used.
    #[error("the token endpoint's answer is unusable: {0}")]
    Malformed(&'static str),
    /// No way of client authentication that both sides know.
    #[error(
        "the provider offers only {0} for client authentication: set clientAuthentication to one that works, or allow \
         client_secret_basic for this client at the provider"
    )]
    NoMethod(String),
    /// The client secret can not be read.
    #[error("the client secret can not be read: {0}")]
    Secret(String),
}

/// Whether a good part of `secret` stands in `text`, which may have been cut or escaped.
fn repeats(text: &str, secret: &str) -> bool {
    /// A shorter secret is none, and may stand in any text by chance.
    const SHORTEST: usize = 8;
    /// Fewer bytes in common are chance.
    const PART: usize = 12;
    let mut parts = secret.as_bytes().windows(secret.len().clamp(SHORTEST, PART));
    parts.any(|part| memchr::memmem::find(text.as_bytes(), part).is_some())
}

fn advice(code: &str) -> &'static str {
    match code {
        "invalid_client" => ": the client id or secret is not what the provider has",
        "unauthorized_client" => {
            ": allow the authorization code flow for this client at the provider"
        }
        "invalid_grant" => {
            ": the code or refresh token is used up, expired, or belongs to another redirect URL or client"
        }
        _ => "",
    }
}

impl TokenError {
    /// Whether the grant itself is dead, so that trying again is useless. Nothing else is (RFC 6749 section 5.2).
    pub(crate) fn is_invalid_grant(&self) -> bool {
        matches!(self, Self::Refused { status: 200..=499, code, .. } if code == "invalid_grant")
    }

    /// The same without the texts of a provider that repeats what it was `sent`: they go into logs and onto pages.
    fn without(self, sent: &[&str]) -> Self {
        let repeats = |text: &str| sent.iter().any(|secret| repeats(text, secret));
        match self {
            Self::Refused { status, code, description }
                if repeats(&code) || repeats(&description) =>
            {
                Self::Refused {
                    status,
                    code: if repeats(&code) { String::new() } else { code },
                    description: " (its text repeats what was sent, and is left out)".to_owned(),
                }
            }
            other => other,
        }
    }

    /// Whether the provider did not answer or is in trouble itself.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            Self::Http(_) => true,
            Self::Refused { status, code, .. } => {
                *status >= 500
                    || *status == 429
                    || code == "temporarily_unavailable"
                    || code == "server_error"
            }
            Self::Malformed(_) | Self::NoMethod(_) | Self::Secret(_) => false,
        }
    }
}

/// What is sent and must not be shown, whoever repeats it.
const SECRET: [&str; 3] = ["code", "code_verifier", "refresh_token"];

/// Redeems an authorization code.
///
/// # Errors
/// See [`TokenError`].
pub(super) async fn redeem(
    endpoint: &Endpoint<'_>,
    grant: &Code<'_>,
) -> Result<Tokens, TokenError> {
    let mut pairs = vec![
        ("grant_type", "authorization_code"),
        ("code", grant.value),
        ("redirect_uri", grant.redirect_uri),
    ];
    pairs.extend(grant.verifier.map(|verifier| ("code_verifier", verifier)));
    endpoint.ask(pairs).await
}

/// Uses a refresh token.
///
/// # Errors
/// See [`TokenError`].
pub(super) async fn refresh(
    endpoint: &Endpoint<'_>,
    refresh_token: &str,
) -> Result<Tokens, TokenError> {
    endpoint.ask(vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
}

/// What a code is redeemed with.
pub(super) struct Code<'a> {
    pub(super) value: &'a str,
    pub(super) redirect_uri: &'a str,
    pub(super) verifier: Option<&'a str>,
}

/// The token endpoint of a provider and how to speak to it.
pub(super) struct Endpoint<'a> {
    pub(super) config: &'a Config,
    pub(super) metadata: &'a Metadata,
    pub(super) client: &'a Client,
}

impl Endpoint<'_> {
    async fn ask(&self, mut pairs: Vec<(&str, &str)>) -> Result<Tokens, TokenError> {
        let secret = self.config.client_secret.as_ref().map(read).transpose()?;
        let secret = secret.as_ref().map(|text| text.as_str());
        let mut authorization = None;
        match (method(self.config, self.metadata)?, secret) {
            (Method::ClientSecretBasic, Some(secret)) => {
                authorization = Some(basic(&self.config.client_id, secret));
            }
            (Method::ClientSecretPost, Some(secret)) => {
                pairs.push(("client_id", &self.config.client_id));
                pairs.push(("client_secret", secret));
            }
            (Method::None, _) | (_, None) => pairs.push(("client_id", &self.config.client_id)),
        }
        let sent: Vec<&str> = pairs
            .iter()
            .filter(|(n, _)| SECRET.contains(n))
            .map(|(_, v)| *v)
            .chain(secret)
            .collect();
        let form = Zeroizing::new(form(pairs.iter().copied()));
        let answer = self
            .client
            .post_form(&self.metadata.token, form, authorization.as_deref().map(String::as_str))
            .await?;
        answer::read(&answer).map_err(|error| error.without(&sent))
    }
}

/// As configured, else the best that the provider offers. What it does not list counts as HTTP Basic (Discovery 1.0
/// section 3).
fn method(config: &Config, metadata: &Metadata) -> Result<Method, TokenError> {
    if let Some(method) = config.client_authentication {
        return Ok(method);
    }
    if config.client_secret.is_none() {
        return Ok(Method::None);
    }
    let Some(offered) = &metadata.authentication_methods else {
        return Ok(Method::ClientSecretBasic);
    };
    let offers = |name: &str| offered.iter().any(|method| method == name);
    if offers("client_secret_basic") {
        Ok(Method::ClientSecretBasic)
    } else if offers("client_secret_post") {
        Ok(Method::ClientSecretPost)
    } else {
        Err(TokenError::NoMethod(super::jws::shown(&offered.join(", "))))
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
