//! What a login in progress must remember until the provider sends the person back. It travels in a sealed cookie.
//!
//! Written as a version byte and, in the first format, postcard; in the second, [`crate::fields`].

use super::verify::equal;
use crate::fields::{self, Fields, Malformed, room};
use crate::random;
use crate::session::Fingerprint;
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use proxy_config::SessionFormat;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// First byte of the first format.
const V1: u8 = 1;
/// First byte of the second.
const V2: u8 = 2;

const PROVIDER: u64 = 1;
const ISSUER: u64 = 2;
/// Absent: 0.
const CREDENTIALS: u64 = 3;
/// Seconds since the epoch.
const STARTED_AT: u64 = 4;
const STATE: u64 = 5;
const NONCE: u64 = 6;
const VERIFIER: u64 = 7;
const PARAMETER: u64 = 8;
/// Seconds. Whoever does not know it holds the login to what is configured.
const MAX_AGE: u64 = 9;

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
    /// From here on: not in the first format, in which the fields above are a postcard in this order.
    #[serde(skip)]
    #[zeroize(skip)]
    issuer: Option<[u8; 8]>,
    #[serde(skip)]
    #[zeroize(skip)]
    credentials: u32,
    /// Digest of the whole `state` parameter, return path included.
    #[serde(skip)]
    #[zeroize(skip)]
    parameter: Option<[u8; 16]>,
    #[serde(skip)]
    #[zeroize(skip)]
    max_age: Option<i64>,
}

/// The bytes are no login state of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a login state")]
pub(crate) struct BadLoginState;

impl LoginState {
    /// A fresh one; `nonce` and `pkce` say whether those secrets are wanted.
    pub(crate) fn new(
        (provider, issuer, credentials): (&str, &str, u32),
        now: Timestamp,
        (nonce, pkce): (bool, bool),
    ) -> Self {
        let [state, of_nonce, of_verifier] = random::arrays::<32, 3>();
        // 32 random bytes in base64url are the 43 characters that RFC 7636 section 4.1 recommends.
        let verifier = || base64_simd::URL_SAFE_NO_PAD.encode_to_string(of_verifier);
        Self {
            provider: provider.to_owned(),
            started_at: now.as_second(),
            state,
            nonce: nonce.then_some(of_nonce),
            verifier: pkce.then(verifier),
            issuer: Some(Fingerprint::of(issuer).0),
            credentials,
            parameter: None,
            max_age: None,
        }
    }

    /// Ties the whole `state` parameter to the login: a return path that is changed on the way does not count.
    pub(crate) fn bind(&mut self, parameter: &str) {
        self.parameter = Some(short(parameter));
    }

    /// Holds the login to the `max_age` that the provider is asked for.
    pub(super) fn hold_to(&mut self, max_age: Option<i64>) {
        self.max_age = max_age;
    }

    /// Whether `parameter` is the whole `state` parameter of this login. The first format does not say, and takes any.
    pub(crate) fn is_bound_to(&self, parameter: &str) -> bool {
        self.parameter.is_none_or(|wanted| wanted == short(parameter))
    }

    /// Whether the login went to this provider, which vouches under this name.
    pub(super) fn went_to(&self, provider: &str, issuer: &str) -> bool {
        self.provider == provider
            && self.issuer.is_none_or(|wanted| wanted == Fingerprint::of(issuer).0)
    }

    /// The bytes to be sealed.
    pub(crate) fn to_bytes(&self, format: SessionFormat) -> Zeroizing<Vec<u8>> {
        match (format, self.issuer) {
            (SessionFormat::V2, Some(issuer)) => self.to_fields(issuer),
            (SessionFormat::V1 | SessionFormat::V2, _) => self.to_postcard(),
        }
    }

    fn to_fields(&self, issuer: [u8; 8]) -> Zeroizing<Vec<u8>> {
        let length = self.provider.len() + self.verifier.as_ref().map_or(0, String::len);
        let mut fields = Fields::after(&[V2], 9 * room(32) + length);
        fields.text(PROVIDER, Some(&self.provider));
        fields.bytes(ISSUER, &issuer);
        if self.credentials != 0 {
            fields.number(CREDENTIALS, self.credentials.into());
        }
        fields.signed(STARTED_AT, Some(self.started_at));
        fields.bytes(STATE, &self.state);
        if let Some(nonce) = &self.nonce {
            fields.bytes(NONCE, nonce);
        }
        fields.text(VERIFIER, self.verifier.as_deref());
        if let Some(parameter) = &self.parameter {
            fields.bytes(PARAMETER, parameter);
        }
        fields.signed(MAX_AGE, self.max_age);
        fields.finish()
    }

    fn to_postcard(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES));
        bytes.push(V1);
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
            Some((&V1, rest)) if rest.len() <= MAX_BYTES => {
                let (state, rest) = postcard::take_from_bytes(rest).map_err(|_| BadLoginState)?;
                if rest.is_empty() { Ok(state) } else { Err(BadLoginState) }
            }
            Some((&V2, rest)) if rest.len() <= MAX_BYTES => {
                Self::from_fields(rest).map_err(|_| BadLoginState)
            }
            _ => Err(BadLoginState),
        }
    }

    fn from_fields(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut state = Self {
            provider: String::new(),
            started_at: 0,
            state: [0; 32],
            nonce: None,
            verifier: None,
            issuer: None,
            credentials: 0,
            parameter: None,
            max_age: None,
        };
        let mut needed = [PROVIDER, ISSUER, STARTED_AT, STATE, PARAMETER].to_vec();
        for field in fields::read(bytes) {
            let (number, value) = field?;
            needed.retain(|needed| *needed != number);
            match number {
                PROVIDER => fields::text(value)?.clone_into(&mut state.provider),
                ISSUER => state.issuer = Some(fields::array(value)?),
                CREDENTIALS => {
                    state.credentials = fields::number(value)?.try_into().map_err(|_| Malformed)?;
                }
                STARTED_AT => state.started_at = fields::signed(value)?,
                STATE => state.state = fields::array(value)?,
                NONCE => state.nonce = Some(fields::array(value)?),
                VERIFIER => state.verifier = Some(fields::text(value)?.to_owned()),
                PARAMETER => state.parameter = Some(fields::array(value)?),
                MAX_AGE => state.max_age = Some(fields::signed(value)?),
                other => fields::unknown(other)?,
            }
        }
        if needed.is_empty() { Ok(state) } else { Err(Malformed) }
    }

    /// What stands in the `state` parameter for this login: base64url of a hash, 43 characters.
    pub(crate) fn state_hash(&self) -> String {
        hash(&self.state)
    }

    /// Whether `hash` out of a `state` parameter is that of this login; takes the same time wherever they differ.
    pub(crate) fn matches(&self, hash: &str) -> bool {
        equal(&self.state_hash(), hash)
    }

    /// Which of the client's credentials the login was begun with.
    pub(super) fn credentials(&self) -> u32 {
        self.credentials
    }

    /// When the login began, to the second.
    pub(crate) fn started_at(&self) -> Timestamp {
        Timestamp::from_second(self.started_at).unwrap_or(Timestamp::MIN)
    }

    /// The secret behind the `nonce` claim.
    pub(super) fn nonce(&self) -> Option<[u8; 32]> {
        self.nonce
    }

    /// The `max_age` that the provider was asked for, in seconds.
    pub(super) fn max_age(&self) -> Option<i64> {
        self.max_age
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

/// Long enough that nobody finds another text.
fn short(parameter: &str) -> [u8; 16] {
    let whole = digest(&SHA256, parameter.as_bytes());
    whole.as_ref().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> LoginState {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let mut state = LoginState::new(("main", "https://id.example", 7), now, (true, true));
        state.bind("hash:/deep");
        state.hold_to(Some(600));
        state
    }

    #[test]
    fn a_state_of_the_first_format_is_read_and_binds_no_more_than_it_says() {
        let state = state();
        let bytes = state.to_bytes(SessionFormat::V1);
        let read = LoginState::from_bytes(&bytes).unwrap();
        assert_eq!(bytes[0], V1);
        assert!(read.went_to("main", "https://other.example") && !read.went_to("other", ""));
        assert!(read.is_bound_to("anything") && read.matches(&state.state_hash()));
        assert!(read.to_bytes(SessionFormat::V2) == bytes && read.credentials() == 0);
        assert_eq!(read.max_age(), None);
    }

    #[test]
    fn a_state_belongs_to_one_issuer_and_one_parameter() {
        let state = LoginState::from_bytes(&state().to_bytes(SessionFormat::V2)).unwrap();
        assert!(state.went_to("main", "https://id.example"));
        assert!(
            !state.went_to("main", "https://id.example/")
                && !state.went_to("other", "https://id.example")
        );
        assert_eq!(state.credentials(), 7);
        assert!(state.is_bound_to("hash:/deep") && !state.is_bound_to("hash:/deeper"));
    }

    #[test]
    fn a_state_survives_its_bytes_and_no_other_bytes_make_one() {
        let mut state = state();
        let bytes = state.to_bytes(SessionFormat::V2);
        assert!(LoginState::from_bytes(&bytes) == Ok(state.clone()));
        assert_eq!((state.started_at().as_second(), state.max_age()), (1_700_000_000, Some(600)));
        // What stands last is not in every state.
        state.hold_to(None);
        let bytes = state.to_bytes(SessionFormat::V2);
        assert!(LoginState::from_bytes(&bytes) == Ok(state));
        for end in 0..bytes.len() {
            assert!(LoginState::from_bytes(&bytes[..end]).is_err(), "{end}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(LoginState::from_bytes(&longer).is_err());
        let mut other = bytes.clone();
        other[0] = 3;
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
