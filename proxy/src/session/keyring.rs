//! The keys of a process: each secret of the ring gives a key per purpose, and an id by which a sealed text names its key.
//!
//! The first secret seals, all open, so a key is replaced by putting a new one in front and dropping the old one when the
//! sessions made with it have ended. Key schedules are kept: building one costs as much as opening a small cookie.

use super::seal::{self, Opened, SealError};
use super::wear::{Shown, Wear};
use crate::metrics::Registry;
use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};

/// What a sealed text is for. A text sealed for one purpose does not open for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A whole session in a cookie.
    Session,
    /// A ticket to a session in a store.
    Ticket,
    /// A login in progress.
    Login,
}

impl Purpose {
    pub(super) const ALL: [Self; 3] = [Self::Session, Self::Ticket, Self::Login];

    /// Separates the derived keys. Part of the format: never changed.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Ticket => "ticket",
            Self::Login => "login",
        }
    }

    /// First byte of the associated data. Part of the format: never changed.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Session => 1,
            Self::Ticket => 2,
            Self::Login => 3,
        }
    }
}

/// Why secrets make no ring.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyRingError {
    /// No secret at all.
    #[error("at least one cookie secret is needed")]
    Empty,
    /// The secret with this index is too short to derive keys from.
    #[error("cookie secret {index} has {length} bytes; at least {min} are needed, such as from `openssl rand -base64 32`", min = KeyRing::MIN_SECRET)]
    Short {
        /// Position in the ring, from 0.
        index: usize,
        /// Its length in bytes.
        length: usize,
    },
}

pub(super) struct Key {
    pub(super) id: [u8; 4],
    by_purpose: [(Purpose, LessSafeKey); Purpose::ALL.len()],
}

impl Key {
    /// HKDF-SHA256 (RFC 5869) of the secret, one output per purpose and one for the id.
    fn derive(secret: &[u8]) -> Self {
        let root = Salt::new(HKDF_SHA256, b"oauth2-proxy session keys v1").extract(secret);
        let mut id = [0; 4];
        root.expand(&[b"key id"], IdLength)
            .and_then(|okm| okm.fill(&mut id))
            .expect("four bytes are far below what HKDF can give");
        Self { id, by_purpose: Purpose::ALL.map(|purpose| (purpose, aead_key(&root, purpose))) }
    }

    pub(super) fn for_purpose(&self, purpose: Purpose) -> Option<&LessSafeKey> {
        self.by_purpose.iter().find(|(candidate, _)| *candidate == purpose).map(|(_, key)| key)
    }
}

fn aead_key(root: &Prk, purpose: Purpose) -> LessSafeKey {
    let info = [purpose.name().as_bytes()];
    let okm = root.expand(&info, &AES_256_GCM).expect("32 bytes are far below what HKDF can give");
    LessSafeKey::new(UnboundKey::from(okm))
}

struct IdLength;

impl KeyType for IdLength {
    fn len(&self) -> usize {
        4
    }
}

/// A non-empty list of keys.
pub(crate) struct KeyRing {
    keys: Vec<Key>,
    /// Of the first key.
    wear: Wear,
}

impl KeyRing {
    /// Fewest bytes in a secret.
    pub(crate) const MIN_SECRET: usize = 16;

    /// A ring from secrets, the sealing one first.
    ///
    /// # Errors
    /// No secret, or one that is too short.
    pub(crate) fn new<S: AsRef<[u8]>>(secrets: &[S]) -> Result<Self, KeyRingError> {
        for (index, secret) in secrets.iter().enumerate() {
            let length = secret.as_ref().len();
            if length < Self::MIN_SECRET {
                return Err(KeyRingError::Short { index, length });
            }
        }
        let keys: Vec<Key> = secrets.iter().map(|secret| Key::derive(secret.as_ref())).collect();
        let wear = Wear::new(keys.first().ok_or(KeyRingError::Empty)?.id);
        Ok(Self { keys, wear })
    }

    /// The same, whose seals are counted in `registry`.
    pub(crate) fn counted(mut self, registry: &Registry) -> Self {
        self.wear.show(registry);
        self
    }

    /// How it stands with the key that seals.
    pub(crate) fn wear(&self) -> Shown {
        self.wear.shown()
    }

    /// Seals `plain` for `purpose` and the cookie `name`; the text is base64url without padding.
    pub(crate) fn seal(&self, purpose: Purpose, name: &str, plain: &[u8]) -> String {
        let first = self.keys.first().expect("a ring is not empty: checked when it was made");
        self.wear.note(purpose);
        seal::seal(first, purpose, name, plain)
    }

    /// Opens what [`KeyRing::seal`] made for the same purpose and name, unless the text is longer than `max` bytes.
    ///
    /// # Errors
    /// Too long, another format, an unknown key, or changed in any bit.
    pub(crate) fn open(
        &self,
        purpose: Purpose,
        name: &str,
        text: &str,
        max: usize,
    ) -> Result<Opened, SealError> {
        seal::open(&self.keys, (purpose, name), text, max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRETS: [&str; 2] = ["0123456789abcdef", "fedcba9876543210"];

    fn ring(secrets: &[&str], registry: &Registry) -> KeyRing {
        let ring = KeyRing::new(secrets).unwrap().counted(registry);
        KeyRing { wear: ring.wear.bounded(3), ..ring }
    }

    #[test]
    fn seals_are_counted_by_key_and_purpose_over_every_configuration() {
        let registry = Registry::new();
        let [first, second] = SECRETS;
        let before = ring(&[first], &registry);
        before.seal(Purpose::Session, "c", b"x");
        before.seal(Purpose::Login, "c", b"x");
        // A reload while somebody still has the old ring, a new key in front, and back.
        let after = ring(&[first], &registry);
        after.seal(Purpose::Session, "c", b"x");
        assert_eq!((before.wear().seals, before.wear()), (2, after.wear()));
        let turned = ring(&[second, first], &registry);
        turned.seal(Purpose::Session, "c", b"x");
        assert_ne!(turned.wear().id, before.wear().id);
        assert_eq!((turned.wear().seals, before.wear().seals), (1, 2));
        let text = registry.text();
        let id = before.wear().id;
        for (purpose, seals) in [("session", 2), ("login", 1), ("ticket", 0)] {
            let line = format!(
                "oauth2_proxy_cookie_key_seals_total{{key=\"{id}\",purpose=\"{purpose}\"}} {seals}\n"
            );
            assert!(text.contains(&line), "{text}");
        }
        assert!(SECRETS.iter().all(|secret| !text.contains(secret)), "{text}");
    }

    #[test]
    fn a_key_that_has_sealed_often_is_worn_and_that_is_said_once() {
        let ring = ring(&SECRETS, &Registry::new());
        let lines = crate::telemetry::tests::warnings(|| {
            for count in 1..=10 {
                ring.seal(Purpose::Session, "c", b"x");
                assert_eq!(ring.wear().worn, count >= 3, "{count}");
            }
        });
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("should be replaced") && lines[0].contains(&ring.wear().id));
    }
}
