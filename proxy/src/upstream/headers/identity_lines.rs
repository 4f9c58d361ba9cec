//! What we say of a request, in the form in which it is sent. Made once per session.

use super::super::http1::line;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue};

/// Headers that are set on requests. Whatever else has one of their names is left out.
#[derive(Default)]
pub(crate) struct IdentityLines {
    lines: Bytes,
    names: Vec<HeaderName>,
    /// A bit for each length that a name has: almost every other name ends here.
    lengths: u64,
}

impl IdentityLines {
    /// Of equal names all values are kept. The target and the framing can not be set.
    pub(crate) fn new(headers: &[(HeaderName, HeaderValue)]) -> Self {
        let (mut lines, mut ready) = (Vec::new(), Self::default());
        for (name, value) in headers {
            if *name == HOST || *name == CONTENT_LENGTH || *name == TRANSFER_ENCODING {
                continue;
            }
            line(&mut lines, name, value.as_bytes());
            if !ready.names.contains(name) {
                ready.lengths |= bit(name);
                ready.names.push(name.clone());
            }
        }
        ready.lines = lines.into();
        ready
    }

    /// The lines.
    pub(super) fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// Whether it is set here.
    pub(super) fn has(&self, name: &HeaderName) -> bool {
        self.lengths & bit(name) != 0 && self.names.contains(name)
    }

    /// About how many bytes it takes beside its own size.
    pub(crate) fn bytes(&self) -> usize {
        self.lines.len() + self.names.iter().map(|name| 32 + name.as_str().len()).sum::<usize>()
    }
}

fn bit(name: &HeaderName) -> u64 {
    1 << (name.as_str().len() % 64)
}
