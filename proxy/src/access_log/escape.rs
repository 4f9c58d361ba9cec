//! Writing text that a client chose into a line that only we may shape.

use std::fmt::Write as _;
use std::io::Write as _;

/// To the end even after a byte that is not: without a way out the loop takes many bytes at once.
fn all(text: &[u8], is: impl Fn(u8) -> bool) -> bool {
    text.iter().fold(true, |all, byte| all & is(*byte))
}

/// Stands for itself between double quotes.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')
}

/// Appends `text` in double quotes, escaped as Go's `strconv.Quote` does.
pub(super) fn quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    if all(text, is_plain) {
        out.extend_from_slice(text);
    } else {
        for chunk in text.utf8_chunks() {
            chunk.valid().chars().for_each(|c| quoted_char(out, c));
            for byte in chunk.invalid() {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out.push(b'"');
}

fn quoted_char(out: &mut Vec<u8>, c: char) {
    match c {
        '"' | '\\' => out.extend([b'\\', c as u8]),
        '\u{7}' => out.extend_from_slice(b"\\a"),
        '\u{8}' => out.extend_from_slice(b"\\b"),
        '\u{c}' => out.extend_from_slice(b"\\f"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\u{b}' => out.extend_from_slice(b"\\v"),
        _ => printable(out, c),
    }
}

fn printable(out: &mut Vec<u8>, c: char) {
    let code = c as u32;
    let _ = match c {
        ' '..='~' => {
            out.push(c as u8);
            Ok(())
        }
        _ if c.is_ascii() => write!(out, "\\x{code:02x}"),
        // What Rust would escape is what a terminal might act on: controls, format characters, odd spaces, unassigned.
        _ if c.is_whitespace() || c.escape_debug().len() > 1 => match code {
            0..0x1_0000 => write!(out, "\\u{code:04x}"),
            _ => write!(out, "\\U{code:08x}"),
        },
        _ => out.write_all(c.encode_utf8(&mut [0; 4]).as_bytes()),
    };
}

/// Appends a field of a text line that has no quotes: what could end the field or the line is escaped.
pub(super) fn bare(out: &mut Vec<u8>, text: &[u8]) {
    if all(text, |byte| matches!(byte, b'!'..=b'~') && byte != b'\\') {
        out.extend_from_slice(text);
        return;
    }
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                ' ' => out.extend_from_slice(b"\\x20"),
                '"' => out.push(b'"'),
                _ => quoted_char(out, c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
}

/// Appends a JSON string (RFC 8259 section 7). Bytes that are no UTF-8 become U+FFFD.
pub(super) fn json(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    if all(text, is_plain) {
        out.extend_from_slice(text);
    } else {
        let mut escaped = String::with_capacity(text.len() + 8);
        for c in String::from_utf8_lossy(text).chars() {
            match c {
                '"' | '\\' => escaped.extend(['\\', c]),
                ' '..='~' => escaped.push(c),
                _ if c.is_ascii() || c.is_whitespace() || c.escape_debug().len() > 1 => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        let _ = write!(escaped, "\\u{unit:04x}");
                    }
                }
                _ => escaped.push(c),
            }
        }
        out.extend_from_slice(escaped.as_bytes());
    }
    out.push(b'"');
}
