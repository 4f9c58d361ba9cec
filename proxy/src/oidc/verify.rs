//! The claims of a signed token against what this login or request expects (OpenID Connect Core 1.0 section 3.1.3.7).
//!
//! Only signed claims come in; see [`Signed`].

mod audience;
mod time;

pub(super) use audience::Audience;
pub(super) use time::seconds;

use super::issuer::IssuerSettings;
use super::jws::{SignatureError, Signed, shown};
use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512};
use jiff::Timestamp;
use proxy_config::SigningAlgorithm as Algorithm;
use serde_json::{Map, Value};

/// What a token must say beyond what the configuration says.
pub(super) struct Expected<'a> {
    /// The `nonce`.
    pub(super) nonce: Nonce<'a>,
    /// The access token that came with it, for `at_hash`.
    pub(super) access_token: Option<&'a str>,
    /// The `max_age` that was asked for, in seconds; `auth_time` is then required and held to it.
    pub(super) max_age: Option<i64>,
    /// Which kind of token it is.
    pub(super) kind: Kind,
    /// The time now.
    pub(super) now: Timestamp,
}

/// How the token reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An ID token straight from the token endpoint.
    Received,
    /// An ID token that was kept in a session.
    Kept,
    /// Any JWT of the provider, brought by a client.
    Bearer,
}

/// What to make of `nonce`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Nonce<'a> {
    /// It must be there and equal.
    Equal(&'a str),
    /// It may be missing, but not differ (Core section 12.2).
    EqualIfPresent(&'a str),
    /// Not looked at.
    Any,
}

/// Why a token is not accepted. The texts show names and numbers, never a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenRefused {
    #[error("the token is refused: {0}")]
    Signature(#[from] SignatureError),
    #[error("the token is refused: it is from {got}, the issuer is {wanted}")]
    Issuer { got: String, wanted: String },
    #[error(
        "the token is refused: it is for {got} (claim {claim}), wanted is {wanted}: add this client to the token's audience \
         at the provider, or the audience to claims.extraAudiences (--oidc-extra-audience)"
    )]
    Audience { claim: String, got: String, wanted: String },
    #[error("the token is refused: it has no audience in {0}")]
    NoAudience(String),
    #[error("the token is refused: it was issued to {got} (claim azp), not to {wanted}")]
    AuthorizedParty { got: String, wanted: String },
    #[error("the token is refused: it is {0}, which proves nobody's login")]
    OtherKind(&'static str),
    #[error(
        "the token is refused: it is bound to a key (claim cnf), and proofs of keys are not asked for here: let the provider \
         issue plain bearer tokens to this client"
    )]
    Bound,
    #[error("the token expired {0} s ago: compare the clocks of the provider and of this machine")]
    Expired(i64),
    #[error(
        "the token is valid in {0} s only (claim {1}): compare the clocks of the provider and of this machine"
    )]
    TooEarly(i64, &'static str),
    #[error(
        "the token is refused: the login at the provider was {0} s ago, longer than the max_age that was asked for"
    )]
    LoginTooOld(i64),
    #[error("the token is refused: it has no {0}")]
    Missing(&'static str),
    #[error("the token is refused: its {0} has a wrong type")]
    WrongType(&'static str),
    #[error("the token is refused: its nonce is not that of this login")]
    Nonce,
    #[error("the token is refused: its at_hash is not that of the access token")]
    AccessTokenHash,
}

impl TokenRefused {
    /// Whether it is a decision about this account or login. Everything else is a fault of the provider or of the settings.
    pub(super) fn is_about_the_account(&self) -> bool {
        matches!(
            self,
            Self::Audience { .. }
                | Self::NoAudience(_)
                | Self::AuthorizedParty { .. }
                | Self::LoginTooOld(_)
                | Self::Nonce
                | Self::Missing("nonce")
        )
    }
}

/// Checks every claim that protects; returns the subject. Only a bearer token may have none: then it is empty.
///
/// # Errors
/// The first check that failed.
pub(super) fn check<'a>(
    signed: &'a Signed,
    issuer: &IssuerSettings,
    audience: &Audience<'_>,
    expected: &Expected<'_>,
) -> Result<&'a str, TokenRefused> {
    let claims = &signed.claims;
    check_kind(signed)?;
    if !issuer.skip_verification {
        let found = text(claims, "iss")?.ok_or(TokenRefused::Missing("iss"))?;
        if !issuer.is_called(found) {
            return Err(TokenRefused::Issuer { got: shown(found), wanted: shown(&issuer.url) });
        }
    }
    let subject = text(claims, "sub")?.unwrap_or_default();
    if subject.is_empty() && expected.kind != Kind::Bearer {
        return Err(TokenRefused::Missing("sub"));
    }
    audience.check(claims)?;
    if expected.kind != Kind::Bearer {
        audience.check_authorized_party(claims)?;
    }
    time::check(claims, expected.kind, expected.now)?;
    if let Some(max_age) = expected.max_age {
        time::check_login(claims, max_age, expected.now)?;
    }
    check_nonce(claims, expected.nonce)?;
    if let Some(token) = expected.access_token {
        check_access_token_hash(claims, signed.algorithm, token)?;
    }
    Ok(subject)
}

/// Tokens that are signed by the provider and say something else than who somebody is (RFC 8725 section 2.8): a logout token
/// (OpenID Connect Back-Channel Logout 1.0 section 2.4) or another security event, a proof of a key, a token bound to one.
///
/// # Errors
/// It is one of these.
pub(super) fn check_kind(signed: &Signed) -> Result<(), TokenRefused> {
    let kind = signed.kind.as_deref().unwrap_or_default().to_ascii_lowercase();
    match kind.strip_prefix("application/").unwrap_or(&kind) {
        "logout+jwt" => return Err(TokenRefused::OtherKind("a logout token (typ)")),
        "secevent+jwt" => return Err(TokenRefused::OtherKind("a security event (typ)")),
        "dpop+jwt" => return Err(TokenRefused::OtherKind("a proof of a key (typ)")),
        _ => {}
    }
    let has = |name: &str| signed.claims.get(name).is_some_and(|value| !value.is_null());
    if has("events") {
        return Err(TokenRefused::OtherKind("a logout token or another event (claim events)"));
    }
    if has("cnf") { Err(TokenRefused::Bound) } else { Ok(()) }
}

/// A claim that must be text if it is there.
pub(super) fn text<'a>(
    claims: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'a str>, TokenRefused> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TokenRefused::WrongType(name)),
    }
}

fn check_nonce(claims: &Map<String, Value>, expected: Nonce<'_>) -> Result<(), TokenRefused> {
    let (Nonce::Equal(wanted) | Nonce::EqualIfPresent(wanted)) = expected else { return Ok(()) };
    match text(claims, "nonce")? {
        Some(got) if equal(got, wanted) => Ok(()),
        None if matches!(expected, Nonce::EqualIfPresent(_)) => Ok(()),
        None => Err(TokenRefused::Missing("nonce")),
        Some(_) => Err(TokenRefused::Nonce),
    }
}

/// Core section 3.1.3.6: the left half of the hash that belongs to the signature's algorithm.
fn check_access_token_hash(
    claims: &Map<String, Value>,
    algorithm: Algorithm,
    access_token: &str,
) -> Result<(), TokenRefused> {
    // Some providers write an empty one where they have none.
    let Some(got) = text(claims, "at_hash")?.filter(|hash| !hash.is_empty()) else {
        return Ok(());
    };
    let hash = match algorithm {
        Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256 => &SHA256,
        Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384 => &SHA384,
        Algorithm::RS512 | Algorithm::PS512 | Algorithm::ES512 | Algorithm::EdDSA => &SHA512,
    };
    let whole = digest::digest(hash, access_token.as_bytes());
    let half = whole.as_ref().get(..whole.as_ref().len() / 2).unwrap_or_default();
    let wanted = base64_simd::URL_SAFE_NO_PAD.encode_to_string(half);
    if equal(got, &wanted) { Ok(()) } else { Err(TokenRefused::AccessTokenHash) }
}

/// In time that does not depend on where they differ.
pub(super) fn equal(a: &str, b: &str) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a.as_bytes(), b.as_bytes()).is_ok()
}
