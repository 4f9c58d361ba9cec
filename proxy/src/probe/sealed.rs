//! Sealed texts: what a cookie holds.

use crate::session::{KeyRing, Purpose};

/// What a text is sealed for, as the ring of keys has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole session in a cookie.
    Session,
    /// A ticket to a session in a store.
    Ticket,
    /// A login in progress.
    Login,
}

impl From<Kind> for Purpose {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Session => Self::Session,
            Kind::Ticket => Self::Ticket,
            Kind::Login => Self::Login,
        }
    }
}

/// The value of the cookie `name` that holds `plain`, sealed with `secret`.
///
/// # Errors
/// The secret is too short.
pub fn seal(secret: &[u8], kind: Kind, name: &str, plain: &[u8]) -> Result<String, String> {
    let ring = KeyRing::new(&[secret]).map_err(|error| error.to_string())?;
    Ok(ring.seal(kind.into(), name, plain))
}

/// What is in the value `text` of the cookie `name`.
///
/// # Errors
/// Why it does not open.
pub fn open(secret: &[u8], kind: Kind, name: &str, text: &str) -> Result<Vec<u8>, String> {
    let ring = KeyRing::new(&[secret]).map_err(|error| error.to_string())?;
    let opened = ring.open(kind.into(), name, text, text.len());
    opened.map(|plain| plain.to_vec()).map_err(|error| error.to_string())
}
