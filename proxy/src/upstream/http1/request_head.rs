//! The head of a request as it goes out, written line by line into the bytes that are sent.

use http::uri::PathAndQuery;
use http::{HeaderName, Method};

/// A head that may get more lines.
pub(in crate::upstream) struct RequestHead {
    pub(super) bytes: Vec<u8>,
    /// Where the lines begin that concern the connection.
    pub(super) hop: usize,
    /// How long the body is; `None`: it is chunked.
    pub(super) length: Option<u64>,
    /// It is a HEAD, whose answer has no body.
    pub(super) to_head: bool,
    /// Asking twice is like asking once (RFC 9110 section 9.2.2).
    pub(super) idempotent: bool,
}

impl RequestHead {
    /// The request line, in origin form, with room for lines of that many bytes.
    pub(in crate::upstream) fn begin(
        method: &Method,
        target: Option<&PathAndQuery>,
        room: usize,
    ) -> Self {
        let target = target.map_or("/", PathAndQuery::as_str);
        let mut bytes = Vec::with_capacity(method.as_str().len() + target.len() + room + 16);
        bytes.extend_from_slice(method.as_str().as_bytes());
        bytes.push(b' ');
        if target.starts_with('?') {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(target.as_bytes());
        bytes.extend_from_slice(b" HTTP/1.1\r\n");
        Self {
            bytes,
            hop: 0,
            length: Some(0),
            to_head: *method == Method::HEAD,
            idempotent: method.is_idempotent(),
        }
    }

    /// Adds a line.
    pub(in crate::upstream) fn line(&mut self, name: &HeaderName, value: &[u8]) {
        line(&mut self.bytes, name, value);
    }

    /// Adds lines that were made by [`line()`].
    pub(in crate::upstream) fn lines(&mut self, ready: &[u8]) {
        self.bytes.extend_from_slice(ready);
    }

    /// Adds a line whose value `write` appends; takes it back if that says so.
    pub(in crate::upstream) fn line_by(
        &mut self,
        name: &HeaderName,
        write: impl FnOnce(&mut Vec<u8>) -> bool,
    ) {
        let start = self.place();
        begin_line(&mut self.bytes, name);
        if write(&mut self.bytes) {
            self.bytes.extend_from_slice(b"\r\n");
        } else {
            self.take_back(start);
        }
    }

    /// Adds a value to the line that was added last.
    pub(in crate::upstream) fn join(&mut self, value: &[u8]) {
        self.bytes.truncate(self.bytes.len() - b"\r\n".len());
        self.bytes.push(b',');
        self.bytes.extend_from_slice(value);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// Where the next line begins.
    pub(in crate::upstream) fn place(&self) -> usize {
        self.bytes.len()
    }

    /// Takes all lines from there on out again.
    pub(in crate::upstream) fn take_back(&mut self, place: usize) {
        self.bytes.truncate(place);
    }

    /// How long the body is; `None`: it is chunked.
    pub(in crate::upstream) fn set_length(&mut self, length: Option<u64>) {
        self.length = length;
    }

    /// From here on lines concern the connection.
    pub(in crate::upstream) fn begin_hop(&mut self) {
        self.hop = self.bytes.len();
    }

    /// What is sent.
    #[cfg(test)]
    pub(in crate::upstream) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Ends the head.
    pub(in crate::upstream) fn end(&mut self) {
        self.bytes.extend_from_slice(b"\r\n");
    }
}

/// Appends a line.
pub(in crate::upstream) fn line(text: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    begin_line(text, name);
    text.extend_from_slice(value);
    text.extend_from_slice(b"\r\n");
}

fn begin_line(text: &mut Vec<u8>, name: &HeaderName) {
    // Names have no case, but old servers compare letters, and so is how most programs write them.
    let (name, start) = (name.as_str().as_bytes(), text.len());
    text.extend_from_slice(name);
    let mut before = b'-';
    for (byte, of_name) in text.iter_mut().skip(start).zip(name) {
        // Without a way that depends on the letter.
        *byte ^= u8::from(before == b'-' && byte.is_ascii_lowercase()) << 5;
        before = *of_name;
    }
    text.extend_from_slice(b": ");
}
