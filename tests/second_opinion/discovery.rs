//! Discovery documents, each odd in one thing.

use crate::cases::{Case, ISSUER, discovery, odd_values, with};
use serde_json::{Value, json};

pub(crate) fn cases() -> Vec<Case> {
    let document = discovery();
    let case = |name: String, discovery: Vec<u8>| Case {
        discovery,
        ..Case::good(&format!("discovery: {name}"), "RS256")
    };
    let mut cases = vec![case(
        "nothing is odd".to_owned(),
        text(&Value::Object(document.clone())).into_bytes(),
    )];
    for member in document.keys() {
        for (what, value) in odd_values() {
            let odd = with(&document, member, value.as_ref());
            cases.push(case(format!("{member} is {what}"), text(&odd).into_bytes()));
        }
    }
    for (member, value) in odd_members() {
        let odd = with(&document, member, Some(&value));
        cases.push(case(format!("{member}: {value}"), text(&odd).into_bytes()));
    }
    cases.extend(
        odd_texts(&text(&Value::Object(document)))
            .into_iter()
            .map(|(name, text)| case(name.to_owned(), text)),
    );
    cases
}

fn text(value: &Value) -> String {
    value.to_string()
}

/// What is of the right type and odd all the same.
fn odd_members() -> Vec<(&'static str, Value)> {
    let algorithms = "id_token_signing_alg_values_supported";
    vec![
        ("issuer", json!(format!("{ISSUER}/"))),
        ("issuer", json!("https://IDP.example.com/realms/one")),
        ("issuer", json!("https://idp.example.com:443/realms/one")),
        ("issuer", json!("https://idp.example.com/realms/two")),
        ("issuer", json!("http://idp.example.com/realms/one")),
        ("issuer", json!("https://idp.example.com/realms/o%6Ee")),
        ("authorization_endpoint", json!("https://other.example.com/auth?tenant=1")),
        ("authorization_endpoint", json!("https://idp.example.com/auth#top")),
        ("authorization_endpoint", json!("javascript:alert(1)")),
        ("token_endpoint", json!("https://other.example.com/token")),
        ("token_endpoint", json!("https://idp.example.com/token#top")),
        ("token_endpoint", json!("ftp://idp.example.com/token")),
        ("token_endpoint", json!("http://idp.example.com/token")),
        ("jwks_uri", json!("https://other.example.com/keys")),
        ("jwks_uri", json!("file:///etc/passwd")),
        ("jwks_uri", json!("data:application/json,%7B%7D")),
        ("userinfo_endpoint", json!("https://idp.example.com/me#top")),
        ("userinfo_endpoint", json!("mailto:someone@example.com")),
        ("end_session_endpoint", json!("https://idp.example.com/out#top")),
        (algorithms, json!(["RS256", "none"])),
        (algorithms, json!(["RS256", "HS256"])),
        (algorithms, json!(["none"])),
        (algorithms, json!(["HS256"])),
        (algorithms, json!(["ES256"])),
        (algorithms, json!(["RS256", "XY999"])),
        (algorithms, json!(["RS256", 7])),
        (algorithms, json!(["rs256"])),
        ("token_endpoint_auth_methods_supported", json!("client_secret_basic")),
        ("token_endpoint_auth_methods_supported", json!(["private_key_jwt"])),
        ("token_endpoint_auth_methods_supported", json!(["none", "of_our_own"])),
        ("response_types_supported", json!(["id_token"])),
        ("response_types_supported", json!(["code", "of our own"])),
        ("subject_types_supported", json!(["of_our_own"])),
        ("code_challenge_methods_supported", json!(["S512"])),
        ("authorization_response_iss_parameter_supported", json!("true")),
        ("of_our_own", json!({"any": ["thing"]})),
        ("mtls_endpoint_aliases", json!({"token_endpoint": "https://mtls.example.com/token"})),
    ]
}

/// What is odd in the text itself.
fn odd_texts(good: &str) -> Vec<(&'static str, Vec<u8>)> {
    let members = good.strip_prefix('{').unwrap_or(good);
    vec![
        ("empty", Vec::new()),
        ("no JSON", b"<html>".to_vec()),
        ("a list", format!("[{good}]").into_bytes()),
        ("a text", b"\"x\"".to_vec()),
        ("null", b"null".to_vec()),
        ("an empty object", b"{}".to_vec()),
        (
            "cut off",
            good.as_bytes().split_last().map(|(_, rest)| rest.to_vec()).unwrap_or_default(),
        ),
        ("something behind it", format!("{good}x").into_bytes()),
        ("two documents", format!("{good}{good}").into_bytes()),
        ("blanks around it", format!(" \r\n\t{good}\n ").into_bytes()),
        ("a byte order mark", format!("\u{feff}{good}").into_bytes()),
        ("a comment", format!("/* */{good}").into_bytes()),
        ("a comma too many", good.replacen("\"issuer\"", ",\"issuer\"", 1).into_bytes()),
        ("issuer twice, the same", format!("{{\"issuer\":\"{ISSUER}\",{members}").into_bytes()),
        (
            "issuer twice, another first",
            format!("{{\"issuer\":\"https://evil.example.com\",{members}").into_bytes(),
        ),
        ("a member that nobody knows twice", format!("{{\"x\":1,\"x\":2,{members}").into_bytes()),
        ("no UTF-8", good.as_bytes().iter().map(|b| if *b == b'1' { 0xff } else { *b }).collect()),
        ("escapes in names and values", good.replace("issuer", "\\u0069ssuer").into_bytes()),
        (
            "deep nesting in a member",
            format!("{{\"x\":{}{},{members}", "[".repeat(200), "]".repeat(200)).into_bytes(),
        ),
    ]
}
