//! A line of which the end has not come. The parser keeps all of it as well, and the sender may never end it, so that here is no
//! more than what is judged: how it begins and ends, and whether a target has a fragment.

use memchr::memchr;

/// The longest name and value that are judged, and room.
const BEGINNING: usize = 512;
/// The version of a request and the line break.
const END: usize = 16;

/// Empty whenever heads arrive whole.
#[derive(Debug, Default)]
pub(super) struct Partial {
    text: Vec<u8>,
    length: usize,
    /// Behind the first word.
    spaced: bool,
    fragment: bool,
}

impl Partial {
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// How long the line is.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// The line, or its beginning and its end.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn has_fragment(&self) -> bool {
        self.fragment
    }

    /// The rest of the line.
    pub(super) fn end(&mut self, bytes: &[u8]) {
        self.look(bytes);
        self.length += bytes.len();
        self.text.extend_from_slice(bytes);
    }

    /// More of the line. `cut`: only its beginning and its end are kept.
    pub(super) fn push(&mut self, bytes: &[u8], cut: bool) {
        self.end(bytes);
        if cut {
            let end = self.text.len().saturating_sub(END);
            if end > BEGINNING {
                self.text.drain(BEGINNING..end);
                self.text.shrink_to(2 * BEGINNING);
            }
        }
    }

    fn look(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        if !self.spaced {
            let Some(at) = memchr(b' ', bytes) else { return };
            self.spaced = true;
            bytes = bytes.get(at..).unwrap_or_default();
        }
        self.fragment |= memchr(b'#', bytes).is_some();
    }
}
