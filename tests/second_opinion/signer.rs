//! A provider's keys, and tokens signed with whatever header and claims a case wants.

use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING,
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaEncoding, RsaKeyPair,
};
use aws_lc_rs::{encoding::AsDer, hmac, rsa};
use serde_json::{Value, json};
use std::sync::OnceLock;

/// A key of each kind.
pub(crate) struct Signer {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes)
}

impl Signer {
    /// The provider's keys.
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
            rsa: RsaKeyPair::generate(rsa::KeySize::Rsa2048).expect("a key"),
            p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"),
            p384: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key"),
            ed: Ed25519KeyPair::generate().expect("a key"),
        }
    }

    /// The id of the key that signs by this algorithm.
    pub(crate) fn key_id(algorithm: &str) -> &'static str {
        match algorithm {
            "ES256" => "p256",
            "ES384" => "p384",
            "EdDSA" => "ed",
            _ => "rsa",
        }
    }

    /// Modulus of the RSA key, out of its DER form for 2048 bits and exponent 65537.
    fn modulus(&self) -> &[u8] {
        self.rsa.public_key().as_ref().get(9..265).expect("a public key of 2048 bits")
    }

    /// The public key with this id, as it should be.
    pub(crate) fn jwk(&self, id: &str) -> Value {
        let point = |key: &EcdsaKeyPair, curve: &str| {
            let (x, y) = key
                .public_key()
                .as_ref()
                .get(1..)
                .map(|p| p.split_at(p.len() / 2))
                .expect("a point");
            json!({"kty": "EC", "kid": id, "use": "sig", "crv": curve, "x": b64(x), "y": b64(y)})
        };
        match id {
            "p256" => point(&self.p256, "P-256"),
            "p384" => point(&self.p384, "P-384"),
            "ed" => {
                json!({"kty": "OKP", "kid": id, "use": "sig", "crv": "Ed25519", "x": b64(self.ed.public_key().as_ref())})
            }
            _ => {
                json!({"kty": "RSA", "kid": id, "use": "sig", "n": b64(self.modulus()), "e": "AQAB"})
            }
        }
    }

    /// All keys.
    pub(crate) fn jwks(&self) -> Value {
        let keys = ["rsa", "p256", "p384", "ed"].map(|id| self.jwk(id));
        json!({"keys": keys})
    }

    /// A token signed as its header says; `HS256` with the RSA modulus, the trick that makes a public key a secret.
    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        self.token_of(
            &header.to_string(),
            &claims.to_string(),
            header["alg"].as_str().unwrap_or_default(),
        )
    }

    /// The same from texts that need not be JSON.
    pub(crate) fn token_of(&self, header: &str, claims: &str, algorithm: &str) -> String {
        let message = format!("{}.{}", b64(header), b64(claims));
        format!("{message}.{}", b64(self.sign(algorithm, message.as_bytes())))
    }

    /// A signature by `algorithm`; empty for one that is not known.
    pub(crate) fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let rsa = |padding: &'static dyn RsaEncoding| {
            let mut signature = vec![0; self.rsa.public_modulus_len()];
            self.rsa.sign(padding, &random, message, &mut signature).expect("a signature");
            signature
        };
        match algorithm {
            "RS256" => rsa(&RSA_PKCS1_SHA256),
            "RS384" => rsa(&RSA_PKCS1_SHA384),
            "RS512" => rsa(&RSA_PKCS1_SHA512),
            "PS256" => rsa(&RSA_PSS_SHA256),
            "PS384" => rsa(&RSA_PSS_SHA384),
            "PS512" => rsa(&RSA_PSS_SHA512),
            "ES256" => self.p256.sign(&random, message).expect("a signature").as_ref().to_vec(),
            "ES384" => self.p384.sign(&random, message).expect("a signature").as_ref().to_vec(),
            "EdDSA" => self.ed.sign(message).as_ref().to_vec(),
            "HS256" => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.modulus()), message)
                .as_ref()
                .to_vec(),
            _ => Vec::new(),
        }
    }

    /// A signature by ES256 in the form that certificates have, which RFC 7518 section 3.4 forbids.
    pub(crate) fn sign_as_certificates_do(&self, message: &[u8]) -> Vec<u8> {
        let key = self.p256.private_key().as_der().expect("its DER form");
        let key = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, key.as_ref())
            .expect("a key");
        key.sign(&SystemRandom::new(), message).expect("a signature").as_ref().to_vec()
    }

    /// `at_hash` of Core section 3.1.3.6.
    pub(crate) fn half_hash(algorithm: &str, text: &str) -> String {
        let hash = match algorithm {
            "EdDSA" => &SHA512,
            name if name.ends_with("512") => &SHA512,
            name if name.ends_with("384") => &SHA384,
            _ => &SHA256,
        };
        let whole = digest::digest(hash, text.as_bytes());
        b64(whole.as_ref().get(..whole.as_ref().len() / 2).expect("half of it"))
    }
}
