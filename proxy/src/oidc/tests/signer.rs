//! A signer of tokens with whatever header and claims a test wants.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use aws_lc_rs::{hmac, rsa};
use serde_json::{Value, json};
use std::sync::OnceLock;

/// Keys of every kind.
pub(crate) struct Signer {
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    ec521: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes)
}

impl Signer {
    /// The provider's keys; the same in all tests, because RSA keys take long to make.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Signer> = OnceLock::new();
        SHARED.get_or_init(Self::new)
    }

    /// Other keys under the same ids.
    pub(crate) fn stranger() -> &'static Self {
        static STRANGER: OnceLock<Signer> = OnceLock::new();
        STRANGER.get_or_init(Self::new)
    }

    fn new() -> Self {
        Self {
            rsa: RsaKeyPair::generate(rsa::KeySize::Rsa2048).unwrap(),
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            ec521: EcdsaKeyPair::generate(&ECDSA_P521_SHA512_FIXED_SIGNING).unwrap(),
            ed: Ed25519KeyPair::generate().unwrap(),
        }
    }

    /// Modulus of the RSA key, out of its DER form for 2048 bits and exponent 65537.
    pub(crate) fn modulus(&self) -> &[u8] {
        &self.rsa.public_key().as_ref()[9..265]
    }

    /// The public key of this kind (`RSA`, `EC`, `EC521` or `OKP`).
    pub(crate) fn jwk(&self, kind: &str, id: &str) -> Value {
        match kind {
            "RSA" => {
                json!({"kty": "RSA", "kid": id, "use": "sig", "n": b64(self.modulus()), "e": "AQAB"})
            }
            "EC" => {
                let point = self.ec.public_key().as_ref();
                json!({"kty": "EC", "kid": id, "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..])})
            }
            "EC521" => {
                let point = self.ec521.public_key().as_ref();
                json!({"kty": "EC", "kid": id, "crv": "P-521", "x": b64(&point[1..67]), "y": b64(&point[67..])})
            }
            _ => {
                json!({"kty": "OKP", "kid": id, "crv": "Ed25519", "x": b64(self.ed.public_key().as_ref())})
            }
        }
    }

    /// All three keys, with ids `rsa`, `ec` and `ed`.
    pub(crate) fn jwks(&self) -> Value {
        json!({"keys": [self.jwk("RSA", "rsa"), self.jwk("EC", "ec"), self.jwk("OKP", "ed")]})
    }

    /// A token signed as its header says; `none` has an empty signature, `HS256` is signed with the RSA modulus, the trick
    /// that makes a public key a secret.
    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        let signature = self.sign(header["alg"].as_str().unwrap_or_default(), message.as_bytes());
        format!("{message}.{}", b64(signature))
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let rsa = |encoding: &'static dyn RsaEncoding| {
            let mut signature = vec![0; 256];
            self.rsa.sign(encoding, &random, message, &mut signature).unwrap();
            signature
        };
        match algorithm {
            "RS256" => rsa(&RSA_PKCS1_SHA256),
            "PS256" => rsa(&RSA_PSS_SHA256),
            "ES256" => self.ec.sign(&random, message).unwrap().as_ref().to_vec(),
            "ES512" => self.ec521.sign(&random, message).unwrap().as_ref().to_vec(),
            "EdDSA" => self.ed.sign(message).as_ref().to_vec(),
            "HS256" => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.modulus()), message)
                .as_ref()
                .to_vec(),
            _ => Vec::new(),
        }
    }
}

/// The header of an ordinary token.
pub(crate) fn rs256() -> Value {
    json!({"alg": "RS256", "kid": "rsa", "typ": "JWT"})
}
