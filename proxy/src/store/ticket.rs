//! A ticket: which record in Redis, and the secret that the record is sealed with. Whoever reads Redis has no secret, and
//! whoever steals the proxy's keys has no record.

use crate::random;
use std::fmt::Write;
use zeroize::{Zeroize, Zeroizing};

const ID: usize = 16;
const SECRET: usize = 32;

/// Names a record and opens it. Wiped when dropped, never printed.
#[derive(Clone)]
pub(crate) struct Ticket {
    number: [u8; ID],
    /// `<cookie name>-<32 hex digits>`: the key in Redis.
    id: String,
    secret: Zeroizing<[u8; SECRET]>,
}

impl Ticket {
    /// Longest sealed ticket that is read, in bytes of text.
    pub(crate) const MAX_TEXT: usize = 256;

    /// A new ticket, guessable by nobody.
    pub(crate) fn issue(cookie_name: &str) -> Self {
        Self::new(cookie_name, random::array(), Zeroizing::new(random::array()))
    }

    /// What is sealed into the cookie.
    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(ID + SECRET));
        bytes.extend_from_slice(&self.number);
        bytes.extend_from_slice(self.secret.as_slice());
        bytes
    }

    /// Reads what [`Ticket::to_bytes`] wrote.
    pub(super) fn from_bytes(cookie_name: &str, bytes: &[u8]) -> Option<Self> {
        let (number, secret) = bytes.split_first_chunk::<ID>()?;
        let mut array: [u8; SECRET] = secret.try_into().ok()?;
        let ticket = Self::new(cookie_name, *number, Zeroizing::new(array));
        array.zeroize();
        Some(ticket)
    }

    /// The key of its record in Redis.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn secret(&self) -> &[u8; SECRET] {
        &self.secret
    }

    fn new(cookie_name: &str, number: [u8; ID], secret: Zeroizing<[u8; SECRET]>) -> Self {
        let mut id = format!("{cookie_name}-");
        for byte in number {
            let _ = write!(id, "{byte:02x}");
        }
        Self { number, id, secret }
    }
}
