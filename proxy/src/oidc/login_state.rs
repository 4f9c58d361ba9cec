//! What a login in progress must remember until the provider sends the person back. It travels in a sealed cookie.

use super::verify::equal;
use crate::random;
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// First byte of the written form.
const FORMAT: u8 = 1;
/// More than any login state needs.
const MAX_BYTES: usize = 1024;

/// One login in progress. Secrets inside; wiped when dropped, and not to be printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(crate) struct LoginState {
    #[zeroize(skip)]
    provider: String,
    started_at: i64,
    state: [u8; 32],
    nonce: Option<[u8; 32]>,
    verifier: Option<String>,
}

/// The bytes are no login state of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a login state")]
pub(crate) struct BadLoginState;

impl LoginState {
    /// A fresh one; `nonce` and `pkce` say whether those secrets are wanted.
    pub(super) fn new(provider: &str, now: Timestamp, nonce: bool, pkce: bool) -> Self {
        // 32 random bytes in base64url are the 43 characters that RFC 7636 section 4.1 recommends.
        let verifier = || base64_simd::URL_SAFE_NO_PAD.encode_to_string(random::array::<32>());
        Self {
            provider: provider.to_owned(),
            started_at: now.as_second(),
            state: random::array(),
            nonce: nonce.then(random::array),
            verifier: pkce.then(verifier),
        }
    }

    /// The bytes to be sealed.
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES));
        bytes.push(FORMAT);
        // Writing to a vector can not fail; without the rest the state is refused when it is read.
        bytes.extend_from_slice(&Zeroizing::new(postcard::to_allocvec(self).unwrap_or_default()));
        bytes
    }

    /// Reads what [`LoginState::to_bytes`] wrote.
    ///
    /// # Errors
    /// Too long, another version, or not such bytes at all.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, BadLoginState> {
        match bytes.split_first() {
            Some((&FORMAT, rest)) if rest.len() <= MAX_BYTES => {
                let (state, rest) = postcard::take_from_bytes(rest).map_err(|_| BadLoginState)?;
                if rest.is_empty() { Ok(state) } else { Err(BadLoginState) }
            }
            _ => Err(BadLoginState),
        }
    }

    /// What stands in the `state` parameter for this login: base64url of a hash, 43 characters.
    pub(crate) fn state_hash(&self) -> String {
        hash(&self.state)
    }

    /// Whether `hash` out of a `state` parameter is that of this login; takes the same time wherever they differ.
    pub(crate) fn matches(&self, hash: &str) -> bool {
        equal(&self.state_hash(), hash)
    }

    /// [`proxy_config::Provider::id`] of the provider that the login went to.
    pub(crate) fn provider(&self) -> &str {
        &self.provider
    }

    /// When the login began, to the second.
    pub(crate) fn started_at(&self) -> Timestamp {
        Timestamp::from_second(self.started_at).unwrap_or(Timestamp::MIN)
    }

    /// The secret behind the `nonce` claim.
    pub(super) fn nonce(&self) -> Option<[u8; 32]> {
        self.nonce
    }

    /// The PKCE code verifier.
    pub(super) fn verifier(&self) -> Option<&str> {
        self.verifier.as_deref()
    }
}

/// What the provider is given of a secret, so that a leaked URL or token does not show it.
pub(super) fn hash(secret: &[u8]) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(digest(&SHA256, secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> LoginState {
        LoginState::new("main", Timestamp::from_second(1_700_000_000).unwrap(), true, true)
    }

    #[test]
    fn a_state_survives_its_bytes_and_no_other_bytes_make_one() {
        let state = state();
        let bytes = state.to_bytes();
        assert!(LoginState::from_bytes(&bytes) == Ok(state.clone()));
        assert_eq!(state.started_at().as_second(), 1_700_000_000);
        for end in 0..bytes.len() {
            assert!(LoginState::from_bytes(&bytes[..end]).is_err(), "{end}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(LoginState::from_bytes(&longer).is_err());
        let mut other = bytes.clone();
        other[0] = 2;
        assert!(LoginState::from_bytes(&other).is_err());
    }

    #[test]
    fn only_its_own_hash_matches() {
        let (one, two) = (state(), state());
        assert!(one.matches(&one.state_hash()));
        assert!(
            !one.matches(&two.state_hash())
                && !one.matches("")
                && !one.matches(one.state_hash().split_at(8).0)
        );
    }

    #[test]
    fn the_verifier_has_the_length_that_the_rfc_wants() {
        assert_eq!(state().verifier().map(str::len), Some(43));
    }
}
