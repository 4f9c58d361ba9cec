//! The head of a request as it goes out, written line by line into the bytes that are sent.

use crate::upstream::headers::FORWARDED_FOR;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH,
    CONTENT_TYPE, COOKIE, HOST, IF_MODIFIED_SINCE, IF_NONE_MATCH, ORIGIN, REFERER,
    TRANSFER_ENCODING, UPGRADE_INSECURE_REQUESTS, USER_AGENT,
};
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

/// Names have no case, but old servers compare letters, and so is how most programs write them.
fn begin_line(text: &mut Vec<u8>, name: &HeaderName) {
    if let Some(usual) = usual(name) {
        text.extend_from_slice(usual);
        return;
    }
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

/// The beginning of a line that most requests have.
fn usual(name: &HeaderName) -> Option<&'static [u8]> {
    Some(match *name {
        ACCEPT => b"Accept: ",
        ACCEPT_ENCODING => b"Accept-Encoding: ",
        ACCEPT_LANGUAGE => b"Accept-Language: ",
        AUTHORIZATION => b"Authorization: ",
        CACHE_CONTROL => b"Cache-Control: ",
        CONTENT_LENGTH => b"Content-Length: ",
        CONTENT_TYPE => b"Content-Type: ",
        COOKIE => b"Cookie: ",
        HOST => b"Host: ",
        IF_MODIFIED_SINCE => b"If-Modified-Since: ",
        IF_NONE_MATCH => b"If-None-Match: ",
        ORIGIN => b"Origin: ",
        REFERER => b"Referer: ",
        TRANSFER_ENCODING => b"Transfer-Encoding: ",
        UPGRADE_INSECURE_REQUESTS => b"Upgrade-Insecure-Requests: ",
        USER_AGENT => b"User-Agent: ",
        _ if *name == FORWARDED_FOR => b"X-Forwarded-For: ",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_its_lines_in_their_order() {
        let target = "/a?b".parse().unwrap();
        let mut head = RequestHead::begin(&Method::GET, Some(&target), 0);
        head.line(&HOST, b"app.example");
        head.lines(b"X-Forwarded-User: u\r\n");
        head.line_by(&ACCEPT, |text| {
            text.extend_from_slice(b"*/*");
            true
        });
        head.line_by(&REFERER, |_| false);
        head.join(b"text/plain");
        let place = head.place();
        head.line(&ORIGIN, b"null");
        head.take_back(place);
        head.begin_hop();
        head.line(&CONTENT_LENGTH, b"0");
        head.end();
        let to_hop = "GET /a?b HTTP/1.1\r\nHost: app.example\r\nX-Forwarded-User: u\r\nAccept: */*,text/plain\r\n";
        assert_eq!(head.hop, to_hop.len());
        let whole = [to_hop.as_bytes(), b"Content-Length: 0\r\n\r\n"].concat();
        assert_eq!(head.as_bytes(), whole);
    }

    /// Each letter that begins a word is a capital.
    fn written(name: &str) -> String {
        let words = name.split('-').map(|word| {
            let (first, rest) = word.split_at(1);
            first.to_ascii_uppercase() + rest
        });
        words.collect::<Vec<_>>().join("-")
    }

    #[test]
    fn usual_names_are_written_as_others_are() {
        let others = ["x-a", "x-forwarded-user", "dnt", "te", "x_c-d"];
        let usual = [
            "accept",
            "accept-encoding",
            "accept-language",
            "authorization",
            "cache-control",
            "content-length",
            "content-type",
            "cookie",
            "host",
            "if-modified-since",
            "if-none-match",
            "origin",
            "referer",
            "transfer-encoding",
            "upgrade-insecure-requests",
            "user-agent",
            "x-forwarded-for",
        ];
        for name in usual {
            let name = HeaderName::from_static(name);
            assert!(super::usual(&name).is_some(), "{name}");
        }
        for name in usual.into_iter().chain(others) {
            let mut text = Vec::new();
            line(&mut text, &HeaderName::from_static(name), b"x");
            assert_eq!(String::from_utf8(text).unwrap(), format!("{}: x\r\n", written(name)));
        }
    }
}
