//! The store with the cookie as its place, and what both kinds share. Redis: `redis/tests.rs`.

use super::*;
use crate::identity::Identity;
use crate::session::Token;
use http::{HeaderMap, HeaderValue, header::COOKIE};
use jiff::ToSpan;

pub(crate) fn now() -> Timestamp {
    "2026-11-23T20:00:00Z".parse().unwrap()
}

pub(crate) fn session() -> Session {
    Session {
        provider: "main".to_owned(),
        created_at: now(),
        expires_at: Some(now() + 5.minutes()),
        access_token: Some(Token::new("access-0")),
        id_token: Some(Token::new("id-0")),
        refresh_token: Some(Token::new("refresh-0")),
        nonce: Some([1; 32]),
        identity: Identity { user: "kim".to_owned(), ..Identity::default() },
    }
}

pub(crate) fn config(redis: Option<proxy_config::Redis>) -> proxy_config::Session {
    proxy_config::Session {
        store: redis.map_or(proxy_config::Store::Cookie, proxy_config::Store::Redis),
        keys: Vec::new(),
        cookie: proxy_config::Cookie::default(),
        lifetime: proxy_config::Duration::from_secs(3600),
        refresh: proxy_config::Duration::from_secs(60),
    }
}

pub(crate) fn redis_config() -> proxy_config::Redis {
    proxy_config::Redis {
        url: proxy_config::Secret::value(""),
        username: None,
        password: None,
        ca_file: None,
        insecure_skip_verify: false,
    }
}

pub(crate) fn parts(url: Option<&str>) -> Parts<'static> {
    Parts {
        ring: Arc::new(KeyRing::new(&["0123456789abcdef"]).unwrap()),
        providers: vec!["main".to_owned()],
        redis_url: url.map(|url| Zeroizing::new(url.to_owned())),
        redis_password: None,
        control: tokio::runtime::Handle::current(),
        previous: None,
    }
}

/// A store in the browser's cookie, or in the Redis at `url`.
pub(crate) fn store(url: Option<&str>) -> Store {
    Store::compile(&config(url.map(|_| redis_config())), parts(url)).unwrap()
}

/// What a browser sends back after it got `lines`.
pub(crate) fn browser(lines: &[SetCookie]) -> HeaderMap {
    let pairs: Vec<&str> = lines
        .iter()
        .map(SetCookie::as_str)
        .filter(|line| !line.contains("Max-Age=0"))
        .map(|line| line.split(';').next().unwrap())
        .collect();
    [(COOKIE, HeaderValue::from_str(&pairs.join("; ")).unwrap())].into_iter().collect()
}

pub(crate) async fn logged_in(store: &Store, session: &Session) -> HeaderMap {
    let none = HeaderMap::new();
    browser(&store.save(session, &RequestCookies::of(&none), "app.example").await.unwrap())
}

pub(crate) async fn load(store: &Store, headers: &HeaderMap) -> Result<Option<Found>, LoadError> {
    store.load(&RequestCookies::of(headers), now()).await
}

fn reason(result: Result<Option<Found>, LoadError>) -> String {
    match result {
        Err(LoadError::Invalid(reason)) => reason,
        Err(LoadError::Unavailable(reason)) => panic!("unavailable: {reason}"),
        Ok(found) => panic!("accepted: {:?}", found.map(|found| found.session)),
    }
}

#[tokio::test]
async fn a_session_is_found_in_the_cookie_that_was_set() {
    let store = store(None);
    let headers = logged_in(&store, &session()).await;
    let found = load(&store, &headers).await.unwrap().unwrap();
    assert_eq!(*found.session, session());
    assert!(found.ticket.is_none());
    assert!(store.ready().await.is_ok());
}

#[tokio::test]
async fn a_long_session_is_split_and_joined() {
    let store = store(None);
    let long = Session { id_token: Some(Token::new("t".repeat(9000))), ..session() };
    let headers = logged_in(&store, &long).await;
    assert!(RequestCookies::of(&headers).get("_oauth2_proxy_2").is_some());
    assert_eq!(*load(&store, &headers).await.unwrap().unwrap().session, long);
    let (lines, result) = store.clear(&RequestCookies::of(&headers), "app.example").await;
    assert_eq!((lines.len(), result), (4, Ok(())));
}

#[tokio::test]
async fn a_ticket_is_cleared_though_the_request_has_none() {
    let none = HeaderMap::new();
    for (url, cleared) in [(Some("redis://127.0.0.1:1"), 1), (None, 0)] {
        let (lines, result) = store(url).clear(&RequestCookies::of(&none), "h").await;
        assert_eq!((lines.len(), result), (cleared, Ok(())), "{url:?}");
    }
}

#[tokio::test]
async fn a_session_too_long_for_cookies_is_an_error_that_says_what_to_do() {
    let store = store(None);
    let long = Session { id_token: Some(Token::new("t".repeat(90_000))), ..session() };
    let none = HeaderMap::new();
    let error = store.save(&long, &RequestCookies::of(&none), "app.example").await.err().unwrap();
    assert!(error.to_string().contains("Redis"), "{error}");
}

#[tokio::test]
async fn no_cookie_is_no_session_and_any_other_is_refused() {
    let store = store(None);
    assert!(load(&store, &HeaderMap::new()).await.unwrap().is_none());
    let peer = include_str!("../../tests/golden/session-cookies.json");
    let peer: serde_json::Value = serde_json::from_str(peer).unwrap();
    let peer = peer["loaded"][0]["cookie_header"].as_str().unwrap();
    for value in ["_oauth2_proxy=", "_oauth2_proxy=junk", "_oauth2_proxy_0=junk", peer] {
        let headers = [(COOKIE, HeaderValue::from_str(value).unwrap())].into_iter().collect();
        assert!(!reason(load(&store, &headers).await).is_empty(), "{value}");
    }
}

#[tokio::test]
async fn a_session_past_its_end_or_of_an_unknown_provider_is_refused() {
    let store = store(None);
    let old = Session { created_at: now() - 1.hour(), ..session() };
    assert_eq!(reason(load(&store, &logged_in(&store, &old).await).await), "it has expired");
    let other = Session { provider: "gone".to_owned(), ..session() };
    assert!(reason(load(&store, &logged_in(&store, &other).await).await).contains("provider"));
}

#[tokio::test]
async fn a_session_cookie_is_no_ticket_and_not_valid_under_another_name() {
    let store = store(None);
    let headers = logged_in(&store, &session()).await;
    let mut config = config(None);
    config.cookie.name = "other".to_owned();
    let renamed = Store::compile(&config, parts(None)).unwrap();
    let pair = headers[COOKIE].to_str().unwrap().replace("_oauth2_proxy", "other");
    let headers = [(COOKIE, HeaderValue::from_str(&pair).unwrap())].into_iter().collect();
    assert!(reason(load(&renamed, &headers).await).contains("sealed for something else"));
}
