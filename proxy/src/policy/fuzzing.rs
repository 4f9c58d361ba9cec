//! Where a browser may be sent, for [`crate::fuzzing`].

use super::{Whitelist, location};
use std::sync::LazyLock;
use url::Url;

const SELF: &str = "https://app.example/some/page";

/// A target that is allowed leads a browser to this origin or to a host on the list, as the WHATWG reads URLs, also in the
/// form in which it is sent.
pub(crate) fn redirect(bytes: &[u8]) {
    static LIST: LazyLock<Whitelist> = LazyLock::new(|| {
        Whitelist::new(&["listed.example", ".below.example:8443", "any.example:*"])
    });
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if !LIST.allows(text) {
        return;
    }
    let Ok(here) = Url::parse(SELF) else { return };
    for sent in [text.to_owned(), location(text)] {
        let Ok(url) = here.join(&sent) else { continue };
        let host = url.host_str().unwrap_or_default();
        let listed = host == "listed.example"
            || host == "below.example"
            || host.ends_with(".below.example")
            || host == "any.example";
        assert!(matches!(url.scheme(), "http" | "https"), "{sent:?} is no web address");
        assert!(listed || url.origin() == here.origin(), "{sent:?} leads to {host}");
    }
}
