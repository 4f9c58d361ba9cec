//! Signatures of compact JWS (RFC 7515) by the algorithms of RFC 7518 and RFC 8037 that use public keys.
//!
//! It uses aws-lc-rs directly, because its keys stay parsed between tokens. It does not look at claims: whoever wants them
//! gets them from [`Signed::claims`], which exists only after the signature was found good.

use super::keys::KeySet;
use proxy_config::SigningAlgorithm as Algorithm;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::{Map, Value};

/// Largest token in bytes; far above what fits into a header or a cookie.
const MAX_TOKEN: usize = 256 * 1024;

/// How many keys are tried for one token. Without a key id all of its algorithm are candidates, and each costs a verification
/// for a token that anybody may have made up.
const MAX_CANDIDATES: usize = 8;

/// The claims of a JWT whose signature is good. Nothing else about them is known yet.
pub(super) struct Signed {
    /// What the signature covers.
    pub(super) claims: Map<String, Value>,
    /// How it is signed.
    pub(super) algorithm: Algorithm,
    /// The `typ` of the header: what kind of JWT it is (RFC 8725 section 3.11).
    pub(super) kind: Option<String>,
}

/// Why a signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignatureError {
    /// Not three parts of base64url, or not JSON inside.
    #[error("it is not a JWT: {0}")]
    Malformed(&'static str),
    /// Not among the accepted algorithms; `none` and the symmetric ones never are.
    #[error(
        "it is signed by {got}, accepted is {wanted}: let the provider sign this client's tokens by one of these{advice}"
    )]
    Algorithm {
        /// The `alg` of the token.
        got: String,
        /// The accepted ones.
        wanted: String,
        /// What else may be done about it.
        advice: &'static str,
    },
    /// No key of the provider has this id, or none fits the algorithm.
    #[error("the provider publishes no key {0} for it{1}")]
    UnknownKey(String, String),
    /// There is a key and it did not sign this.
    #[error("its signature is not the provider's")]
    Wrong,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    typ: Option<Value>,
    #[serde(default)]
    crit: Option<Value>,
    #[serde(default)]
    b64: Option<Value>,
}

/// Verifies `token` with the keys that have its `kid`, or with every key if it names none.
///
/// # Errors
/// See [`SignatureError`].
pub(super) fn verify(
    token: &str,
    keys: &KeySet,
    accepted: &[Algorithm],
) -> Result<Signed, SignatureError> {
    if token.len() > MAX_TOKEN {
        return Err(SignatureError::Malformed("it is too long"));
    }
    let (message, signature) =
        token.rsplit_once('.').ok_or(SignatureError::Malformed("there are no three parts"))?;
    let (header, payload) =
        message.split_once('.').ok_or(SignatureError::Malformed("there are no three parts"))?;
    let header: Header = object(&decode(header)?)
        .map_err(|_| SignatureError::Malformed("the header has a wrong type or no alg"))?;
    // RFC 7515 section 4.1.11: an extension that is not understood and critical makes the token invalid. None is understood.
    if header.crit.is_some() || header.b64.is_some() {
        return Err(SignatureError::Malformed("the header has critical extensions"));
    }
    let algorithm = parse(&header.alg).filter(|a| accepted.contains(a)).ok_or_else(|| {
        SignatureError::Algorithm {
            got: shown(&header.alg),
            // Nothing that is not signed by a key of the provider's own can ever be accepted.
            advice: if parse(&header.alg).is_some() {
                ", or add that one to signingAlgorithms (--oidc-enabled-signing-alg)"
            } else {
                ""
            },
            wanted: accepted.iter().map(|a| format!("{a:?}")).collect::<Vec<_>>().join(", "),
        }
    })?;
    let signature = decode(signature)?;
    let id = header.kid.as_deref();
    let mut candidates = keys.find(id, algorithm).take(MAX_CANDIDATES).peekable();
    if candidates.peek().is_none() {
        let named = id.map_or_else(|| "without an id".to_owned(), shown);
        return Err(SignatureError::UnknownKey(named, keys.left_out()));
    }
    if !candidates.any(|key| key.verify_sig(message.as_bytes(), &signature).is_ok()) {
        return Err(SignatureError::Wrong);
    }
    let claims = serde_json::from_slice(&decode(payload)?)
        .map_err(|_| SignatureError::Malformed("the claims are no JSON object"))?;
    let kind = header.typ.as_ref().and_then(Value::as_str).map(str::to_owned);
    Ok(Signed { claims, algorithm, kind })
}

/// The algorithm of this name, unless it is `none`, symmetric or unknown. `Ed25519` is RFC 9864's name for `EdDSA`.
pub(super) fn parse(name: &str) -> Option<Algorithm> {
    Some(match name {
        "RS256" => Algorithm::RS256,
        "RS384" => Algorithm::RS384,
        "RS512" => Algorithm::RS512,
        "PS256" => Algorithm::PS256,
        "PS384" => Algorithm::PS384,
        "PS512" => Algorithm::PS512,
        "ES256" => Algorithm::ES256,
        "ES384" => Algorithm::ES384,
        "ES512" => Algorithm::ES512,
        "EdDSA" | "Ed25519" => Algorithm::EdDSA,
        _ => return None,
    })
}

/// Reads a JSON object. A list of the members' values alone, which serde takes for a struct as well, is none.
///
/// # Errors
/// Something else, or a member of a wrong type.
pub(super) fn object<T: DeserializeOwned>(text: &[u8]) -> Result<T, serde_json::Error> {
    match text.trim_ascii_start().first() {
        Some(b'{') => serde_json::from_slice(text),
        _ => Err(serde_json::Error::custom("it is no JSON object")),
    }
}

/// Strict base64url without padding, as RFC 7515 section 2 has it.
pub(super) fn decode(part: &str) -> Result<Vec<u8>, SignatureError> {
    base64_simd::URL_SAFE_NO_PAD
        .decode_to_vec(part)
        .map_err(|_| SignatureError::Malformed("a part is not base64url"))
}

/// A name out of an unverified token or answer, made short and harmless for a log line or a page.
pub(crate) fn shown(text: &str) -> String {
    format!("\"{}\"", short(text, 100))
}

/// The same for a sentence that repeats a part of such an answer.
pub(super) fn cut(text: &str) -> String {
    short(text, 300)
}

/// A control character or a quotation mark would end the words that it stands in, in the log and for who reads it.
fn readable(character: char) -> char {
    match character {
        '"' => '\'',
        other if other.is_control() => '?',
        other => other,
    }
}

fn short(text: &str, length: usize) -> String {
    let mut short: String = text.chars().take(length).map(readable).collect();
    if text.chars().nth(length).is_some() {
        short.push('…');
    }
    short
}
