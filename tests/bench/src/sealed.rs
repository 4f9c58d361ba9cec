//! A session cookie sealed anew: the same session in bytes that no worker has seen. After the format at the end of
//! `docs/architecture.md`.

use crate::Outcome;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64_simd::URL_SAFE_NO_PAD;

/// The proxies' cookie secret.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// The name of their session cookie.
const NAME: &str = "_oauth2_proxy";
/// Version and key id.
const HEAD: usize = 5;

/// A session, and the key under which it is sealed.
pub(crate) struct Sealed {
    key: LessSafeKey,
    head: Vec<u8>,
    plain: Vec<u8>,
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Sealed {
    /// Opens the cookie in `pair`, which is its name, `=`, and its value.
    pub(crate) fn open(pair: &str) -> Outcome<Self> {
        let value = pair.strip_prefix(NAME).and_then(|rest| rest.strip_prefix('='));
        let value = value.ok_or("the session is not in one cookie")?;
        let bytes = URL_SAFE_NO_PAD.decode_to_vec(value)?;
        let (head, rest) = bytes.split_at_checked(HEAD).ok_or("the cookie is short")?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN).ok_or("the cookie is short")?;
        let root =
            Salt::new(HKDF_SHA256, b"oauth2-proxy session keys v1").extract(SECRET.as_bytes());
        let mut key = [0; 32];
        root.expand(&[b"session"], Length(key.len()))?.fill(&mut key)?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key)?);
        let mut plain = sealed.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce)?;
        let length = key.open_in_place(nonce, associated(), &mut plain)?.len();
        plain.truncate(length);
        Ok(Self { key, head: head.to_vec(), plain })
    }

    /// The pair with another value, different for each `number`.
    pub(crate) fn pair(&self, number: u64) -> Outcome<String> {
        let mut nonce = [0; NONCE_LEN];
        for (place, byte) in nonce.iter_mut().zip(number.to_be_bytes()) {
            *place = byte;
        }
        let mut sealed = self.plain.clone();
        let tag = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(tag, associated(), &mut sealed)?;
        let whole = [&self.head[..], &nonce, &sealed].concat();
        Ok(format!("{NAME}={}", URL_SAFE_NO_PAD.encode_to_string(whole)))
    }
}

/// The version, the purpose, the cookie's name.
fn associated() -> Aad<Vec<u8>> {
    Aad::from([&[1, 1], NAME.as_bytes()].concat())
}
