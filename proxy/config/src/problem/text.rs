//! Forms that texts of several sections share.

use url::Url;

/// A token of RFC 9110 section 5.6.2: what a header name, a method and a cookie name are made of.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// An absolute `http` or `https` URL with a host and without user information.
pub(super) fn web_url(text: &str) -> Result<Url, String> {
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(format!("{text:?} is not a URL: it holds a blank or a control character"));
    }
    if !escapes_are_whole(text) {
        return Err(format!("{text:?} is not a URL: two hexadecimal digits follow a %"));
    }
    let url = Url::parse(text).map_err(|error| format!("{text:?} is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!(
            "{text:?} has the scheme {}, which is neither http nor https",
            url.scheme()
        ));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(format!("{text:?} has no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL holds a user or password: leave them out".to_owned());
    }
    Ok(url)
}

fn escapes_are_whole(text: &str) -> bool {
    text.split('%')
        .skip(1)
        .all(|rest| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2)
}

/// A path as rules and routes compare it: absolute, printable, without query and fragment.
pub(super) fn path_problem(text: &str) -> Option<&'static str> {
    if !text.starts_with('/') {
        Some("a path starts with /")
    } else if text.contains(['?', '#', '\\', ';']) || text.chars().any(char::is_control) {
        Some("a path has no ? # ; \\ and no control characters")
    } else {
        None
    }
}

/// A bare host name, as domains are compared: ASCII letters, digits, `-`, `_` and dots, no empty label.
pub(super) fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}
