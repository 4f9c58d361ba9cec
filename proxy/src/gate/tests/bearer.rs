//! Requests with an `Authorization` header, as far as they go without asking the provider.

use super::proxy::{Proxy, cookie};
use super::{session, upstream};

const OK: &str = "--upstream=static://200";

fn status(proxy: &Proxy, target: &str, headers: &[(&str, &str)]) -> u16 {
    proxy.get(target, headers).status
}

#[test]
fn no_client_gets_a_bearer_token_past_a_proxy_that_takes_none() {
    let address = upstream(&[]);
    let proxy = Proxy::start(&[&format!("--upstream=http://{address}/")]);
    assert_eq!(status(&proxy, "/x", &[("Authorization", "Bearer eyA.eyB.c")]), 403);
}

#[test]
fn a_bad_bearer_token_is_refused_or_leads_to_the_login_as_configured() {
    let strict =
        Proxy::start(&[OK, "--skip-jwt-bearer-tokens", "--bearer-token-login-fallback=false"]);
    for header in ["Bearer x", "Basic dTpw", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJtYXJhIn0.c2ln"]
    {
        let answer = strict.get("/x", &[("Authorization", header)]);
        assert!(matches!(answer.status, 403 | 503), "{header}: {answer:?}");
        assert!(!answer.body.contains("<form"), "{header}: {answer:?}");
    }
    assert!(strict.get("/x", &[]).body.contains("<form"));
    let lenient = Proxy::start(&[OK, "--skip-jwt-bearer-tokens"]);
    assert!(lenient.get("/x", &[("Authorization", "Bearer x")]).body.contains("<form"));
}

#[test]
fn a_token_that_can_not_be_checked_now_does_not_hide_a_session() {
    let proxy = Proxy::start(&[OK, "--skip-jwt-bearer-tokens"]);
    let token = ("Authorization", "Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtYXJhIn0.c2ln");
    let cookie = cookie(&session());
    for target in ["/x", "/oauth2/auth", "/oauth2/userinfo"] {
        let answer = proxy.get(target, &[token, ("Cookie", &cookie)]);
        assert!(matches!(answer.status, 200 | 202), "{target}: {answer:?}");
        assert_eq!(status(&proxy, target, &[token]), 503, "{target}");
        assert_eq!(
            status(&proxy, target, &[token, ("Cookie", "_oauth2_proxy=bad")]),
            503,
            "{target}"
        );
    }
    let strict =
        Proxy::start(&[OK, "--skip-jwt-bearer-tokens", "--bearer-token-login-fallback=false"]);
    assert_eq!(status(&strict, "/x", &[token, ("Cookie", &cookie)]), 503);
}

#[test]
fn of_two_authorization_headers_none_is_checked() {
    let strict =
        Proxy::start(&[OK, "--skip-jwt-bearer-tokens", "--bearer-token-login-fallback=false"]);
    let token = ("Authorization", "Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtYXJhIn0.c2ln");
    let other = ("authorization", "Basic dTpw");
    // One is checked, which is not possible now.
    assert_eq!(status(&strict, "/x", &[token]), 503);
    let cookie = cookie(&session());
    for pair in [[token, token], [token, other], [other, token]] {
        assert_eq!(status(&strict, "/x", &pair), 403, "{pair:?}");
        assert_eq!(status(&strict, "/oauth2/auth", &pair), 403, "{pair:?}");
    }
    let lenient = Proxy::start(&[OK, "--skip-jwt-bearer-tokens"]);
    assert!(lenient.get("/x", &[token, token]).body.contains("<form"));
    assert_eq!(status(&lenient, "/x", &[token, token, ("Cookie", &cookie)]), 200);
}
