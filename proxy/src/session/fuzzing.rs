//! What comes out of a cookie or out of Redis, for [`crate::fuzzing`].

use super::{KeyRing, Purpose, decode, encode, open_record};
use proxy_config::SessionFormat;
use std::sync::LazyLock;

/// A session record is read as it was written or refused, and no bytes open that were not sealed here.
pub(crate) fn session(bytes: &[u8]) {
    static RING: LazyLock<KeyRing> = LazyLock::new(|| {
        KeyRing::new(&["a secret that nothing was sealed with"]).expect("a long secret")
    });
    if let Ok(session) = decode(bytes) {
        let written = encode(&session, SessionFormat::V2);
        assert!(decode(&written).is_ok_and(|again| again == session), "it reads differently");
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        for purpose in [Purpose::Session, Purpose::Ticket, Purpose::Login] {
            assert!(RING.open(purpose, "_oauth2_proxy", text, 64 * 1024).is_err());
        }
    }
    assert!(open_record(&[7; 32], "_oauth2_proxy-0", bytes).is_err());
}
