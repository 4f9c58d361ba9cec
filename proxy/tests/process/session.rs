//! Sessions in the first form that was ever written, which is read for ever.

use super::KEY;
use proxy::probe::sealed::{Kind, seal};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What is in a session beside what all have.
#[derive(Default)]
pub(super) struct Made<'a> {
    pub(super) ago: Duration,
    /// With it there is an access token, which expired a second after the login.
    pub(super) refresh_token: Option<&'a str>,
    pub(super) group: &'a str,
}

/// The `Cookie` header of a session.
pub(super) fn header(made: &Made<'_>) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let created = now.checked_sub(made.ago).unwrap();
    let created = u64::try_from(created.as_millis()).unwrap();
    let mut plain = vec![1];
    text(&mut plain, "main");
    number(&mut plain, created << 1);
    match made.refresh_token {
        // No expiry, access token, ID token, refresh token, nonce.
        None => plain.extend([0; 5]),
        Some(token) => {
            plain.push(1);
            number(&mut plain, (created + 1000) << 1);
            plain.push(1);
            text(&mut plain, "access");
            plain.extend([0, 1]);
            text(&mut plain, token);
            plain.push(0);
        }
    }
    text(&mut plain, "u1");
    plain.push(1);
    text(&mut plain, "mara@app.example");
    plain.push(1);
    text(&mut plain, made.group);
    plain.push(0);
    let value = seal(KEY.as_bytes(), Kind::Session, "_oauth2_proxy", &plain).unwrap();
    format!("Cookie: _oauth2_proxy={value}\r\n")
}

fn number(plain: &mut Vec<u8>, mut rest: u64) {
    while rest >= 0x80 {
        plain.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    plain.push(u8::try_from(rest).unwrap());
}

fn text(plain: &mut Vec<u8>, text: &str) {
    number(plain, text.len() as u64);
    plain.extend_from_slice(text.as_bytes());
}
