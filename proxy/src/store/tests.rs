//! The store with the cookie as its place, and what both kinds share. Redis: `redis/tests.rs`.

use super::*;
use crate::identity::Identity;
use crate::session::{Binding, Fingerprint, SealError, Token, TokenKinds};
use http::{HeaderMap, HeaderValue, header::COOKIE};
use jiff::ToSpan;

const ISSUER: &str = "https://id.example";

pub(crate) fn now() -> Timestamp {
    "2026-11-23T20:00:00Z".parse().unwrap()
}

pub(crate) fn session() -> Session {
    Session {
        binding: Some(Binding { id: [5; 16], issuer: Fingerprint::of(ISSUER) }),
        expires_at: Some(now() + 5.minutes()),
        access_token: Some(Token::new("access-0")),
        id_token: Some(Token::new("id-0")),
        refresh_token: Some(Token::new("refresh-0")),
        nonce: Some([1; 32]),
        identity: Identity { user: "kim".to_owned(), ..Identity::default() },
        ..Session::new("main", now())
    }
}

pub(crate) fn config(redis: Option<proxy_config::Redis>) -> proxy_config::Session {
    proxy_config::Session {
        store: redis.map_or(proxy_config::Store::Cookie, proxy_config::Store::Redis),
        keys: Vec::new(),
        cookie: proxy_config::Cookie::default(),
        lifetime: proxy_config::Duration::from_secs(3600),
        absolute: proxy_config::Duration::ZERO,
        refresh: proxy_config::Duration::from_secs(60),
        format: proxy_config::SessionFormat::V2,
        refresh_grace: proxy_config::Duration::from_secs(3600),
        replicas: 1,
    }
}

/// A configuration that uses all tokens.
pub(crate) fn whole() -> proxy_config::Config {
    let text = include_str!("../../config/golden/smallest.json");
    let mut whole: proxy_config::Config = serde_json::from_str(text).unwrap();
    whole.session = config(None);
    whole.providers[0].id = "main".to_owned();
    whole.providers[0].issuer_url = ISSUER.to_owned();
    whole.request_headers = [proxy_config::Claim::AccessToken, proxy_config::Claim::IdToken]
        .map(|claim| proxy_config::HeaderRule {
            name: format!("X-{claim:?}"),
            values: vec![proxy_config::HeaderValue { claim, prefix: String::new() }],
        })
        .to_vec();
    whole
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

/// Those of a configuration.
fn vouchers(config: &proxy_config::Config) -> Vec<Voucher> {
    let voucher = |provider| Voucher::of(provider, crate::oidc::uses(provider, config));
    config.providers.iter().map(voucher).collect()
}

pub(crate) fn parts(url: Option<&str>) -> Parts<'static> {
    Parts {
        ring: Arc::new(KeyRing::new(&["0123456789abcdef"]).unwrap()),
        providers: vouchers(&whole()),
        needs: Needs::of(&whole()),
        redis_url: url.map(|url| Zeroizing::new(url.to_owned())),
        redis_password: None,
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

fn reason(result: Result<Option<Found>, LoadError>) -> Unfit {
    match result {
        Err(LoadError::Invalid(reason)) => reason,
        Err(error) => panic!("kept: {error}"),
        Ok(found) => panic!("accepted: {:?}", found.map(|found| found.session)),
    }
}

#[tokio::test]
async fn no_cookie_outlives_the_absolute_lifetime() {
    let none = HeaderMap::new();
    for (lifetime, absolute, since_login, expected) in [
        (3600, 0, 0, "; Max-Age=3600;"),
        (3600, 7200, 0, "; Max-Age=3600;"),
        (3600, 600, 0, "; Max-Age=600;"),
        (3600, 600, 500, "; Max-Age=100;"),
        (0, 600, 0, ""),
    ] {
        let mut config = config(None);
        config.lifetime = proxy_config::Duration::from_secs(lifetime);
        config.absolute = proxy_config::Duration::from_secs(absolute);
        let store = Store::compile(&config, parts(None)).unwrap();
        let mut session = session();
        session.login.at = now() - since_login.seconds();
        let lines = store.save(&session, &RequestCookies::of(&none), "h").await.unwrap();
        let line = lines.first().unwrap().as_str();
        assert!(line.contains(expected), "{line}");
        assert_eq!(line.contains("Max-Age"), lifetime > 0, "{line}");
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
        assert_eq!(
            reason(load(&store, &headers).await),
            Unfit::Sealed(SealError::Format),
            "{value}"
        );
    }
}

#[tokio::test]
async fn a_session_past_its_end_or_of_an_unknown_provider_is_refused() {
    let store = store(None);
    let old = Session { created_at: now() - 1.hour(), ..session() };
    assert_eq!(reason(load(&store, &logged_in(&store, &old).await).await), Unfit::Expired);
    let other = Session { provider: "gone".to_owned(), ..session() };
    assert_eq!(reason(load(&store, &logged_in(&store, &other).await).await), Unfit::NoProvider);
}

#[tokio::test]
async fn a_session_of_another_issuer_is_refused_and_one_of_the_first_format_is_not() {
    let store = store(None);
    let issuer = Fingerprint::of("https://other.example");
    let other = Session { binding: Some(Binding { id: [5; 16], issuer }), ..session() };
    let refused = reason(load(&store, &logged_in(&store, &other).await).await);
    assert_eq!(refused, Unfit::OtherIssuer);
    let old = Session { binding: None, ..session() };
    assert!(load(&store, &logged_in(&store, &old).await).await.unwrap().is_some());
}

/// With flags, sessions of the first format were named after the text on the button, if there was one.
#[tokio::test]
async fn only_a_session_of_the_first_format_may_be_named_after_the_button() {
    let mut config_of_flags = whole();
    config_of_flags.providers[0].name = Some("Our login".to_owned());
    let parts = Parts { providers: vouchers(&config_of_flags), ..parts(None) };
    let store = Store::compile(&config(None), parts).unwrap();
    let second = Session { provider: "Our login".to_owned(), ..session() };
    assert_eq!(reason(load(&store, &logged_in(&store, &second).await).await), Unfit::NoProvider);
    let first = Session { binding: None, ..second };
    assert!(load(&store, &logged_in(&store, &first).await).await.unwrap().is_some());
}

#[tokio::test]
async fn a_ticket_of_another_issuer_is_refused_without_asking_redis() {
    let store = store(Some("redis://127.0.0.1:1"));
    let issuer = Fingerprint::of("https://other.example");
    let other = Session { binding: Some(Binding { id: [5; 16], issuer }), ..session() };
    for (session, refused) in [(&other, true), (&session(), false)] {
        let ticket = Ticket::issue("_oauth2_proxy", session);
        let none = HeaderMap::new();
        let text = store.seal(session, Some(&ticket));
        let lines = store.cookie().set(&text, &RequestCookies::of(&none), "h", None).unwrap();
        let found = load(&store, &browser(&lines)).await;
        assert_eq!(matches!(&found, Err(LoadError::Invalid(Unfit::OtherTicket))), refused);
        assert_eq!(matches!(found, Err(LoadError::Unavailable(_))), !refused);
    }
}

#[tokio::test]
async fn a_session_written_without_what_is_needed_now_is_due_or_asks_for_a_new_login() {
    let mut slim = whole();
    slim.request_headers.clear();
    let compile = |config: &proxy_config::Config| {
        let (needs, providers) = (Needs::of(config), vouchers(config));
        Store::compile(&config.session, Parts { providers, needs, ..parts(None) }).unwrap()
    };
    let headers = logged_in(&compile(&slim), &session()).await;
    let found = load(&compile(&slim), &headers).await.unwrap().unwrap();
    assert!(found.session.access_token.is_none() && found.session.refresh_token.is_some());
    assert!(!compile(&slim).is_due(&found.session, now()));
    assert!(
        compile(&whole())
            .is_due(&load(&compile(&whole()), &headers).await.unwrap().unwrap().session, now())
    );
    let mut without_refresh = whole();
    without_refresh.session.refresh = proxy_config::Duration::ZERO;
    let why = reason(load(&compile(&without_refresh), &headers).await);
    assert_eq!(why, Unfit::Lacking);
}

/// Three providers of one site: the first signs people out, the second does not, the third has no ID tokens and sees by the
/// access token whether somebody may still pass.
#[tokio::test]
async fn a_session_keeps_what_its_own_provider_needs_and_nothing_for_another() {
    let mut config = whole();
    config.request_headers.clear();
    for (place, id) in ["leaving", "staying", "plain"].into_iter().enumerate() {
        config.providers.resize(place + 1, whole().providers.remove(0));
        config.providers[place].id = id.to_owned();
        config.providers[place].rp_initiated_logout = place == 0;
    }
    let mut providers = vouchers(&config);
    let unrefreshed = TokenKinds { access_token: true, ..TokenKinds::default() };
    providers[2] = Voucher::of(&config.providers[2], Uses { unrefreshed, ..Uses::default() });
    let parts = Parts { needs: Needs::of(&config), providers, ..parts(None) };
    let store = Store::compile(&config.session, parts).unwrap();
    for (place, refresh_token, kept) in [
        (0, Some(Token::new("refresh-0")), "-irn"),
        (1, Some(Token::new("refresh-0")), "--rn"),
        (1, None, "-i-n"),
        (2, Some(Token::new("refresh-0")), "----"),
        (2, None, "a---"),
    ] {
        let provider = config.providers[place].id.clone();
        let headers = logged_in(&store, &Session { provider, refresh_token, ..session() }).await;
        let found = load(&store, &headers).await.unwrap().unwrap();
        let Session { access_token, id_token, refresh_token, nonce, .. } = &*found.session;
        let there = [
            (access_token.is_some(), 'a'),
            (id_token.is_some(), 'i'),
            (refresh_token.is_some(), 'r'),
            (nonce.is_some(), 'n'),
        ];
        let there: String =
            there.map(|(is_there, letter)| if is_there { letter } else { '-' }).iter().collect();
        assert_eq!((found.provider, there.as_str()), (place, kept));
    }
}

#[test]
fn a_ticket_of_the_first_format_is_read_and_one_of_the_second_says_more() {
    use proxy_config::SessionFormat::{V1, V2};
    let ticket = Ticket::issue("n", &session());
    let (first, second) = (ticket.to_bytes(V1), ticket.to_bytes(V2));
    assert_eq!(first.len(), 48);
    let read = |bytes: &[u8]| Ticket::from_bytes("n", bytes).unwrap();
    assert_eq!(read(&first).issuer(), None);
    assert_eq!(read(&second).issuer(), Some(Fingerprint::of(ISSUER)));
    assert_eq!((read(&first).id(), read(&first).secret()), (ticket.id(), ticket.secret()));
    assert_eq!((read(&second).id(), read(&second).secret()), (ticket.id(), ticket.secret()));
    for end in 0..second.len() {
        let cut = Ticket::from_bytes("n", &second[..end]);
        assert!(cut.is_none() || end == 48, "{end}");
    }
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
    assert_eq!(reason(load(&renamed, &headers).await), Unfit::Sealed(SealError::Forged));
}

#[tokio::test]
async fn a_cookie_of_a_key_that_was_turned_out_is_no_forged_one() {
    let ring = Arc::new(KeyRing::new(&["fedcba9876543210"]).unwrap());
    let other = Store::compile(&config(None), Parts { ring, ..parts(None) }).unwrap();
    let headers = logged_in(&store(None), &session()).await;
    let refused = reason(load(&other, &headers).await);
    assert_eq!(refused, Unfit::Sealed(SealError::UnknownKey));
}
