//! Forms that texts of several sections share.

use url::Url;

/// A token of RFC 9110 section 5.6.2: what a header name, a method and a cookie name are made of.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// An absolute `http` or `https` URL with a host and without user information.
pub(super) fn web_url(text: &str) -> Result<Url, String> {
    let shown = shown(text);
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(format!("{shown} is not a URL: it holds a blank or a control character"));
    }
    if !escapes_are_whole(text) {
        return Err(format!("{shown} is not a URL: two hexadecimal digits follow a %"));
    }
    let url = Url::parse(text).map_err(|error| format!("{shown} is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!(
            "{shown} has the scheme {}, which is neither http nor https",
            url.scheme()
        ));
    }
    // Browsers find a host in `https:///example.com` and `https:/example.com`, and so does the parser. Nobody else does.
    let written = text.split_once("://").is_some_and(|(_, rest)| !rest.starts_with(['/', '\\']));
    if !written || url.host_str().is_none_or(str::is_empty) {
        return Err(format!("{shown} has no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL holds a user or password: leave them out".to_owned());
    }
    Ok(url)
}

/// A URL as a message repeats it: not if it may hold a password, which is in the way of reading it at times.
fn shown(text: &str) -> String {
    if text.contains('@') { "a URL with an @".to_owned() } else { format!("{text:?}") }
}

/// Whether two hexadecimal digits follow each `%`: what one reader leaves alone otherwise, another decodes.
#[must_use]
pub fn escapes_are_whole(text: &str) -> bool {
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

/// Whether clients send a path as it stands here (RFC 3986 section 3.3): own endpoints are compared with what they send.
pub(super) fn is_sendable(path: &str) -> bool {
    path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&b))
}

/// A bare host name, as domains are compared: ASCII letters, digits, `-`, `_` and dots, no empty label.
pub(super) fn is_domain(text: &str) -> bool {
    !text.is_empty()
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_in_no_message() {
        for text in [
            "http://me:hunter2@app",
            "http://me:hun%ter2@app",
            "http://me:hun ter2@app",
            "http://me:hun/ter2@app",
            "ftp://me:hunter2@app",
        ] {
            let message = web_url(text).unwrap_err();
            assert!(!message.contains("ter2"), "{message}");
        }
        assert!(web_url("ftp://app").unwrap_err().contains("ftp://app"));
    }

    #[test]
    fn a_host_is_behind_two_slashes() {
        assert!(web_url("https://app/x").is_ok() && web_url("HTTPS://app").is_ok());
        for text in ["https:///app", "https:/app", "https:app", r"https:\\app", r"https://\app"] {
            assert!(web_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_of_our_own_is_what_a_client_can_send() {
        assert!(is_sendable("/oauth2") && is_sendable("/a/b:c@d") && is_sendable("/a%20b"));
        assert!(!is_sendable("/a b") && !is_sendable("/\u{e9}") && !is_sendable("/{a}"));
    }
}
