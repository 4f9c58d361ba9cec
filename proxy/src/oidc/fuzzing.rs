//! What a provider and a callback may send, for [`crate::fuzzing`].

use super::keys::KeySet;
use super::probe;
use super::{CallbackParams, LoginState, jws, token};
use proxy_config::{Provider, SessionFormat, SigningAlgorithm as Algorithm};
use std::sync::LazyLock;

/// The keys of the committed corpus: one RSA and one P-256 key, whose private halves nobody has any more.
const KEYS: &[u8] = include_bytes!("fuzzing/keys.json");
/// The tokens that they signed.
const SIGNED: [&str; 2] = [include_str!("fuzzing/rs256.jwt"), include_str!("fuzzing/es256.jwt")];
const ACCEPTED: [Algorithm; 4] =
    [Algorithm::RS256, Algorithm::ES256, Algorithm::PS256, Algorithm::EdDSA];

/// A discovery document is taken or refused, and a refusal repeats no control character of the sender's.
pub(crate) fn discovery(bytes: &[u8]) {
    static PROVIDER: LazyLock<Provider> = LazyLock::new(|| {
        let text = r#"{"id": "main", "issuerUrl": "https://idp.example", "clientId": "client"}"#;
        serde_json::from_str(text).expect("a provider's configuration")
    });
    if let Err(error) = probe::discovery(&PROVIDER, bytes) {
        assert!(!error.contains(char::is_control), "{error:?}");
    }
}

/// A key set gives keys or an error, and a token that none of them signed is refused by each.
pub(crate) fn key_set(bytes: &[u8]) {
    if let Ok(keys) = KeySet::parse(bytes) {
        for token in SIGNED {
            let verdict = jws::verify(token.trim_ascii(), &keys, &ACCEPTED);
            assert!(verdict.is_err() || shares_a_key(bytes), "a token of somebody else's passes");
        }
    }
}

/// Only a set with one of our moduli or points can verify our tokens.
fn shares_a_key(bytes: &[u8]) -> bool {
    let ours: serde_json::Value = serde_json::from_slice(KEYS).unwrap_or_default();
    let ours = ours.get("keys").and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
    let text = String::from_utf8_lossy(bytes).replace("\\u00", "");
    ours.iter().any(|key| {
        ["n", "x"].iter().filter_map(|name| key.get(*name)?.as_str()).any(|part| {
            // Any spelling of the number is the number; enough of it is there to say whose it is.
            let middle = part.get(8..24).unwrap_or(part);
            text.contains(middle)
        })
    })
}

/// No bytes but those that were signed are a signed token.
pub(crate) fn id_token(bytes: &[u8]) {
    static KEY_SET: LazyLock<KeySet> = LazyLock::new(|| KeySet::parse(KEYS).unwrap_or_default());
    assert!(!KEY_SET.is_empty());
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let passes = jws::verify(text, &KEY_SET, &ACCEPTED).is_ok();
    assert_eq!(passes, SIGNED.iter().any(|signed| signed.trim_ascii() == text), "{text}");
}

/// A login state is read as it was written or refused.
pub(crate) fn login_state(bytes: &[u8]) {
    if let Ok(state) = LoginState::from_bytes(bytes) {
        assert!(
            LoginState::from_bytes(&state.to_bytes(SessionFormat::V2))
                .is_ok_and(|again| again == state)
        );
    }
}

/// The parameters of a callback are read as every form decoder reads them, or refused.
pub(crate) fn callback(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(params) = CallbackParams::parse(text) else { return };
    let oracle = url::form_urlencoded::parse(bytes)
        .find(|(name, _)| name == "state")
        .map(|(_, value)| value.into_owned())
        .filter(|value| !value.is_empty());
    assert_eq!(params.state(), oracle.as_deref(), "{text}");
}

/// The first byte chooses the media type, the rest is a token endpoint's answer.
pub(crate) fn token_answer(bytes: &[u8]) {
    token::fuzzing::answer(bytes);
}
