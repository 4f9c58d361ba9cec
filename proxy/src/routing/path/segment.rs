//! What readers make of the segments of a path: which of them some take for `..`, and which for nothing.

/// The segments after the first slash, without the empty one after a trailing slash. A decoded backslash ends one too, as it
/// does to some.
pub(super) fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let path = path.strip_suffix(b"/").unwrap_or(path);
    path.split(|&byte| matches!(byte, b'/' | b'\\'))
}

/// What is left of a segment for a reader who drops its parameters, ends it at a decoded mark, and drops blanks.
fn bare(segment: &[u8]) -> String {
    let head = segment.split(|byte| matches!(byte, b';' | b'#' | b'?')).next().unwrap_or(segment);
    String::from_utf8_lossy(head).chars().filter(|c| !is_blank(*c)).collect()
}

/// Whether some take a segment for `..`.
pub(super) fn is_parent_to_some(segment: &[u8]) -> bool {
    bare(segment) == ".."
}

/// Whether a segment vanishes for some: it is empty or `.`, or dots that are no name once the rest is dropped.
pub(super) fn is_nothing_to_some(segment: &[u8]) -> bool {
    let bare = bare(segment);
    is_dots(&bare) && (bare.len() < 2 || bare.len() < segment.len())
}

pub(super) fn is_blank(character: char) -> bool {
    character.is_whitespace() || character == '\u{feff}'
}

fn is_dots(name: &str) -> bool {
    name.bytes().all(|byte| byte == b'.')
}

/// Some file systems drop dots behind a name.
pub(super) fn without_dots(name: &str) -> &str {
    if is_dots(name) { name } else { name.trim_end_matches('.') }
}

pub(super) fn each_segment(path: &str, change: impl Fn(&str) -> &str) -> String {
    path.split('/').map(change).collect::<Vec<_>>().join("/")
}
