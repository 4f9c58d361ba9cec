//! ID tokens, each odd in one thing, and signed all the same unless the signature is what is odd.

use crate::cases::{CLIENT, Case, ISSUER, NONCE, claims, header, now, object, odd_values, with};
use crate::signer::{Signer, b64};
use serde_json::{Value, json};

pub(crate) fn cases() -> Vec<Case> {
    let signer = Signer::shared();
    let case = |name: String, token: String| Case {
        token,
        ..Case::good(&format!("token: {name}"), "RS256")
    };
    let mut cases = Vec::new();
    for algorithm in
        ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
    {
        cases.push(case(format!("nothing is odd, {algorithm}"), Case::good("", algorithm).token));
    }
    let (good_header, good_claims) = (object(header("RS256")), claims("RS256"));
    let claims_text = Value::Object(good_claims.clone()).to_string();
    for (place, members) in [("header", HEADER), ("claim", CLAIMS)] {
        for member in members {
            for (what, value) in odd_values() {
                let token = if place == "header" {
                    let header = with(&good_header, member, value.as_ref()).to_string();
                    signer.token_of(&header, &claims_text, "RS256")
                } else {
                    signer.token(&header("RS256"), &with(&good_claims, member, value.as_ref()))
                };
                cases.push(case(format!("{place} {member} is {what}"), token));
            }
        }
    }
    for (member, value) in odd_claims() {
        let token = signer.token(&header("RS256"), &with(&good_claims, member, Some(&value)));
        // Times are named by their distance, so that a name stays what it is.
        let shown = match value.as_i64() {
            Some(at) if at > 1_000_000 => format!("now{:+}", at - now()),
            _ => value.to_string().replace(&(now() + 300).to_string(), "then"),
        };
        cases.push(case(format!("claim {member}: {shown}"), token));
    }
    for (name, header) in odd_headers() {
        cases.push(case(name.to_owned(), signer.token_of(&header, &claims_text, "RS256")));
    }
    let whole = odd_signatures().into_iter().chain(odd_forms());
    cases.extend(whole.map(|(name, token)| case(name.to_owned(), token)));
    cases.extend(changed_characters().into_iter().map(|(name, token)| case(name, token)));
    cases
}

const HEADER: &[&str] =
    &["alg", "kid", "typ", "cty", "crit", "b64", "jwk", "jku", "x5c", "zip", "enc", "of_our_own"];
const CLAIMS: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "nbf",
    "nonce",
    "azp",
    "at_hash",
    "auth_time",
    "acr",
    "amr",
    "email",
    "name",
    "of_our_own",
];

/// What is of the right type and odd all the same.
fn odd_claims() -> Vec<(&'static str, Value)> {
    let at = |seconds: i64| json!(now() + seconds);
    vec![
        ("iss", json!(format!("{ISSUER}/"))),
        ("iss", json!("https://IDP.example.com/realms/one")),
        ("iss", json!("https://idp.example.com/realms/two")),
        ("aud", json!([CLIENT])),
        ("aud", json!([CLIENT, CLIENT])),
        ("aud", json!([CLIENT, "other"])),
        ("aud", json!(["other", CLIENT])),
        ("aud", json!("Client")),
        ("aud", json!(format!("{CLIENT} "))),
        ("azp", json!("mobile-app")),
        ("sub", json!("x".repeat(255))),
        ("sub", json!("x".repeat(300))),
        ("sub", json!("a\nb")),
        ("nonce", json!(format!("{NONCE}x"))),
        ("nonce", json!(NONCE.to_lowercase())),
        ("exp", at(-3600)),
        ("exp", at(-50)),
        ("exp", json!(0)),
        ("exp", json!(-1)),
        ("exp", json!(1.0e12)),
        ("exp", json!((now() + 300).to_string())),
        ("exp", json!(f64::from(u32::try_from(now() + 300).unwrap_or_default()) + 0.5)),
        ("iat", at(200)),
        ("iat", at(4000)),
        ("iat", at(-400_000)),
        ("nbf", at(-10)),
        ("nbf", at(200)),
        ("nbf", at(4000)),
        ("auth_time", at(4000)),
        ("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA")),
        ("events", json!({"http://schemas.openid.net/event/backchannel-logout": {}})),
    ]
}

fn odd_headers() -> Vec<(&'static str, String)> {
    vec![
        (
            "header alg twice, the good one last",
            r#"{"alg":"none","alg":"RS256","kid":"rsa"}"#.to_owned(),
        ),
        (
            "header alg twice, the good one first",
            r#"{"alg":"RS256","alg":"none","kid":"rsa"}"#.to_owned(),
        ),
        ("header with blanks", r#" { "alg" : "RS256" , "kid" : "rsa" } "#.to_owned()),
        ("header is a list", r#"["RS256"]"#.to_owned()),
        ("header is no JSON", "RS256".to_owned()),
        ("header is empty", String::new()),
        ("header typ is at+jwt", r#"{"alg":"RS256","kid":"rsa","typ":"at+jwt"}"#.to_owned()),
        (
            "header typ is logout+jwt",
            r#"{"alg":"RS256","kid":"rsa","typ":"logout+jwt"}"#.to_owned(),
        ),
        ("header typ in small letters", r#"{"alg":"RS256","kid":"rsa","typ":"jwt"}"#.to_owned()),
        (
            "header typ is application/jwt",
            r#"{"alg":"RS256","kid":"rsa","typ":"application/jwt"}"#.to_owned(),
        ),
        ("header kid of another kind of key", r#"{"alg":"RS256","kid":"p256"}"#.to_owned()),
        ("header kid unknown", r#"{"alg":"RS256","kid":"nobody"}"#.to_owned()),
        (
            "header crit names exp",
            r#"{"alg":"RS256","kid":"rsa","crit":["exp"],"exp":1}"#.to_owned(),
        ),
        ("header alg is rs256", r#"{"alg":"rs256","kid":"rsa"}"#.to_owned()),
        ("header alg is Ed25519", r#"{"alg":"Ed25519","kid":"ed"}"#.to_owned()),
    ]
}

/// Signatures that are none of the key that the header names.
fn odd_signatures() -> Vec<(&'static str, String)> {
    let (signer, claims) = (Signer::shared(), Value::Object(claims("RS256")));
    let good = signer.token(&header("RS256"), &claims);
    let (_, signature) = good.rsplit_once('.').unwrap_or_default();
    let claims_text = claims.to_string();
    let zeros = |algorithm: &str, length: usize| {
        let message = format!("{}.{}", b64(header(algorithm).to_string()), b64(&claims_text));
        format!("{message}.{}", b64(vec![0; length]))
    };
    let p256 = format!("{}.{}", b64(header("ES256").to_string()), b64(&claims_text));
    vec![
        ("alg none, no signature", format!("{}.{}.", b64(r#"{"alg":"none"}"#), b64(&claims_text))),
        (
            "alg none, the good signature",
            format!("{}.{}.{signature}", b64(r#"{"alg":"none"}"#), b64(&claims_text)),
        ),
        (
            "alg HS256, signed with the public key",
            signer.token(&json!({"alg": "HS256", "kid": "rsa"}), &claims),
        ),
        ("alg HS256 without a key id", signer.token(&json!({"alg": "HS256"}), &claims)),
        ("signed by another key", Signer::stranger().token(&header("RS256"), &claims)),
        (
            "signed by RS384, header RS256",
            signer.token_of(&header("RS256").to_string(), &claims_text, "RS384"),
        ),
        (
            "signed by PS256, header RS256",
            signer.token_of(&header("RS256").to_string(), &claims_text, "PS256"),
        ),
        (
            "signed by RS256, header PS256",
            signer.token_of(&header("PS256").to_string(), &claims_text, "RS256"),
        ),
        (
            "ES256 in the form of certificates",
            format!("{p256}.{}", b64(signer.sign_as_certificates_do(p256.as_bytes()))),
        ),
        ("ES256 of zeros", zeros("ES256", 64)),
        ("RS256 of zeros", zeros("RS256", 256)),
        ("EdDSA of zeros", zeros("EdDSA", 64)),
    ]
}

/// What is odd in the form of the whole, or in the text of the claims.
fn odd_forms() -> Vec<(&'static str, String)> {
    let (signer, claims) = (Signer::shared(), Value::Object(claims("RS256")).to_string());
    let of = |claims: &str| signer.token_of(&header("RS256").to_string(), claims, "RS256");
    let good = of(&claims);
    let (message, signature) = good.rsplit_once('.').unwrap_or_default();
    vec![
        ("no signature", format!("{message}.")),
        ("no signature and no dot", message.to_owned()),
        ("one dot more", format!("{good}.")),
        ("a part more", format!("{good}.x")),
        ("padding behind the signature", format!("{good}==")),
        ("a blank behind it", format!("{good} ")),
        ("a line break before it", format!("\n{good}")),
        (
            "the signature in the other base64",
            format!("{message}.{}", signature.replace('-', "+").replace('_', "/")),
        ),
        ("a signature that is cut", good.get(..good.len() - 8).unwrap_or_default().to_owned()),
        ("a signature with a zero before it", format!("{message}.AA{signature}")),
        ("claims are a list", of("[]")),
        ("claims are no JSON", of("claims")),
        ("claims are empty", of("")),
        ("sub twice, the good one last", of(&claims.replacen('{', r#"{"sub":"root","#, 1))),
        (
            "five parts, as encrypted ones have",
            "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.a.b.c.d".to_owned(),
        ),
        ("empty", String::new()),
        ("dots alone", "..".to_owned()),
    ]
}

/// The good token with one character changed, at 120 places: nothing of it may be without a meaning.
fn changed_characters() -> Vec<(String, String)> {
    let good = Case::good("", "RS256").token;
    let step = good.len() / 120 + 1;
    let places = (0..good.len()).step_by(step);
    places
        .map(|place| {
            let changed = good.char_indices().map(|(at, c)| match c {
                'A' if at == place => 'B',
                _ if at == place => 'A',
                other => other,
            });
            (format!("character {place} is changed"), changed.collect())
        })
        .collect()
}
