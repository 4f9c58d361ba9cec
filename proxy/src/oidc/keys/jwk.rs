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

/// The key id and the key once per algorithm that it may be used with.
///
/// # Errors
/// Why it is left out: not a key for verifying signatures, of a kind that is not known, or broken.
pub(super) fn parse(jwk: &Value) -> Result<(Option<String>, Vec<Parsed>), &'static str> {
    // A member that is null says nothing.
    let member = |name: &str| jwk.get(name).filter(|value| !value.is_null());
    let text = |name: &str| member(name).and_then(Value::as_str);
    if member("use").is_some_and(|u| u != "sig") {
        return Err("is not for signatures (use)");
    }
    if let Some(operations) = member("key_ops")
        && !operations.as_array().is_some_and(|list| list.iter().any(|o| o == "verify"))
    {
        return Err("is not for verifying (key_ops)");
    }
    let id = match member("kid") {
        None => None,
        Some(id) => Some(id.as_str().ok_or("has an id that is no text")?.to_owned()),
    };
    let broken = "lacks a part";
    let mut parsed = match text("kty").ok_or("does not say its kind (kty)")? {
        "RSA" => rsa(text("n").ok_or(broken)?, text("e").ok_or(broken)?)?,
        "EC" => {
            let (curve, x, y) = (text("crv"), text("x"), text("y"));
            let off = "is not on P-256, P-384 or P-521";
            let point = elliptic(curve.ok_or(broken)?, x.ok_or(broken)?, y.ok_or(broken)?);
            vec![point.ok_or(off)?]
        }
        "OKP" if text("crv") == Some("Ed25519") => {
            let x = jws::decode(text("x").ok_or(broken)?).ok().filter(|x| x.len() == 32);
            let key = x.and_then(|x| ParsedPublicKey::new(&ED25519, x).ok());
            vec![(Algorithm::EdDSA, key.ok_or("is no point of Ed25519")?)]
        }
        "oct" => return Err("is a shared secret, which is never used"),
        _ => return Err("is of a kind that is not known here (kty)"),
    };
    if let Some(algorithm) = member("alg") {
        let only = algorithm.as_str().and_then(jws::parse);
        let only = only.ok_or("is for an algorithm that is not known here (alg)")?;
        parsed.retain(|(algorithm, _)| *algorithm == only);
    }
    if parsed.is_empty() {
        Err("is for an algorithm of another kind of key (alg)")
    } else {
        Ok((id, parsed))
    }
}

fn rsa(n: &str, e: &str) -> Result<Vec<Parsed>, &'static str> {
    let broken = "has parts that are not base64url, or zero";
    let (n, e) = (jws::decode(n).map_err(|_| broken)?, jws::decode(e).map_err(|_| broken)?);
    // Some providers write a leading zero although RFC 7518 section 6.3.1.1 forbids it.
    let n = n.iter().position(|b| *b != 0).and_then(|start| n.get(start..)).ok_or(broken)?;
    let e = e.iter().position(|b| *b != 0).and_then(|start| e.get(start..)).ok_or(broken)?;
    if !RSA_BYTES.contains(&n.len()) {
        return Err("is an RSA key of less than 2048 bits, or more than 8192");
    }
    if e.len() > 4 || e == [1] {
        return Err("is an RSA key with an exponent that is 1 or very large");
    }
    let parsed = RSA.iter().map(|(algorithm, parameters)| {
        let key = RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters).ok()?;
        Some((*algorithm, key))
    });
    parsed.collect::<Option<_>>().ok_or("is no RSA key that the library takes")
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
