//! The listing of a folder that has no `index.html`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use std::fmt::Write;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Most entries shown: what a person can look through, and far below what hurts.
const MAX: usize = 10_000;

/// All else is encoded, the colon too, so that a name is never taken for a scheme.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// HTML with a link for each entry, sorted by name; folders end with a slash. Blocks.
pub(super) fn listing(folder: &Path) -> io::Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)?.take(MAX) {
        let entry = entry?;
        let mut name = entry.file_name().as_bytes().to_vec();
        if entry.file_type()?.is_dir() {
            name.push(b'/');
        }
        names.push(name);
    }
    names.sort_unstable();
    let mut html = String::from(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n",
    );
    for name in names {
        let (stem, slash) =
            name.strip_suffix(b"/").map_or((name.as_slice(), ""), |stem| (stem, "/"));
        let _ = write!(html, "<a href=\"{}{slash}\">", percent_encode(stem, KEPT));
        escape(&String::from_utf8_lossy(stem), &mut html);
        let _ = writeln!(html, "{slash}</a>");
    }
    html.push_str("</pre>\n");
    Ok(html)
}

fn escape(text: &str, html: &mut String) {
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&#34;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
}
