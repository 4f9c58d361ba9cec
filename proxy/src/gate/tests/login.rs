//! Logins as far as they go without asking the provider.

use super::proxy::{Answer, Proxy, cookie, session};
use crate::clock::{Clock as _, SystemClock};
use crate::server::tests::support::eventually;
use crate::session::{Session, Token};
use jiff::SignedDuration;
use std::io::{Read as _, Write as _};
use std::time::Duration;
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
    eventually("the login is too old", || SystemClock.now().duration_since(begun).as_secs() > 1);
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
fn a_return_path_that_was_changed_on_the_way_is_not_followed() {
    let proxy = Proxy::start(&PLAIN);
    for other in ["/elsewhere", "/after?x#", ""] {
        let (state, cookie) = start(&proxy, &[]);
        let hash = state.split_once(':').expect("a target").0;
        let answer = come_back(&proxy, &format!("{hash}:{other}"), &cookie);
        assert_eq!(answer.status, 403, "{other}: {answer:?}");
        assert!(answer.body.contains("was changed on the way"), "{other}: {answer:?}");
        assert!(!answer.body.contains("elsewhere"), "{answer:?}");
        assert_eq!(come_back(&proxy, &state, &cookie).status, 403, "it is used up: {other}");
    }
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
                "/oauth2/callback?error={error}&error_description=Call%20us%20now&error_uri=https://evil.example{state}"
            );
            let declined = proxy.get(&target, &[]);
            assert_eq!(declined.status, 403, "{target}");
            assert!(declined.body.contains("did not let you sign in."), "{declined:?}");
            for word in ["access_denied", "locked", "<b>", "us now", "evil"] {
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

/// Signs out and gives the location, and the cookie by which the browser remembers it.
fn sign_out(proxy: &Proxy, query: &str, cookie: &str) -> (Url, String) {
    let answer = proxy.get(&format!("/oauth2/sign_out?{query}"), &[("Cookie", cookie)]);
    assert_eq!(answer.status, 302, "{answer:?}");
    let lines = answer.all("set-cookie");
    assert!(lines.iter().any(|line| line.starts_with("_oauth2_proxy=;")), "{answer:?}");
    let line = lines.into_iter().find(|line| line.starts_with("_oauth2_proxy_sign_out="));
    let line = line.expect("a cookie").to_owned();
    assert!(line.contains("; Max-Age=900; HttpOnly") && line.contains("SameSite=Lax"), "{line}");
    let pair = line.split(';').next().expect("a pair").to_owned();
    (Url::parse(answer.header("location")).expect("a URL"), pair)
}

fn parameter(url: &Url, name: &str) -> String {
    let values: Vec<String> = url
        .query_pairs()
        .filter(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
        .collect();
    assert_eq!(values.len(), 1, "{name}: {url}");
    values.concat()
}

#[test]
fn a_sign_out_at_the_provider_comes_back_to_the_browser_that_began_it() {
    let proxy = configured(&serde_json::json!({"rpInitiatedLogout": true}));
    let mut states = Vec::new();
    for (query, target) in
        [("", ""), ("rd=%2Fbye%3Fa%3Db", "/bye?a=b"), ("rd=https%3A%2F%2Fevil.example", "")]
    {
        let (url, remembered) = sign_out(&proxy, query, &cookie(&session()));
        assert_eq!(url.path(), "/end");
        assert_eq!(parameter(&url, "client_id"), "app-7");
        assert!(parameter(&url, "id_token_hint").starts_with("eyJ"));
        let back = parameter(&url, "post_logout_redirect_uri");
        assert_eq!(back, "http://app.vectors.example/oauth2/signed_out", "one for all targets");
        let state = parameter(&url, "state");
        assert!(!remembered.contains(&state) && !states.contains(&state), "{state}");
        let landing = format!("/oauth2/signed_out?state={state}");
        let answer = proxy.get(&landing, &[("Cookie", &remembered)]);
        let cleared = answer.header("set-cookie");
        assert!(cleared.starts_with("_oauth2_proxy_sign_out=; "), "{answer:?}");
        assert!(answer.header("cache-control").contains("no-store"), "{answer:?}");
        if target.is_empty() {
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(answer.body.contains("You are signed out here and at"), "{answer:?}");
        } else {
            assert_eq!((answer.status, answer.header("location")), (302, target), "{answer:?}");
        }
        states.push(state);
    }
}

#[test]
fn whatever_comes_back_from_a_sign_out_is_a_page_and_ends_nothing() {
    let proxy = configured(&serde_json::json!({"rpInitiatedLogout": true}));
    let (url, remembered) = sign_out(&proxy, "rd=%2Fbye", &cookie(&session()));
    let (other, _) = sign_out(&proxy, "rd=%2Fbye", &cookie(&session()));
    let (state, other) = (parameter(&url, "state"), parameter(&other, "state"));
    let session = cookie(&session());
    for (query, cookie) in [
        (format!("state={state}"), String::new()),
        (format!("state={state}"), "_oauth2_proxy_sign_out=x".to_owned()),
        (format!("state={state}"), remembered.replace("_sign_out=", "_csrf=")),
        (format!("state={other}"), remembered.clone()),
        (format!("state={other}&state={state}"), remembered.clone()),
        ("state=".to_owned(), remembered.clone()),
        ("state=%zz".to_owned(), remembered.clone()),
        ("rd=https%3A%2F%2Fevil.example".to_owned(), remembered.clone()),
        (String::new(), remembered.clone()),
    ] {
        let cookies = format!("{session}; {cookie}");
        for method in ["GET", "POST"] {
            let target = format!("/oauth2/signed_out?{query}");
            let answer = proxy.send(method, &target, &[("Cookie", &cookies)], "");
            assert_eq!(answer.status, 200, "{query}: {answer:?}");
            assert!(answer.body.contains("You may still be signed in"), "{query}: {answer:?}");
            assert!(answer.body.contains("action=\"/oauth2/sign_out\""), "{answer:?}");
            assert!(answer.all("set-cookie").is_empty(), "{query}: {answer:?}");
            assert!(!answer.body.contains("evil"), "{answer:?}");
        }
    }
    let late = proxy.get(&format!("/oauth2/signed_out?state={state}"), &[("Cookie", &remembered)]);
    assert_eq!((late.status, late.header("location")), (302, "/bye"), "that hurt nothing");
}

#[test]
fn without_a_session_or_without_the_option_a_sign_out_asks_nothing_of_the_provider() {
    let asking = configured(&serde_json::json!({"rpInitiatedLogout": true}));
    let silent = configured(&serde_json::json!({}));
    for answer in [
        asking.get("/oauth2/sign_out?rd=%2Fbye", &[]),
        silent.get("/oauth2/sign_out?rd=%2Fbye", &[("Cookie", &cookie(&session()))]),
    ] {
        assert_eq!((answer.status, answer.header("location")), (302, "/bye"), "{answer:?}");
        let lines = answer.all("set-cookie");
        assert!(lines.iter().all(|line| !line.contains("sign_out")), "{answer:?}");
    }
}

#[test]
fn past_the_grace_a_page_says_when_to_come_again_and_the_session_stays() {
    let due = Session {
        created_at: SystemClock.now() - SignedDuration::from_mins(2),
        refresh_token: Some(Token::new("r")),
        ..session()
    };
    let cookie = cookie(&due);
    let ask = |grace: &str| {
        let proxy = Proxy::start(
            &[&PLAIN[..], &["--cookie-refresh=1m", &format!("--refresh-grace={grace}")]].concat(),
        );
        // The first answer of the provider, or the want of one, may be still to come.
        proxy.get("/x", &[("Cookie", &cookie)])
    };
    for grace in ["0s", "30s"] {
        let answer = ask(grace);
        assert_eq!(answer.status, 503, "{grace}: {answer:?}");
        let seconds: u64 = answer.header("retry-after").parse().expect("a number");
        assert!((1..=60).contains(&seconds), "{answer:?}");
        assert!(answer.body.contains("You are still signed in"), "{answer:?}");
        assert!(answer.all("set-cookie").is_empty(), "{answer:?}");
        assert!(answer.header("cache-control").contains("no-store"), "{answer:?}");
    }
    assert_eq!(ask("1h").status, 200);
}

#[test]
fn another_site_may_begin_a_login_and_say_for_whom_and_for_what() {
    let proxy = configured(&serde_json::json!({"loginParameters": [
        {"name": "login_hint", "allow": [{"pattern": "@corp\\.example$"}]},
        {"name": "kc_idp_hint", "values": ["staff"]},
        {"name": "prompt", "values": ["login"], "allow": [{"value": "none"}]},
    ]}));
    let begin = |query: &str| {
        let answer = proxy.get(&format!("/oauth2/start?{query}"), &[]);
        assert_eq!(answer.status, 302, "{query}: {answer:?}");
        let url = Url::parse(answer.header("location")).expect("a URL");
        let value = |name: &str| {
            let values = url.query_pairs().filter(|(key, _)| key == name);
            values.map(|(_, value)| value.into_owned()).collect::<Vec<_>>().join(" ")
        };
        let state = value("state");
        let target = state.split_once(':').expect("a target").1.to_owned();
        ([value("login_hint"), value("kc_idp_hint"), value("prompt")].join("|"), target)
    };
    let iss = "iss=http%3A%2F%2F127.0.0.1%3A1";
    for (query, parameters, target) in [
        ("", "|staff|login", "/"),
        ("login_hint=ann%40corp.example", "ann@corp.example|staff|login", "/"),
        ("login_hint=ann%40evil.example&kc_idp_hint=evil&prompt=none", "|staff|none", "/"),
        (
            "prompt=select_account&login_hint=x%40corp.example",
            "x@corp.example|staff|select_account",
            "/",
        ),
        (
            "target_link_uri=http%3A%2F%2Fapp.vectors.example%2Fdeep%3Fa%3Db%23c",
            "|staff|login",
            "/deep?a=b#c",
        ),
        ("target_link_uri=https%3A%2F%2Fapp.vectors.example%2Fdeep", "|staff|login", "/deep"),
        ("target_link_uri=%2Fdeep", "|staff|login", "/deep"),
        ("target_link_uri=%2Fdeep&rd=%2Ffirst", "|staff|login", "/first"),
        ("target_link_uri=%2Fdeep&rd=https%3A%2F%2Fevil.example%2F", "|staff|login", "/deep"),
        ("target_link_uri=https%3A%2F%2Fevil.example%2Fdeep", "|staff|login", "/"),
        (
            "target_link_uri=https%3A%2F%2Fapp.vectors.example%40evil.example%2F",
            "|staff|login",
            "/",
        ),
        ("target_link_uri=http%3A%2F%2Fapp.vectors.example%3A8080%2Fdeep", "|staff|login", "/"),
        ("target_link_uri=http%3A%2F%2Fapp.vectors.example%2F%2Fevil.example", "|staff|login", "/"),
        ("target_link_uri=javascript%3Aalert(1)", "|staff|login", "/"),
        (
            "target_link_uri=http%3A%2F%2Fapp.vectors.example%2Foauth2%2Fsign_out",
            "|staff|login",
            "/",
        ),
    ] {
        let expected = (parameters.to_owned(), target.to_owned());
        assert_eq!(begin(query), expected, "{query}");
        assert_eq!(begin(&format!("{iss}&{query}")), expected, "{query}");
    }
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let body = "login_hint=ann%40corp.example&iss=http%3A%2F%2F127.0.0.1%3A1";
    let answer = proxy.send("POST", "/oauth2/start", &form, body);
    assert_eq!(answer.status, 302, "{answer:?}");
    assert!(answer.header("location").contains("login_hint=ann%40corp.example"), "{answer:?}");
}

#[test]
fn a_login_that_is_meant_for_another_issuer_is_not_begun() {
    let proxy = Proxy::start(&PLAIN);
    for issuer in ["", "https://evil.example", "http://127.0.0.1:1/", "HTTP://127.0.0.1:1"] {
        let issuer: String = url::form_urlencoded::byte_serialize(issuer.as_bytes()).collect();
        let ours = "iss=http%3A%2F%2F127.0.0.1%3A1";
        for query in [format!("iss={issuer}"), format!("{ours}&iss={issuer}")] {
            let answer = proxy.get(&format!("/oauth2/start?{query}"), &[]);
            assert_eq!(answer.status, 400, "{query}: {answer:?}");
            assert!(answer.body.contains("another identity provider (iss)"), "{answer:?}");
            assert!(!answer.body.contains("evil"), "{answer:?}");
            assert!(answer.all("set-cookie").is_empty(), "{answer:?}");
        }
        let direct = Proxy::start(&[&PLAIN[..], &["--skip-provider-button"]].concat());
        assert_eq!(direct.get(&format!("/oauth2/sign_in?iss={issuer}"), &[]).status, 400);
        let application = direct.get(&format!("/x?iss={issuer}&login_hint=a"), &[]);
        assert_eq!(application.status, 302, "that is the application's: {application:?}");
    }
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

/// A proxy with a generated configuration, whose provider has `more`. Bodies get 400 ms.
fn configured(more: &serde_json::Value) -> Proxy {
    let mut files =
        ["config", "secret", "key"].map(|_| tempfile::NamedTempFile::new().expect("a file"));
    let [config, secret, key] = &mut files;
    secret.write_all(b"s").expect("a secret");
    key.write_all(super::proxy::SECRET.as_bytes()).expect("a key");
    let mut settings = serde_json::json!({
        "version": "v1",
        "listeners": {"http": {"address": "127.0.0.1:0"}},
        "providers": [{
            "id": "oidc=app-7", "clientId": "app-7", "clientSecret": {"file": secret.path()},
            "issuerUrl": "http://127.0.0.1:1", "skipDiscovery": true, "endpoints": {
                "authorization": "http://127.0.0.1:1/login", "token": "http://127.0.0.1:1/token",
                "jwks": "http://127.0.0.1:1/keys", "endSession": "http://127.0.0.1:1/end"
            }
        }],
        "session": {"keys": [{"file": key.path()}], "cookie": {"secure": false}},
        "access": {"emailDomains": ["*"]},
        "limits": {"headerTimeout": "400ms"}
    });
    for (name, value) in more.as_object().expect("members") {
        settings["providers"][0][name] = value.clone();
    }
    config.write_all(settings.to_string().as_bytes()).expect("a configuration");
    let file = format!("--generated-config={}", config.path().display());
    Proxy::try_start_with(&[file]).expect("it starts")
}

#[test]
fn a_sign_out_right_after_the_start_waits_for_what_the_provider_says_of_itself() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let issuer = format!("http://{}", listener.local_addr().expect("an address"));
    let document = serde_json::json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/login"),
        "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
        "end_session_endpoint": format!("{issuer}/bye"), "response_types_supported": ["code"],
        "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"],
    });
    let proxy = configured(&serde_json::json!({
        "rpInitiatedLogout": true, "issuerUrl": issuer, "skipDiscovery": false, "endpoints": {},
    }));
    let (mut discovery, _) = listener.accept().expect("it asks");
    let mut client = proxy.connect();
    let cookie = cookie(&session());
    let head = format!(
        "GET /oauth2/sign_out HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
    );
    client.write_all(head.as_bytes()).expect("it reads");
    client.set_read_timeout(Some(Duration::from_millis(200))).expect("a time limit");
    assert!(client.read(&mut [0]).is_err(), "it waits");
    let text = document.to_string();
    let length = text.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{text}"
    );
    discovery.write_all(answer.as_bytes()).expect("it reads");
    client.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("it answers");
    assert!(answer.contains(&format!("Location: {issuer}/bye?")), "{answer}");
}

#[test]
fn a_form_that_does_not_arrive_is_given_up_and_the_connection_closed() {
    let proxy = configured(&serde_json::json!({}));
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
