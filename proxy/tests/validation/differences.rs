//! Where the verdict differs on purpose, with the reason.

use std::collections::BTreeMap;

const AT_ONCE: &str =
    "what would fail at the start or at the first request is refused by --config-test too";
const LINE_BREAK: &str = "one line break at the end of a secret file is not part of the secret";
const COMES_UP: &str =
    "the proxy starts while the other side is down, and says so in readiness and status";
const NO_LISTENER: &str = "a proxy that serves nothing and ends with success hides a mistake";

/// Names of recorded configurations and why ours is another verdict.
pub(super) fn reasons() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([
        ("cookie_csrf_samesite is not validated.", AT_ONCE),
        ("An unknown code challenge method is not validated.", AT_ONCE),
        ("An unknown session store type passes config-test.", AT_ONCE),
        ("A missing e-mail file passes config-test.", AT_ONCE),
        ("An e-mail file is enough as e-mail rule.", AT_ONCE),
        ("A static upstream with code 42 passes.", AT_ONCE),
        ("A unix upstream without a path.", AT_ONCE),
        (
            "A file upstream without a path.",
            "it would serve the folder in which the program was started",
        ),
        (
            "An empty client secret file is accepted.",
            "an empty secret is a mistake, not a public client",
        ),
        (
            "An empty e-mail domain element counts as a rule.",
            "an empty domain matches nobody: it is a mistake",
        ),
        ("A cookie secret file with a raw secret and a trailing newline.", LINE_BREAK),
        ("A cookie secret file with CRLF after a raw secret.", LINE_BREAK),
        ("Redis not reachable.", COMES_UP),
        ("Redis unix socket not present.", COMES_UP),
        ("Several problems: Redis unreachable and no e-mail rule.", COMES_UP),
        ("Start: oidc issuer not reachable.", COMES_UP),
        ("Start: no listener at all exits at once.", NO_LISTENER),
        ("Start: listener off with a dash.", NO_LISTENER),
        ("TOML file: A byte order mark.", "it changes no value"),
    ])
}
