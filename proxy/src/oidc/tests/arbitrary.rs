//! Bytes that nobody meant: parsers of what comes over the network give an answer for all of them.

use super::signer::{Signer, rs256};
use crate::oidc::keys::KeySet;
use crate::oidc::{CallbackParams, LoginState, jws};
use proptest::prelude::*;
use proxy_config::SigningAlgorithm as Algorithm;
use serde_json::json;
use std::sync::OnceLock;

fn keys() -> &'static KeySet {
    static KEYS: OnceLock<KeySet> = OnceLock::new();
    KEYS.get_or_init(|| KeySet::parse(Signer::shared().jwks().to_string().as_bytes()).unwrap())
}

fn good() -> &'static str {
    static GOOD: OnceLock<String> = OnceLock::new();
    GOOD.get_or_init(|| Signer::shared().token(&rs256(), &json!({"sub": "user-1"})))
}

const ACCEPTED: &[Algorithm] =
    &[Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA, Algorithm::PS256];

proptest! {
    #[test]
    fn no_text_is_taken_for_a_signed_token(text in "[A-Za-z0-9_.=-]{0,300}") {
        prop_assert!(jws::verify(&text, keys(), ACCEPTED).is_err());
    }

    #[test]
    fn no_changed_character_leaves_a_token_valid(at in 0..good().len(), to in "[A-Za-z0-9_.-]") {
        let mut changed = good().as_bytes().to_vec();
        changed[at] = to.as_bytes()[0];
        let changed = String::from_utf8(changed).unwrap();
        let verdict = jws::verify(&changed, keys(), ACCEPTED);
        prop_assert_eq!(verdict.is_ok(), changed == good());
    }

    #[test]
    fn any_bytes_are_read_as_keys_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(keys) = KeySet::parse(&bytes) {
            prop_assert!(keys.is_empty());
        }
    }

    #[test]
    fn any_key_parameters_are_read_or_skipped(kind in "RSA|EC|OKP", n in "[A-Za-z0-9_-]{0,700}", e in "[A-Za-z0-9_-]{0,60}") {
        let key = json!({"kty": kind, "n": n, "e": e, "crv": "P-256", "x": n, "y": e});
        let text = json!({"keys": [key]}).to_string();
        prop_assert!(KeySet::parse(text.as_bytes()).is_ok());
    }

    #[test]
    fn a_callback_parameter_comes_out_as_it_went_in(code in "\\PC{1,40}", state in "\\PC{1,40}") {
        let pairs = [("state", state.as_str()), ("code", code.as_str())];
        let text = crate::oidc::login::form(pairs);
        let params = CallbackParams::parse(&text).unwrap();
        prop_assert_eq!(params.state(), Some(state.as_str()));
        let standard: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let params = CallbackParams::parse(&standard).unwrap();
        prop_assert_eq!(params.state(), Some(state.as_str()));
    }

    #[test]
    fn any_query_is_parsed_or_refused(text in "[a-z=&%+0-9\\PC]{0,80}") {
        let _ = CallbackParams::parse(&text);
    }

    #[test]
    fn no_bytes_break_the_reading_of_a_login_state(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let with_version = [&[1][..], &bytes].concat();
        let _ = LoginState::from_bytes(&bytes);
        let _ = LoginState::from_bytes(&with_version);
    }
}
