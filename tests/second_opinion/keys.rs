//! Key sets, each odd in one thing; the token is good, and signed by the key that is odd.

use crate::cases::{Case, object, odd_values, with};
use crate::signer::{Signer, b64};
use serde_json::{Map, Value, json};

pub(crate) fn cases() -> Vec<Case> {
    let signer = Signer::shared();
    let case = |name: String, algorithm: &str, keys: Vec<u8>| Case {
        keys,
        ..Case::good(&format!("keys: {name}"), algorithm)
    };
    let mut cases = Vec::new();
    for algorithm in
        ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
    {
        cases.push(case(
            format!("nothing is odd, {algorithm}"),
            algorithm,
            signer.jwks().to_string().into_bytes(),
        ));
    }
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let key = object(signer.jwk(Signer::key_id(algorithm)));
        let members = ["kty", "use", "kid", "alg", "key_ops", "x5t", "n", "e", "crv", "x", "y"];
        for member in members
            .into_iter()
            .filter(|m| key.contains_key(*m) || ["alg", "key_ops", "x5t"].contains(m))
        {
            for (what, value) in odd_values() {
                let keys = json!({"keys": [with(&key, member, value.as_ref())]});
                cases.push(case(
                    format!("{algorithm}, {member} is {what}"),
                    algorithm,
                    keys.to_string().into_bytes(),
                ));
            }
        }
        for (name, keys) in odd_keys(algorithm, &key) {
            cases.push(case(
                format!("{algorithm}, {name}"),
                algorithm,
                json!({"keys": keys}).to_string().into_bytes(),
            ));
        }
    }
    cases.extend(odd_sets().into_iter().map(|(name, keys)| case(name.to_owned(), "RS256", keys)));
    cases
}

/// Lists of keys that hold `key` in some form.
fn odd_keys(algorithm: &str, key: &Map<String, Value>) -> Vec<(&'static str, Value)> {
    let own = Value::Object(key.clone());
    let strange = Signer::stranger().jwk(Signer::key_id(algorithm));
    let set = |member: &str, value: Value| with(key, member, Some(&value));
    let without_id = with(key, "kid", None);
    let mut lists = vec![
        ("it comes twice", json!([own, own])),
        ("another key has its id and comes first", json!([strange, own])),
        ("another key has its id and comes last", json!([own, strange])),
        ("another key has no id", json!([own, with(&object(strange.clone()), "kid", None)])),
        ("no key has an id", json!([without_id])),
        ("the key is another one", json!([strange])),
        ("use is enc", json!([set("use", json!("enc"))])),
        ("use is of our own", json!([set("use", json!("of_our_own"))])),
        ("alg is its own", json!([set("alg", json!(algorithm))])),
        (
            "alg is that of another kind",
            json!([set("alg", json!(if algorithm == "ES256" { "RS256" } else { "ES256" }))]),
        ),
        ("alg is for encryption", json!([set("alg", json!("RSA-OAEP"))])),
        ("alg is unknown", json!([set("alg", json!("XY999"))])),
        ("key_ops is verify", json!([set("key_ops", json!(["verify"]))])),
        ("key_ops is encrypt", json!([set("key_ops", json!(["encrypt"]))])),
        ("a certificate chain beside it", json!([set("x5c", json!(["MIIB"]))])),
        ("a member of our own", json!([set("of_our_own", json!([1]))])),
        ("a private member", json!([set("d", json!("AQAB"))])),
        ("a key of an unknown kind before it", json!([{"kty": "XY", "kid": "x"}, own])),
        ("a symmetric key before it", json!([{"kty": "oct", "k": "c2VjcmV0", "kid": "x"}, own])),
        (
            "a key of an unknown curve before it",
            json!([{"kty": "OKP", "crv": "X448", "x": "AA", "kid": "x"}, own]),
        ),
        ("an empty object before it", json!([{}, own])),
        ("null before it", json!([null, own])),
        ("a text before it", json!(["x", own])),
        ("a list before it", json!([[], own])),
        (
            "a broken RSA key with its id before it",
            json!([{"kty": "RSA", "kid": key.get("kid"), "n": "!", "e": "AQAB"}, own]),
        ),
    ];
    lists.extend(odd_numbers(algorithm, key));
    lists
}

/// The numbers of a key, written in other ways.
fn odd_numbers(algorithm: &str, key: &Map<String, Value>) -> Vec<(&'static str, Value)> {
    let number = |member: &str| {
        let text = key.get(member).and_then(Value::as_str).unwrap_or_default();
        base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text).unwrap_or_default()
    };
    let set = |member: &str, text: String| json!([with(key, member, Some(&json!(text)))]);
    let text =
        |member: &str| key.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    let widest = match algorithm {
        "RS256" => "n",
        _ => "x",
    };
    let mut lists = vec![
        ("padding behind its number", set(widest, format!("{}==", text(widest)))),
        ("a blank in its number", set(widest, format!(" {}", text(widest)))),
        (
            "its number in the other base64",
            set(widest, base64_simd::STANDARD_NO_PAD.encode_to_string(number(widest))),
        ),
        ("a zero before its number", set(widest, b64([vec![0], number(widest)].concat()))),
        (
            "its number is one byte short",
            set(widest, b64(number(widest).get(1..).unwrap_or_default())),
        ),
        (
            "its number is another",
            set(widest, b64(number(widest).iter().map(|b| b ^ 1).collect::<Vec<_>>())),
        ),
    ];
    match algorithm {
        "RS256" => lists.extend([
            ("exponent 1", set("e", b64([1]))),
            ("exponent 3", set("e", b64([3]))),
            ("an even exponent", set("e", b64([1, 0, 0]))),
            ("an exponent of eight bytes", set("e", b64([1; 8]))),
            ("a zero before the exponent", set("e", b64([0, 1, 0, 1]))),
            ("a modulus of 1024 bits", set("n", b64([0xc3; 128]))),
        ]),
        "ES256" => lists.extend([
            ("no point of the curve", set("y", b64([7; 32]))),
            ("the point at infinity", set("y", b64([0; 32]))),
            ("the other curve", set("crv", "P-384".to_owned())),
            ("a curve in small letters", set("crv", "p-256".to_owned())),
            (
                "x and y exchanged",
                json!([with(&object(with(key, "x", key.get("y"))), "y", key.get("x"))]),
            ),
        ]),
        _ => lists.extend([
            ("the other curve", set("crv", "X25519".to_owned())),
            ("a point of small order", set("x", b64([0; 32]))),
        ]),
    }
    lists
}

/// What is odd in the set itself.
fn odd_sets() -> Vec<(&'static str, Vec<u8>)> {
    let good = object(Signer::shared().jwks());
    let text = Value::Object(good.clone()).to_string();
    let keys = good.get("keys").unwrap_or(&Value::Null);
    let many: Vec<Value> = (0..150).map(|n| json!({"kty": "XY", "kid": n.to_string()})).collect();
    let more = [many, vec![Signer::shared().jwk("rsa")]].concat();
    vec![
        ("an empty set", b"{\"keys\":[]}".to_vec()),
        ("no member keys", b"{}".to_vec()),
        ("keys is null", b"{\"keys\":null}".to_vec()),
        ("keys is an object", format!("{{\"keys\":{}}}", Signer::shared().jwk("rsa")).into_bytes()),
        ("the list without the object around it", keys.to_string().into_bytes()),
        ("a list in place of the object around it", format!("[{keys}]").into_bytes()),
        ("keys twice", format!("{{\"keys\":[],\"keys\":{keys}}}").into_bytes()),
        (
            "another member beside keys",
            format!("{{\"of_our_own\":1,\"keys\":{keys}}}").into_bytes(),
        ),
        ("no JSON", b"<html>".to_vec()),
        ("empty", Vec::new()),
        ("something behind it", format!("{text}x").into_bytes()),
        ("a byte order mark", format!("\u{feff}{text}").into_bytes()),
        ("150 keys of an unknown kind before it", json!({"keys": more}).to_string().into_bytes()),
        ("kid twice in a key", text.replacen("\"kid\":", "\"kid\":\"x\",\"kid\":", 1).into_bytes()),
    ]
}
