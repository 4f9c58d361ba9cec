//! The words that people count and ban by.

use super::flood::{ask, session_in};
use super::{Volume, config, key_file};
use serde_json::json;

/// `[AuthFailure]` is written where somebody is turned away for who they are, and `[AuthSuccess]` where they sign in, as
/// oauth2-proxy does; what anybody can send with every request is neither.
#[test]
fn a_bad_cookie_and_a_sign_out_are_no_failure_and_no_success() {
    let (_folder, key) = key_file();
    let mut config = config(&key, "/ping");
    config["access"]["allowedGroups"] = json!(["staff"]);
    config["upstreams"] = json!([{"id": "a", "path": "/", "target": {"static": {"code": 200}}}]);
    let volume = Volume::new(&config);
    let proxy = volume.start(&[]);
    let ask = |path: &str, cookie: &str| ask(proxy.address("http"), path, cookie).0;
    let foreign = "Cookie: _oauth2_proxy=AAAA\r\n";
    let (staff, guest) = (session_in("staff"), session_in("guests"));
    assert_eq!((ask("/x", foreign), ask("/x", &staff)), (403, 200));
    assert_eq!((ask("/oauth2/auth", foreign), ask("/oauth2/sign_out", &staff)), (401, 302));
    assert_eq!(ask("/oauth2/callback?code=c&state=a:/b", ""), 403, "no login is under way");
    assert_eq!(ask("/x", &guest), 403);
    // The one word that is due comes last, and none has come before it.
    let mut lines = Vec::new();
    let line = loop {
        let line = proxy.line("");
        if line.contains("[Auth") {
            break line;
        }
        lines.push(line);
    };
    assert!(line.contains("[AuthFailure]") && line.contains("mara@app.example"), "{line}");
    for text in ["session cookie", "signed out"] {
        assert!(lines.iter().any(|line| line.contains(text)), "{text}: {lines:#?}");
    }
}
