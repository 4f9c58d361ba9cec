//! One login as it comes from a provider: a good one, and what can be changed in it.

use crate::signer::Signer;
use proxy::clock::{Clock, SystemClock};
use serde_json::{Map, Value, json};
use std::sync::OnceLock;

pub(crate) const ISSUER: &str = "https://idp.example.com/realms/one";
pub(crate) const CLIENT: &str = "client";
pub(crate) const NONCE: &str = "n-0S6_WzA2Mj";
pub(crate) const ACCESS_TOKEN: &str = "an-access-token";
pub(crate) const SUBJECT: &str = "248289761001";

/// What both are asked about.
pub(crate) struct Case {
    /// Says what is odd in it.
    pub(crate) name: String,
    /// The discovery document.
    pub(crate) discovery: Vec<u8>,
    /// The key set.
    pub(crate) keys: Vec<u8>,
    /// The ID token.
    pub(crate) token: String,
}

impl Case {
    /// Nothing is odd. The token is signed by `algorithm`.
    pub(crate) fn good(name: &str, algorithm: &str) -> Self {
        let signer = Signer::shared();
        Self {
            name: name.to_owned(),
            discovery: Value::Object(discovery()).to_string().into_bytes(),
            keys: signer.jwks().to_string().into_bytes(),
            token: signer.token(&header(algorithm), &Value::Object(claims(algorithm))),
        }
    }
}

/// Seconds since 1970, the same in all cases.
pub(crate) fn now() -> i64 {
    static NOW: OnceLock<i64> = OnceLock::new();
    *NOW.get_or_init(|| SystemClock.now().as_second())
}

pub(crate) fn header(algorithm: &str) -> Value {
    json!({"alg": algorithm, "kid": Signer::key_id(algorithm), "typ": "JWT"})
}

pub(crate) fn claims(algorithm: &str) -> Map<String, Value> {
    object(json!({
        "iss": ISSUER,
        "sub": SUBJECT,
        "aud": CLIENT,
        "exp": now() + 300,
        "iat": now(),
        "auth_time": now() - 10,
        "nonce": NONCE,
        "azp": CLIENT,
        "at_hash": Signer::half_hash(algorithm, ACCESS_TOKEN),
        "email": "someone@example.com",
        "email_verified": true,
        "name": "Some One",
    }))
}

pub(crate) fn discovery() -> Map<String, Value> {
    object(json!({
        "issuer": ISSUER,
        "authorization_endpoint": format!("{ISSUER}/auth"),
        "token_endpoint": format!("{ISSUER}/token"),
        "jwks_uri": format!("{ISSUER}/keys"),
        "userinfo_endpoint": format!("{ISSUER}/userinfo"),
        "end_session_endpoint": format!("{ISSUER}/logout"),
        "response_types_supported": ["code", "id_token", "code id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported":
            ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["plain", "S256"],
        "scopes_supported": ["openid", "email", "profile"],
        "claims_supported": ["sub", "email", "name"],
        "response_modes_supported": ["query", "form_post"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "acr_values_supported": ["1", "2"],
        "registration_endpoint": format!("{ISSUER}/register"),
        "authorization_response_iss_parameter_supported": false,
        "claims_parameter_supported": true,
        "op_policy_uri": format!("{ISSUER}/policy"),
        "ui_locales_supported": ["en", "de"],
        "service_documentation": format!("{ISSUER}/docs"),
    }))
}

/// What may stand where something else should, with its name; `None`: the member is left out.
pub(crate) fn odd_values() -> Vec<(&'static str, Option<Value>)> {
    vec![
        ("absent", None),
        ("null", Some(Value::Null)),
        ("an empty text", Some(json!(""))),
        ("another text", Some(json!("other"))),
        ("a path", Some(json!("/x"))),
        ("a number", Some(json!(7))),
        ("a fraction", Some(json!(1.5))),
        ("true", Some(json!(true))),
        ("an empty list", Some(json!([]))),
        ("a list of one text", Some(json!(["other"]))),
        ("a list with a null", Some(json!(["other", null]))),
        ("an object", Some(json!({}))),
    ]
}

/// `object` with `member` replaced, or taken out.
pub(crate) fn with(object: &Map<String, Value>, member: &str, value: Option<&Value>) -> Value {
    let mut object = object.clone();
    match value {
        Some(value) => object.insert(member.to_owned(), value.clone()),
        None => object.remove(member),
    };
    Value::Object(object)
}

/// The members of what is known to be an object.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => unreachable!("{other} is no object"),
    }
}
