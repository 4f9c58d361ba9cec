//! One JSON Web Key (RFC 7517, RFC 7518 section 6, RFC 8037) into parsed public keys, or nothing if it is not for us.

use crate::oidc::jws;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
};
use proxy_config::SigningAlgorithm as Algorithm;
use serde_json::Value;

/// Sizes of RSA keys in bytes of the modulus. Below is too weak; above, one signature costs too much time.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

static RSA: [(Algorithm, &RsaParameters); 6] = [
    (Algorithm::RS256, &RSA_PKCS1_2048_8192_SHA256),
    (Algorithm::RS384, &RSA_PKCS1_2048_8192_SHA384),
    (Algorithm::RS512, &RSA_PKCS1_2048_8192_SHA512),
    (Algorithm::PS256, &RSA_PSS_2048_8192_SHA256),
    (Algorithm::PS384, &RSA_PSS_2048_8192_SHA384),
    (Algorithm::PS512, &RSA_PSS_2048_8192_SHA512),
];

/// A key in the form that one algorithm needs.
pub(super) type Parsed = (Algorithm, ParsedPublicKey);

/// The key id and the key once per algorithm that it may be used with. `None`: not a key for verifying signatures, of a
/// kind that is not known, or broken.
pub(super) fn parse(jwk: &Value) -> Option<(Option<String>, Vec<Parsed>)> {
    // A member that is null says nothing.
    let member = |name: &str| jwk.get(name).filter(|value| !value.is_null());
    let text = |name: &str| member(name).and_then(Value::as_str);
    if member("use").is_some_and(|u| u != "sig") {
        return None;
    }
    if let Some(operations) = member("key_ops")
        && !operations.as_array()?.iter().any(|o| o == "verify")
    {
        return None;
    }
    let id = match member("kid") {
        None => None,
        Some(id) => Some(id.as_str()?.to_owned()),
    };
    let mut parsed = match text("kty")? {
        "RSA" => rsa(text("n")?, text("e")?)?,
        "EC" => vec![elliptic(text("crv")?, text("x")?, text("y")?)?],
        "OKP" if text("crv")? == "Ed25519" => {
            let x = jws::decode(text("x")?).ok().filter(|x| x.len() == 32)?;
            vec![(Algorithm::EdDSA, ParsedPublicKey::new(&ED25519, x).ok()?)]
        }
        _ => return None,
    };
    if let Some(algorithm) = member("alg") {
        let only = jws::parse(algorithm.as_str()?)?;
        parsed.retain(|(algorithm, _)| *algorithm == only);
    }
    (!parsed.is_empty()).then_some((id, parsed))
}

fn rsa(n: &str, e: &str) -> Option<Vec<Parsed>> {
    let (n, e) = (jws::decode(n).ok()?, jws::decode(e).ok()?);
    // Some providers write a leading zero although RFC 7518 section 6.3.1.1 forbids it.
    let n = n.iter().position(|b| *b != 0).and_then(|start| n.get(start..))?;
    let e = e.iter().position(|b| *b != 0).and_then(|start| e.get(start..))?;
    if !RSA_BYTES.contains(&n.len()) || e.len() > 4 || e == [1] {
        return None;
    }
    let parsed = RSA.iter().map(|(algorithm, parameters)| {
        let key = RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters).ok()?;
        Some((*algorithm, key))
    });
    parsed.collect()
}

fn elliptic(curve: &str, x: &str, y: &str) -> Option<Parsed> {
    let (x, y) = (jws::decode(x).ok()?, jws::decode(y).ok()?);
    // The fixed lengths of RFC 7518 section 6.2.1.2; the library checks that the point is on the curve.
    let point = |length: usize| {
        (x.len() == length && y.len() == length)
            .then(|| [&[4], x.as_slice(), y.as_slice()].concat())
    };
    match curve {
        "P-256" => Some((
            Algorithm::ES256,
            ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point(32)?).ok()?,
        )),
        "P-384" => Some((
            Algorithm::ES384,
            ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point(48)?).ok()?,
        )),
        "P-521" => Some((
            Algorithm::ES512,
            ParsedPublicKey::new(&ECDSA_P521_SHA512_FIXED, point(66)?).ok()?,
        )),
        _ => None,
    }
}
