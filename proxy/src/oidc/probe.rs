//! Documents and tokens of a provider judged from their texts alone, without a network: part of [`crate::probe`].

use super::http::Answer;
use super::issuer::IssuerSettings;
use super::keys::KeySet;
use super::verify::{self, Audience, Expected, Kind, Nonce};
use super::{discovery, jws};
use jiff::Timestamp;
use proxy_config::Provider;
use zeroize::Zeroizing;

/// A login that an ID token belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// Issuer, client and what the configuration says of tokens.
    pub provider: &'a Provider,
    /// The discovery document.
    pub discovery: &'a [u8],
    /// The key set.
    pub keys: &'a [u8],
    /// The `nonce` that was sent, as the token must have it.
    pub nonce: &'a str,
    /// The access token that came with the ID token.
    pub access_token: Option<&'a str>,
    /// The time, in seconds since 1970.
    pub now: i64,
}

/// Reads a discovery document as if the provider had sent it.
///
/// # Errors
/// Why no login could be started with it.
pub fn discovery(provider: &Provider, document: &[u8]) -> Result<(), String> {
    metadata(provider, document).map(drop)
}

/// Reads a key set and says whether it has a usable key.
///
/// # Errors
/// It is no key set.
pub fn key_set(document: &[u8]) -> Result<bool, String> {
    Ok(!KeySet::parse(document)?.is_empty())
}

/// Verifies an ID token that came straight from the token endpoint, and gives its subject.
///
/// # Errors
/// Why it is refused; also if the documents can not be used.
pub fn id_token(login: &Login<'_>, token: &str) -> Result<String, String> {
    let algorithms = metadata(login.provider, login.discovery)?.algorithms;
    let keys = KeySet::parse(login.keys)?;
    let signed = jws::verify(token, &keys, &algorithms).map_err(|error| error.to_string())?;
    let expected = Expected {
        nonce: Nonce::Equal(login.nonce),
        access_token: login.access_token,
        max_age: None,
        kind: Kind::Received,
        now: Timestamp::from_second(login.now).map_err(|error| error.to_string())?,
    };
    let Provider { client_id, claims, .. } = login.provider;
    let audience = Audience { clients: vec![client_id], claims };
    let issuer = IssuerSettings::of(login.provider);
    let subject = verify::check(&signed, &issuer, &audience, &expected);
    subject.map(str::to_owned).map_err(|error| error.to_string())
}

fn metadata(provider: &Provider, document: &[u8]) -> Result<discovery::Metadata, String> {
    let issuer = IssuerSettings::of(provider);
    let url = discovery::document_url(&issuer).map_err(|error| error.to_string())?;
    let answer = Answer {
        status: 200,
        media_type: "application/json".to_owned(),
        body: Zeroizing::new(document.to_vec()),
    };
    discovery::read(&issuer, &url, &answer).map_err(|error| error.to_string())
}
