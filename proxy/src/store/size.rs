//! Sessions that are large: they travel in every request, and somebody should know why.

use crate::session::{Session, Token};
use std::sync::atomic::{AtomicBool, Ordering};

/// From here on it is said, in bytes of the record.
const LARGE: usize = 8 * 1024;

/// Says it once for each configuration.
#[derive(Debug, Default)]
pub(super) struct Watch(AtomicBool);

impl Watch {
    /// Looks at a session whose record has `bytes`.
    pub(super) fn look(&self, session: &Session, bytes: usize) {
        if bytes <= LARGE || self.0.swap(true, Ordering::Relaxed) {
            return;
        }
        let (part, most) = largest(session);
        tracing::warn!(
            bytes,
            largest = part,
            largest_bytes = most,
            session = session.shown_id(),
            "a session is large; let the provider send less of its largest part, or keep sessions in Redis (said once)"
        );
    }
}

/// The largest part, with its bytes.
fn largest(session: &Session) -> (&'static str, usize) {
    let token = |token: &Option<Token>| token.as_ref().map_or(0, |token| token.as_str().len());
    let claims = session.claims.values.values().flatten().map(String::len).sum();
    let parts = [
        ("access token", token(&session.access_token)),
        ("ID token", token(&session.id_token)),
        ("refresh token", token(&session.refresh_token)),
        ("groups", session.identity.groups.iter().map(String::len).sum()),
        ("claims", claims),
    ];
    parts.into_iter().max_by_key(|(_, bytes)| *bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::session;

    #[test]
    fn the_largest_part_is_named_and_said_once() {
        let mut large = session();
        large.identity.groups = vec!["g".repeat(30); 300];
        assert_eq!(largest(&large), ("groups", 9000));
        let watch = Watch::default();
        watch.look(&large, LARGE);
        assert!(!watch.0.load(Ordering::Relaxed));
        watch.look(&large, LARGE + 1);
        assert!(watch.0.load(Ordering::Relaxed));
    }
}
