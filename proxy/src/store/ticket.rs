//! A ticket: which record in Redis, and the secret that the record is sealed with. Whoever reads Redis has no secret, and
//! whoever steals the proxy's keys has no record.
//!
//! Written as `number (16) | secret (32)`, in the second format followed by [`crate::fields`].

use crate::fields::{self, Fields, Malformed, room};
use crate::random;
use crate::session::{Fingerprint, Session};
use proxy_config::SessionFormat;
use zeroize::{Zeroize, Zeroizing};

const ID: usize = 16;
const SECRET: usize = 32;

/// Field: what the session is bound to, so that a ticket of another issuer is refused without asking Redis.
const ISSUER: u64 = 1;
/// Field: which of the client's credentials; absent: 0.
const CREDENTIALS: u64 = 2;

/// Names a record and opens it. Wiped when dropped, never printed.
#[derive(Clone)]
pub(crate) struct Ticket {
    number: [u8; ID],
    /// `<cookie name>-<32 hex digits>`: the key in Redis.
    id: String,
    secret: Zeroizing<[u8; SECRET]>,
    /// Of the first format: none.
    issuer: Option<Fingerprint>,
    credentials: u32,
}

impl Ticket {
    /// Longest sealed ticket that is read, in bytes of text.
    pub(crate) const MAX_TEXT: usize = 256;

    /// A new ticket to `session`, guessable by nobody.
    pub(crate) fn issue(cookie_name: &str, session: &Session) -> Self {
        let mut ticket = Self::new(cookie_name, random::array(), Zeroizing::new(random::array()));
        ticket.bind(session);
        ticket
    }

    /// Takes over what `session` is bound to: a session of the first format gets a binding when it is refreshed.
    pub(super) fn bind(&mut self, session: &Session) {
        self.issuer = session.binding.map(|binding| binding.issuer);
        self.credentials = session.login.credentials;
    }

    /// What is sealed into the cookie.
    pub(super) fn to_bytes(&self, format: SessionFormat) -> Zeroizing<Vec<u8>> {
        let mut head = Zeroizing::new(Vec::with_capacity(ID + SECRET));
        head.extend_from_slice(&self.number);
        head.extend_from_slice(self.secret.as_slice());
        let mut fields = Fields::after(&head, room(8) + room(8));
        if let (SessionFormat::V2, Some(issuer)) = (format, self.issuer) {
            fields.bytes(ISSUER, &issuer.0);
            if self.credentials != 0 {
                fields.number(CREDENTIALS, self.credentials.into());
            }
        }
        fields.finish()
    }

    /// Reads what [`Ticket::to_bytes`] wrote.
    pub(super) fn from_bytes(cookie_name: &str, bytes: &[u8]) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk::<ID>()?;
        let (secret, rest) = rest.split_first_chunk::<SECRET>()?;
        let mut array = *secret;
        let mut ticket = Self::new(cookie_name, *number, Zeroizing::new(array));
        array.zeroize();
        for field in fields::read(rest) {
            field.and_then(|(number, value)| ticket.take(number, value)).ok()?;
        }
        Some(ticket)
    }

    fn take(&mut self, number: u64, value: &[u8]) -> Result<(), Malformed> {
        match number {
            ISSUER => self.issuer = Some(Fingerprint(fields::array(value)?)),
            CREDENTIALS => {
                self.credentials = fields::number(value)?.try_into().map_err(|_| Malformed)?;
            }
            other => fields::unknown(other)?,
        }
        Ok(())
    }

    /// What the session is bound to, as far as the ticket says.
    pub(super) fn issuer(&self) -> Option<Fingerprint> {
        self.issuer
    }

    /// The key of its record in Redis.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// What tells it apart from others.
    pub(crate) fn number(&self) -> &[u8; ID] {
        &self.number
    }

    pub(super) fn secret(&self) -> &[u8; SECRET] {
        &self.secret
    }

    fn new(cookie_name: &str, number: [u8; ID], secret: Zeroizing<[u8; SECRET]>) -> Self {
        let mut id = String::with_capacity(cookie_name.len() + 1 + 2 * ID);
        id.push_str(cookie_name);
        id.push('-');
        let digits = number.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        id.extend(digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)));
        Self { number, id, secret, issuer: None, credentials: 0 }
    }
}
