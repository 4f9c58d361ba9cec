//! Cookies of ours in the hands of `aes-gcm`: it opens what the proxy seals, and the proxy opens what it seals. Written after the
//! end of docs/architecture.md alone, so it also shows that another program can read our cookies.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use proxy::probe::sealed::{Kind, open, seal};

const SECRET: &[u8] = b"a cookie secret of 32 characters";
const NAME: &str = "_oauth2_proxy";
const KINDS: [(Kind, u8, &[u8]); 3] =
    [(Kind::Session, 1, b"session"), (Kind::Ticket, 2, b"ticket"), (Kind::Login, 3, b"login")];

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn root() -> Prk {
    Salt::new(HKDF_SHA256, b"oauth2-proxy session keys v1").extract(SECRET)
}

fn derive<const N: usize>(label: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    let root = root();
    root.expand(&[label], Length(N)).and_then(|okm| okm.fill(&mut bytes)).expect("a few bytes");
    bytes
}

fn cipher(label: &[u8]) -> Aes256Gcm {
    Aes256Gcm::new(&derive::<32>(label).into())
}

fn associated_data(number: u8, name: &str) -> Vec<u8> {
    [&[1, number], name.as_bytes()].concat()
}

/// Opens `text` with `aes-gcm`.
fn open_there((number, label): (u8, &[u8]), name: &str, text: &str) -> Option<Vec<u8>> {
    let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text).ok()?;
    let (head, sealed) = bytes.split_at_checked(17)?;
    let (version, nonce) = head.split_at_checked(5)?;
    assert_eq!(version, [&[1][..], &derive::<4>(b"key id")].concat(), "version and key id");
    let nonce: [u8; 12] = nonce.try_into().ok()?;
    let payload = Payload { msg: sealed, aad: &associated_data(number, name) };
    cipher(label).decrypt(&Nonce::from(nonce), payload).ok()
}

/// Seals `plain` with `aes-gcm`.
fn seal_there((number, label): (u8, &[u8]), name: &str, plain: &[u8], nonce: [u8; 12]) -> String {
    let payload = Payload { msg: plain, aad: &associated_data(number, name) };
    let sealed = cipher(label).encrypt(&Nonce::from(nonce), payload).expect("a short text");
    let whole = [&[1][..], &derive::<4>(b"key id"), &nonce, &sealed].concat();
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(whole)
}

/// Texts of many lengths, the borders of the cipher's blocks among them.
fn plain() -> impl Iterator<Item = Vec<u8>> {
    [0, 1, 15, 16, 17, 31, 32, 33, 255, 850, 4000].into_iter().map(|length| {
        (0..length).map(|n: usize| u8::try_from(n % 251).unwrap_or_default()).collect()
    })
}

#[test]
fn aes_gcm_opens_cookies_of_ours() {
    for plain in plain() {
        for (kind, number, label) in KINDS {
            let text = seal(SECRET, kind, NAME, &plain).expect("sealed");
            assert_eq!(
                open_there((number, label), NAME, &text).as_deref(),
                Some(plain.as_slice()),
                "{kind:?}"
            );
            assert_eq!(open_there((number, label), "_other", &text), None, "another cookie's name");
        }
    }
}

#[test]
fn we_open_cookies_that_aes_gcm_sealed() {
    for (n, plain) in (0..).zip(plain()) {
        for (kind, number, label) in KINDS {
            let text = seal_there((number, label), NAME, &plain, [n; 12]);
            assert_eq!(open(SECRET, kind, NAME, &text), Ok(plain.clone()), "{kind:?}");
            assert!(open(SECRET, kind, "_other", &text).is_err(), "another cookie's name");
        }
    }
}

#[test]
fn neither_opens_a_cookie_with_a_changed_byte() {
    let text = seal(SECRET, Kind::Session, NAME, b"who somebody is").expect("sealed");
    let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(&text).expect("base64url");
    for place in 5..bytes.len() {
        let mut changed = bytes.clone();
        if let Some(byte) = changed.get_mut(place) {
            *byte ^= 1;
        }
        let changed = base64_simd::URL_SAFE_NO_PAD.encode_to_string(changed);
        assert_eq!(open_there((1, b"session"), NAME, &changed), None, "byte {place}");
        assert!(open(SECRET, Kind::Session, NAME, &changed).is_err(), "byte {place}");
    }
}
