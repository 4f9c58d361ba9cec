//! Logins as far as they go without asking the provider.

use super::proxy::{Answer, Proxy, cookie, session};
use crate::clock::{Clock as _, SystemClock};
use std::io::Write as _;
use url::Url;

const PLAIN: [&str; 2] = ["--upstream=static://200", "--cookie-secure=false"];

fn start(proxy: &Proxy, headers: &[(&str, &str)]) -> (String, String) {
    let answer = proxy.get("/oauth2/start?rd=%2Fafter%3Fx", headers);
    assert_eq!(answer.status, 302, "{answer:?}");
    let url = Url::parse(answer.header("location")).expect("a URL");
    let state =
        url.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
    let cookie = answer
        .all("set-cookie")
        .last()
        .and_then(|line| line.split(';').next())
        .expect("a cookie")
        .to_owned();
    (state, cookie)
}

fn come_back(proxy: &Proxy, state: &str, cookie: &str) -> Answer {
    let state: String = url::form_urlencoded::byte_serialize(state.as_bytes()).collect();
    proxy.get(&format!("/oauth2/callback?code=c&state={state}"), &[("Cookie", cookie)])
}

fn assert_offers_a_new_login(answer: &Answer, sentence: &str) {
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(answer.body.contains(sentence), "{answer:?}");
    assert!(
        answer.body.contains("/oauth2/sign_in") && answer.body.contains("/after?x"),
        "{answer:?}"
    );
    assert!(answer.header("cache-control").contains("no-store"), "{answer:?}");
}

#[test]
fn a_callback_without_the_cookie_says_that_no_cookie_came() {
    let proxy = Proxy::start(&PLAIN);
    let (state, _) = start(&proxy, &[]);
    assert_offers_a_new_login(
        &come_back(&proxy, &state, "other=1"),
        "sent no cookie for this sign-in",
    );
}

#[test]
fn a_callback_of_another_login_says_so() {
    let proxy = Proxy::start(&PLAIN);
    let ((state, _), (_, cookie)) = (start(&proxy, &[]), start(&proxy, &[]));
    assert_offers_a_new_login(&come_back(&proxy, &state, &cookie), "overtaken by another one");
}

#[test]
fn a_cookie_under_other_keys_says_that_keys_changed() {
    let proxy = Proxy::start(&PLAIN);
    let other = Proxy::start(&[
        "--upstream=static://200",
        "--cookie-secure=false",
        "--cookie-secret=other#river%16*!",
    ]);
    let (state, cookie) = start(&other, &[]);
    assert_offers_a_new_login(&come_back(&proxy, &state, &cookie), "keys may have changed");
}

#[test]
fn a_login_that_took_too_long_says_so() {
    let proxy = Proxy::start(&[
        "--upstream=static://200",
        "--cookie-secure=false",
        "--cookie-csrf-expire=1s",
    ]);
    let (state, cookie) = start(&proxy, &[]);
    let begun = SystemClock.now();
    while SystemClock.now().duration_since(begun).as_secs() < 3 {
        std::thread::yield_now();
    }
    assert_offers_a_new_login(&come_back(&proxy, &state, &cookie), "took too long");
}

#[test]
fn a_state_is_used_up_by_its_first_callback_and_the_cookie_goes_with_it() {
    let proxy = Proxy::start(&PLAIN);
    let (state, cookie) = start(&proxy, &[]);
    let first = come_back(&proxy, &state, &cookie);
    assert_eq!(first.status, 503, "the provider is not there: {first:?}");
    let cleared = first.header("set-cookie");
    assert!(
        cleared.starts_with("_oauth2_proxy_csrf=;") && cleared.contains("Max-Age=0"),
        "{first:?}"
    );
    assert_offers_a_new_login(&come_back(&proxy, &state, &cookie), "already been completed once");
}

#[test]
fn a_callback_that_is_no_response_is_a_bad_request() {
    let proxy = Proxy::start(&PLAIN);
    for target in [
        "/oauth2/callback",
        "/oauth2/callback?code=1",
        "/oauth2/callback?code=1&state=x",
        "/oauth2/callback?code=%zz",
    ] {
        assert_eq!(proxy.get(target, &[]).status, 400, "{target}");
    }
    assert_eq!(proxy.get("/oauth2/callback?state=a:b&state=c:d&code=1", &[]).status, 400);
}

#[test]
fn a_refusal_that_belongs_to_no_login_is_shown_without_a_word_of_it() {
    let proxy = Proxy::start(&PLAIN);
    for state in ["", "&state=", "&state=x", "&state=a:/b"] {
        for error in ["access_denied", "Your%20account%20is%20locked", "x%3Cb%3E"] {
            let target = format!(
                "/oauth2/callback?error={error}&error_description=Call%200800&error_uri=https://evil.example{state}"
            );
            let declined = proxy.get(&target, &[]);
            assert_eq!(declined.status, 403, "{target}");
            assert!(declined.body.contains("did not let you sign in."), "{declined:?}");
            for word in ["access_denied", "locked", "<b>", "0800", "evil"] {
                assert!(!declined.body.contains(word), "{word}: {declined:?}");
            }
        }
    }
}

#[test]
fn another_account_is_asked_for_where_this_one_may_not_pass() {
    let proxy =
        Proxy::start(&["--upstream=static://200", "--cookie-secure=false", "--allowed-group=x"]);
    let cookie = cookie(&session());
    let denied = proxy.get("/x", &[("Cookie", &cookie)]);
    assert_eq!(denied.status, 403);
    assert!(denied.body.contains("Sign in with another account</button>"), "{denied:?}");
    let prompt = |query: &str| {
        let answer = proxy.get(&format!("/oauth2/start?rd=%2Fx{query}"), &[]);
        assert_eq!(answer.status, 302, "{answer:?}");
        let url = Url::parse(answer.header("location")).expect("a URL");
        url.query_pairs().find(|(name, _)| name == "prompt").map(|(_, value)| value.into_owned())
    };
    assert_eq!(prompt("&prompt=select_account").as_deref(), Some("select_account"));
    assert_eq!(prompt("&prompt=none"), None);
    assert_eq!(prompt(""), None);
}

#[test]
fn a_page_of_another_site_ends_no_session_without_being_left() {
    let proxy = Proxy::start(&PLAIN);
    let cookie = cookie(&session());
    for endpoint in ["sign_out", "sign_in"] {
        let ask = |fetch: &[(&str, &str)]| {
            let mut headers = vec![("Cookie", cookie.as_str())];
            headers.extend(fetch);
            let answer = proxy.get(&format!("/oauth2/{endpoint}"), &headers);
            let cleared = answer.header("set-cookie").starts_with("_oauth2_proxy=;");
            (answer.status, cleared)
        };
        let (cross, same) = (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-origin"));
        for dest in ["image", "iframe", "script", "empty", "style", ""] {
            assert_eq!(ask(&[cross, ("Sec-Fetch-Dest", dest)]), (403, false), "{endpoint} {dest}");
        }
        assert_eq!(ask(&[cross]), (403, false), "{endpoint}");
        let document = ("Sec-Fetch-Dest", "document");
        assert_eq!(ask(&[cross, document, document]), (403, false), "{endpoint}");
        let done = if endpoint == "sign_in" { 200 } else { 302 };
        for list in [&[cross, document][..], &[same, ("Sec-Fetch-Dest", "empty")], &[]] {
            assert_eq!(ask(list), (done, true), "{endpoint} {list:?}");
        }
    }
}

#[test]
fn a_callback_may_come_as_a_form() {
    let proxy = Proxy::start(&PLAIN);
    let (state, cookie) = start(&proxy, &[]);
    let state: String = url::form_urlencoded::byte_serialize(state.as_bytes()).collect();
    let headers =
        [("Cookie", cookie.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
    let body = format!("code=c&state={state}");
    for query in ["code=d", "state=x", "iss=&iss="] {
        let answer = proxy.send("POST", &format!("/oauth2/callback?{query}"), &headers, &body);
        assert_eq!(answer.status, 400, "twice: {answer:?}");
    }
    let answer = proxy.send("POST", "/oauth2/callback?more=1", &headers, &body);
    assert_eq!(answer.status, 503, "it got as far as the provider: {answer:?}");
}

#[test]
fn logins_in_several_tabs_have_cookies_of_their_own_up_to_the_limit() {
    let proxy = Proxy::start(&[
        "--upstream=static://200",
        "--cookie-csrf-per-request",
        "--cookie-csrf-per-request-limit=2",
    ]);
    let (state, one) = start(&proxy, &[]);
    assert!(
        one.starts_with(&format!("_oauth2_proxy_{}_csrf=", state.get(..8).expect("a hash"))),
        "{one}"
    );
    let (_, two) = start(&proxy, &[("Cookie", &one)]);
    let both = format!("{one}; {two}; _oauth2_proxy_garbage1_csrf=x");
    let third = proxy.get("/oauth2/start", &[("Cookie", &both)]);
    let cleared: Vec<&str> =
        third.all("set-cookie").into_iter().filter(|line| line.contains("Max-Age=0")).collect();
    assert_eq!(cleared.len(), 2, "{third:?}");
    assert!(cleared[0].starts_with("_oauth2_proxy_garbage1_csrf=;"), "{third:?}");
    assert_eq!(come_back(&proxy, &state, &both).status, 503);
}

#[test]
fn encode_state_wraps_hash_and_target() {
    let proxy = Proxy::start(&["--upstream=static://200", "--encode-state"]);
    let (state, cookie) = start(&proxy, &[]);
    assert!(!state.contains(':'), "{state}");
    assert_eq!(come_back(&proxy, &state, &cookie).status, 503);
    assert_eq!(come_back(&proxy, "a:/b", &cookie).status, 400);
}

#[test]
fn the_redirect_uri_follows_the_settings() {
    let uri = |flags: &[&str], headers: &[(&str, &str)]| {
        let proxy = Proxy::start(&[&["--upstream=static://200"], flags].concat());
        let answer = proxy.get("/oauth2/start", headers);
        let url = Url::parse(answer.header("location")).expect("a URL");
        url.query_pairs().find(|(name, _)| name == "redirect_uri").expect("one").1.into_owned()
    };
    let plain = "--cookie-secure=false";
    assert_eq!(uri(&[], &[]), "https://app.vectors.example/oauth2/callback");
    assert_eq!(uri(&[plain], &[]), "http://app.vectors.example/oauth2/callback");
    assert_eq!(uri(&["--redirect-url=https://x.example/back"], &[]), "https://x.example/back");
    let forwarded = [("X-Forwarded-Host", "f.example:8443"), ("X-Forwarded-Proto", "https")];
    assert_eq!(
        uri(&[plain, "--reverse-proxy"], &forwarded),
        "https://f.example:8443/oauth2/callback"
    );
    assert_eq!(uri(&[plain], &forwarded), "http://app.vectors.example/oauth2/callback");
}

#[test]
fn sign_out_gives_the_id_token_to_no_redirect_but_the_providers() {
    let proxy = Proxy::start(&["--upstream=static://200", "--whitelist-domain=evil.example"]);
    let cookie = cookie(&session());
    let answer = proxy.get(
        "/oauth2/sign_out?rd=https://evil.example/%3Ft%3D%7Bid_token%7D",
        &[("Cookie", &cookie)],
    );
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, "https://evil.example/?t={id_token}")
    );
    assert!(answer.header("set-cookie").starts_with("_oauth2_proxy=;"), "{answer:?}");
}

#[test]
fn a_form_that_does_not_arrive_is_given_up_and_the_connection_closed() {
    let mut files =
        ["config", "secret", "key"].map(|_| tempfile::NamedTempFile::new().expect("a file"));
    let [config, secret, key] = &mut files;
    secret.write_all(b"s").expect("a secret");
    key.write_all(super::proxy::SECRET.as_bytes()).expect("a key");
    let settings = serde_json::json!({
        "version": "v1",
        "listeners": {"http": {"address": "127.0.0.1:0"}},
        "providers": [{
            "id": "main", "clientId": "app", "clientSecret": {"file": secret.path()},
            "issuerUrl": "http://127.0.0.1:1"
        }],
        "session": {"keys": [{"file": key.path()}]},
        "access": {"emailDomains": ["*"]},
        "limits": {"headerTimeout": "400ms"}
    });
    config.write_all(settings.to_string().as_bytes()).expect("a configuration");
    let file = format!("--generated-config={}", config.path().display());
    let proxy = Proxy::try_start_with(&[file]).expect("it starts");
    for endpoint in ["sign_in", "start", "sign_out", "callback"] {
        let answer = proxy.raw(&format!(
            "POST /oauth2/{endpoint} HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: 60000\r\n\r\nrd=%2F"
        ));
        assert_eq!((answer.status, answer.header("connection")), (408, "close"), "{endpoint}");
    }
}

#[test]
fn a_configured_redirect_uri_is_sent_as_it_was_written() {
    for (configured, sent) in [
        ("https://App.example:443/a/../b", "https://App.example:443/a/../b"),
        ("https://x.example/", "https://x.example/"),
        ("https://X.example:443", "https://X.example:443/oauth2/callback"),
        ("https://x.example?a=b", "https://x.example/oauth2/callback?a=b"),
    ] {
        let flag = format!("--redirect-url={configured}");
        let proxy = Proxy::start(&["--upstream=static://200", &flag]);
        let answer = proxy.get("/oauth2/start", &[]);
        let url = Url::parse(answer.header("location")).expect("a URL");
        let uri = url.query_pairs().find(|(name, _)| name == "redirect_uri").expect("one").1;
        assert_eq!(uri, sent);
    }
}

#[test]
fn a_request_full_of_login_cookies_is_answered_with_a_bounded_number_of_lines() {
    let proxy = Proxy::start(&["--upstream=static://200", "--cookie-csrf-per-request"]);
    let cookies: Vec<String> = (0..3000).map(|n| format!("_oauth2_proxy_{n}_csrf=x")).collect();
    let answer = proxy.get("/oauth2/start", &[("Cookie", &cookies.join("; "))]);
    assert_eq!((answer.status, answer.all("set-cookie").len()), (302, 201));
}
