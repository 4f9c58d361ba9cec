//! The sealed form: AES-256-GCM in an envelope that names its version and key.
//!
//! `version (1) | key id (4) | nonce (12) | ciphertext | tag (16)`, as base64url without padding. The associated data is
//! version, purpose and cookie name. The text never holds a `|`, by which it is told from oauth2-proxy's signed
//! `payload|time|signature`. Nothing is compressed: the length must not depend on how well a chosen text repeats.
//! Nonces are random, so one secret should not seal more than 2^32 times (`wear`); rings exist to be turned.

use super::keyring::{Key, Purpose};
use crate::random;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey};
use base64_simd::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// Bytes that were secret and are wiped when dropped.
pub(crate) type Opened = Zeroizing<Vec<u8>>;

const VERSION: u8 = 1;
const KEY_ID: usize = 4;
const HEAD: usize = 1 + KEY_ID + NONCE_LEN;

/// Why a sealed text did not open. Says nothing about its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    /// Longer than anything we write.
    #[error("longer than any that we write")]
    TooLong,
    /// Not of our form: other characters, too short, or another version.
    #[error("not in the format that we write")]
    Format,
    /// Sealed with a key that is not, or no longer, in the ring.
    #[error("sealed with a key that is not in the ring")]
    UnknownKey,
    /// The key is known, but text, purpose or name are not those that were sealed.
    #[error("changed since it was sealed, or sealed for something else")]
    Forged,
}

pub(super) fn seal(key: &Key, purpose: Purpose, name: &str, plain: &[u8]) -> String {
    let aead = key.for_purpose(purpose).expect("a key holds one AEAD key for each purpose");
    let nonce: [u8; NONCE_LEN] = random::array();
    // Room for all of it at once: growing would leave copies of the plain text behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(HEAD + plain.len() + MAX_TAG_LEN));
    bytes.push(VERSION);
    bytes.extend_from_slice(&key.id);
    bytes.extend_from_slice(&nonce);
    seal_after(aead, (nonce, &associated_data(purpose, name)), plain, &mut bytes);
    URL_SAFE_NO_PAD.encode_to_string(bytes.as_slice())
}

pub(super) fn open(
    keys: &[Key],
    (purpose, name): (Purpose, &str),
    text: &str,
    max: usize,
) -> Result<Opened, SealError> {
    if text.len() > max {
        return Err(SealError::TooLong);
    }
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode_to_vec(text).map_err(|_| SealError::Format)?);
    let (&version, rest) = bytes.split_first().ok_or(SealError::Format)?;
    let (id, rest) = rest.split_first_chunk::<KEY_ID>().ok_or(SealError::Format)?;
    let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Format)?;
    if version != VERSION {
        return Err(SealError::Format);
    }
    let aad = associated_data(purpose, name);
    let mut result = Err(SealError::UnknownKey);
    // Ids are short: two keys may share one, so a failure with the first is not the last word.
    for key in keys.iter().filter(|key| key.id == *id).filter_map(|key| key.for_purpose(purpose)) {
        result = open_with(key, *nonce, &aad, sealed);
        if result.is_ok() {
            break;
        }
    }
    result
}

/// Seals a stored record under a key of its own: `version | nonce | ciphertext | tag`, with `id` as associated data.
pub(crate) fn seal_record(secret: &[u8; 32], id: &str, plain: &[u8]) -> Vec<u8> {
    let nonce: [u8; NONCE_LEN] = random::array();
    let mut bytes = Vec::with_capacity(1 + NONCE_LEN + plain.len() + MAX_TAG_LEN);
    bytes.push(VERSION);
    bytes.extend_from_slice(&nonce);
    seal_after(&record_key(secret), (nonce, id.as_bytes()), plain, &mut bytes);
    bytes
}

/// Opens what [`seal_record`] made.
///
/// # Errors
/// Another format or version, another secret or id, or changed in any bit.
pub(crate) fn open_record(secret: &[u8; 32], id: &str, sealed: &[u8]) -> Result<Opened, SealError> {
    let (&version, rest) = sealed.split_first().ok_or(SealError::Format)?;
    let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Format)?;
    if version != VERSION {
        return Err(SealError::Format);
    }
    open_with(&record_key(secret), *nonce, id.as_bytes(), sealed)
}

fn record_key(secret: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, secret).expect("an AES-256 key has 32 bytes"))
}

/// Appends ciphertext and tag to `bytes`, which has the room.
fn seal_after(
    key: &LessSafeKey,
    (nonce, aad): ([u8; NONCE_LEN], &[u8]),
    plain: &[u8],
    bytes: &mut Vec<u8>,
) {
    let start = bytes.len();
    bytes.extend_from_slice(plain);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = bytes
        .get_mut(start..)
        .and_then(|text| key.seal_in_place_separate_tag(nonce, Aad::from(aad), text).ok())
        .expect("a session is far below the 64 GiB that AES-GCM can seal");
    bytes.extend_from_slice(tag.as_ref());
}

fn open_with(
    key: &LessSafeKey,
    nonce: [u8; NONCE_LEN],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Opened, SealError> {
    let length = sealed.len().checked_sub(MAX_TAG_LEN).ok_or(SealError::Format)?;
    let (text, tag) = sealed.split_at_checked(length).ok_or(SealError::Format)?;
    let mut plain = Zeroizing::new(vec![0; length]);
    key.open_separate_gather(
        Nonce::assume_unique_for_key(nonce),
        Aad::from(aad),
        text,
        tag,
        &mut plain,
    )
    .map_err(|_| SealError::Forged)?;
    Ok(plain)
}

fn associated_data(purpose: Purpose, name: &str) -> Vec<u8> {
    let mut data = Vec::with_capacity(2 + name.len());
    data.extend_from_slice(&[VERSION, purpose.number()]);
    data.extend_from_slice(name.as_bytes());
    data
}
