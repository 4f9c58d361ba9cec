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

pub(super) fn is_dots(name: &str) -> bool {
    name.bytes().all(|byte| byte == b'.')
}

/// A name without the blanks around it, which some drop, and the dots behind it, which some file systems drop.
pub(super) fn trimmed(name: &str) -> &str {
    name.trim_start_matches(is_blank).trim_end_matches(is_dropped)
}

/// Whether a name has blanks around it, or among the dots behind it.
pub(super) fn has_loose_blanks(name: &str) -> bool {
    name.starts_with(is_blank) || end(name).contains(is_blank)
}

/// Whether a name has dots behind it.
pub(super) fn has_loose_dots(name: &str) -> bool {
    end(name).contains('.')
}

/// What [`trimmed`] drops behind a name; nothing of one that is dots alone.
fn end(name: &str) -> &str {
    if is_dots(name) {
        return "";
    }
    name.get(name.trim_end_matches(is_dropped).len()..).unwrap_or_default()
}

fn is_dropped(character: char) -> bool {
    character == '.' || is_blank(character)
}

pub(super) fn each_segment(path: &str, change: impl Fn(&str) -> &str) -> String {
    path.split('/').map(change).collect::<Vec<_>>().join("/")
}
