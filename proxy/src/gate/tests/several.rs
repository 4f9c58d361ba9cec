//! A site with three clients at two issuers. The configuration does not allow more than one provider yet; everything behind it
//! is to be ready.

use crate::clock::SystemClock;
use crate::cookie::RequestCookies;
use crate::gate::handle;
use crate::identity::Identity;
use crate::metrics::{Event, Registry};
use crate::oidc::tests::hostile::{Hostile, Reply};
use crate::oidc::tests::signer::{Signer, rs256};
use crate::oidc::{Preferences, Provider};
use crate::server::tests::support::{Answer, Running, eventually};
use crate::session::{Binding, Fingerprint, KeyRing, Purpose, Session, Token, encode};
use crate::site::{Context, Site, SiteCell};
use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use proxy_config::{Config, Limits, Problems, Secret, SessionFormat};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::Arc;
use url::Url;
use url::form_urlencoded::byte_serialize;

/// `a` and `c` are clients of the first issuer, `b` of the second.
struct Several {
    first: Hostile,
    second: Hostile,
    cell: Arc<SiteCell>,
    server: Running,
    runtime: tokio::runtime::Runtime,
}

const REDIRECT: &str = "http://app.example/oauth2/callback";

fn config(first: &str, second: &str) -> Config {
    let provider = |id: &str, issuer: &str| json!({"id": id, "clientId": format!("app-{id}"), "issuerUrl": issuer, "rpInitiatedLogout": true});
    let mut config: Config = serde_json::from_value(json!({
        "version": "v1",
        "listeners": {"http": {"address": "127.0.0.1:0"}},
        "providers": [provider("a", first), provider("b", second), provider("c", first)],
        "session": {"keys": [], "refresh": "1h", "cookie": {"secure": false}},
        "access": {"emailDomains": ["*"], "bearer": {"loginFallback": false}},
        "upstreams": [{"id": "ok", "path": "/", "target": {"static": {"code": 200}}}],
        "http": {"whitelistDomains": ["127.0.0.1:*"]},
    }))
    .unwrap();
    config.session.keys = vec![Secret::value("!pearl#river%16*")];
    for provider in &mut config.providers {
        provider.client_secret = Some(Secret::value(format!("secret of {}", provider.id)));
    }
    config
}

impl Several {
    fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let (first, second) =
            runtime.block_on(async { (Hostile::start().await, Hostile::start().await) });
        second.set("/jwks", Reply::Json(200, Signer::stranger().jwks()));
        let context =
            Context::new(runtime.handle().clone(), Arc::new(SystemClock), &Registry::new());
        let config = config(&first.issuer, &second.issuer);
        let site = Site::compile_beside(Problems::default(), &config, &context, None);
        let cell = SiteCell::new(site.unwrap_or_else(|problems| panic!("{problems}")));
        let sites = Arc::clone(&cell);
        let server = Running::start(&Limits::default(), move |worker, peer, request| {
            handle(worker, Arc::new(sites.load()), peer, request)
        });
        // Who logs in before the keys are there has them fetched once more.
        eventually("the keys are asked for", || {
            [&first, &second].iter().all(|issuer| !issuer.requests("/jwks").is_empty())
        });
        let several = Self { first, second, cell, server, runtime };
        for place in 0..3 {
            several.begin(place, "/");
        }
        several
    }

    fn provider(&self, place: usize) -> Arc<Provider> {
        Arc::clone(self.cell.load().providers.at(place).unwrap())
    }

    /// Begins a login at this provider: the URL that the browser is sent to, and the cookie that it keeps.
    fn begin(&self, place: usize, target: &str) -> (Url, String) {
        let provider = self.provider(place);
        let state = |hash: &str| format!("{hash}:{target}");
        let login = self
            .runtime
            .block_on(provider.login(REDIRECT, &Preferences::default(), state))
            .unwrap();
        let (site, headers) = (self.cell.load(), HeaderMap::new());
        let cookies = RequestCookies::of(&headers);
        let cookies =
            site.prepared.login_cookies.remember(&site.ring, &login.state, &cookies, "app.example");
        let cookie = cookies[0].as_str().split(';').next().unwrap().to_owned();
        (Url::parse(&login.url).unwrap(), cookie)
    }

    fn get(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        let lines = headers.iter().fold(String::new(), |mut lines, (name, value)| {
            let _ = write!(lines, "{name}: {value}\r\n");
            lines
        });
        let request = format!("GET {target} HTTP/1.1\r\nHost: app.example\r\n{lines}\r\n");
        self.server.connect().ask(&request)
    }

    /// Comes back from a login, with `iss` if one is given.
    fn come_back(&self, url: &Url, cookie: &str, issuer: Option<&str>) -> Answer {
        let escaped = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let state = escaped(&parameter(url, "state"));
        let issuer = issuer.map(|issuer| format!("&iss={}", escaped(issuer))).unwrap_or_default();
        let target = format!("/oauth2/callback?code=c&state={state}{issuer}");
        self.get(&target, &[("Cookie", cookie)])
    }

    /// The cookie of a session of the provider `b` that was refreshed so long ago.
    fn session_of_b(&self, age: SignedDuration) -> String {
        let created_at = Timestamp::now() - age;
        let session = Session {
            binding: Some(Binding::new(Fingerprint::of(&self.second.issuer))),
            created_at,
            id_token: Some(Token::new("eyJb.eyJi.Yg")),
            refresh_token: Some(Token::new("refresh-of-b")),
            identity: Identity {
                user: "user-1".to_owned(),
                email: Some("alice@example.com".to_owned()),
                ..Identity::default()
            },
            ..Session::new("b", created_at)
        };
        let bytes = encode(&session, SessionFormat::V2);
        let value = self.cell.load().ring.seal(Purpose::Session, "_oauth2_proxy", &bytes);
        format!("_oauth2_proxy={value}")
    }

    fn bearer(&self, token: &str) -> u16 {
        self.get("/x", &[("Authorization", &format!("Bearer {token}"))]).status
    }
}

fn parameter(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(n, _)| n == name).unwrap().1.into_owned()
}

fn claims(issuer: &str, audience: &str) -> Value {
    let now = Timestamp::now().as_second();
    json!({
        "iss": issuer, "aud": audience, "sub": "user-1", "iat": now, "exp": now + 300,
        "email": "alice@example.com", "email_verified": true,
    })
}

#[test]
fn the_answer_of_a_login_goes_to_the_provider_of_its_state() {
    let several = Several::start();
    let (url, cookie) = several.begin(1, "/after");
    let mut claims = claims(&several.second.issuer, "app-b");
    claims["nonce"] = json!(parameter(&url, "nonce"));
    several.second.give_token(&Signer::stranger().token(&rs256(), &claims));
    let answer = several.come_back(&url, &cookie, Some(&several.second.issuer));
    assert_eq!((answer.status, answer.header("location")), (302, Some("/after")), "{answer:?}");
    assert_eq!(several.second.requests("/token").len(), 1);
    assert!(several.first.requests("/token").is_empty());
}

#[test]
fn the_answer_of_another_provider_or_of_none_is_mixed_up() {
    let several = Several::start();
    let strange = [Some(several.first.issuer.clone()), Some("https://evil.test".to_owned()), None];
    for issuer in strange {
        let (url, cookie) = several.begin(1, "/");
        let answer = several.come_back(&url, &cookie, issuer.as_deref());
        assert_eq!(answer.status, 403, "{issuer:?}: {answer:?}");
    }
    for issuer in [&several.first, &several.second] {
        assert!(issuer.requests("/token").is_empty(), "no code goes anywhere");
    }
}

#[test]
fn a_login_that_was_begun_at_no_provider_of_these_is_not_finished_at_another() {
    let several = Several::start();
    let (url, cookie) = several.begin(1, "/");
    let present = several.cell.load();
    let mut config = present.config.clone();
    config.providers.remove(1);
    let site = Site::compile_beside(Problems::default(), &config, &present.context, Some(&present));
    several.cell.swap(site.unwrap_or_else(|problems| panic!("{problems}")));
    let answer = several.come_back(&url, &cookie, Some(&several.second.issuer));
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(several.first.requests("/token").is_empty());
    assert!(several.second.requests("/token").is_empty());
}

#[test]
fn a_session_is_refreshed_where_it_was_made() {
    let several = Several::start();
    several
        .second
        .give_token(&Signer::stranger().token(&rs256(), &claims(&several.second.issuer, "app-b")));
    let cookie = several.session_of_b(SignedDuration::from_hours(2));
    assert_eq!(several.get("/x", &[("Cookie", &cookie)]).status, 200);
    eventually("it is refreshed", || !several.second.requests("/token").is_empty());
    let asked = several.second.requests("/token").concat();
    assert!(asked.contains("refresh_token=refresh-of-b"), "{asked}");
    assert!(several.first.requests("/token").is_empty());
}

#[test]
fn a_bearer_token_counts_for_its_issuer_and_its_audience_alone() {
    let several = Several::start();
    let (first, second) = (&several.first.issuer, &several.second.issuer);
    let good = Signer::shared().token(&rs256(), &claims(first, "app-a"));
    let for_another = Signer::shared().token(&rs256(), &claims(first, "app-b"));
    let by_another = Signer::shared().token(&rs256(), &claims(second, "app-b"));
    let from_nowhere = Signer::shared().token(&rs256(), &claims("https://evil.test", "app-a"));
    // The second time from what is remembered.
    for _ in 0..2 {
        assert_eq!(several.bearer(&good), 200);
        for bad in [&for_another, &by_another, &from_nowhere] {
            assert_eq!(several.bearer(bad), 403);
        }
    }
    let of_second = Signer::stranger().token(&rs256(), &claims(second, "app-b"));
    assert_eq!(several.bearer(&of_second), 200);
    let of_third = Signer::shared().token(&rs256(), &claims(first, "app-c"));
    assert_eq!(several.bearer(&of_third), 200, "two clients of one issuer");
    assert_eq!(several.first.requests("/jwks").len(), 1, "they share its keys");
}

#[test]
fn session_cookies_that_are_refused_are_counted_by_why() {
    let several = Several::start();
    let good = several.session_of_b(SignedDuration::ZERO);
    let forged = {
        let (head, tail) = good.split_at(good.len() / 2);
        let other = if tail.starts_with('A') { 'B' } else { 'A' };
        format!("{head}{other}{}", tail.get(1..).unwrap())
    };
    let sealed = |key: &[u8], provider: &str| {
        let bytes = encode(&Session::new(provider, Timestamp::now()), SessionFormat::V2);
        let value = KeyRing::new(&[key]).unwrap().seal(Purpose::Session, "_oauth2_proxy", &bytes);
        format!("_oauth2_proxy={value}")
    };
    let all = [
        Event::SessionExpired,
        Event::SessionGone,
        Event::SessionOfOtherKey,
        Event::SessionForged,
        Event::SessionMalformed,
        Event::SessionOfOtherProvider,
        Event::SessionLacking,
    ];
    let counted = || all.map(|event| several.server.counted(event));
    assert_eq!(several.get("/", &[("Cookie", &good)]).status, 200);
    assert_eq!(counted().iter().sum::<u64>(), 0);
    for (cookie, why) in [
        (several.session_of_b(SignedDuration::from_hours(24 * 365)), Event::SessionExpired),
        (sealed(b"another secret, of another ring", "b"), Event::SessionOfOtherKey),
        (forged, Event::SessionForged),
        ("_oauth2_proxy=junk".to_owned(), Event::SessionMalformed),
        (sealed(b"!pearl#river%16*", "gone"), Event::SessionOfOtherProvider),
    ] {
        let before = counted();
        assert_eq!(several.get("/", &[("Cookie", &cookie)]).status, 403, "{why:?}");
        let expected: Vec<_> =
            all.iter().zip(before).map(|(event, count)| count + u64::from(*event == why)).collect();
        assert_eq!(counted().to_vec(), expected, "{why:?}");
    }
}

#[test]
fn signing_out_ends_the_session_at_the_provider_that_made_it() {
    let several = Several::start();
    let sign_out = |rd: &str| {
        let cookie = several.session_of_b(SignedDuration::ZERO);
        let rd: String = byte_serialize(rd.as_bytes()).collect();
        let answer = several.get(&format!("/oauth2/sign_out?rd={rd}"), &[("Cookie", &cookie)]);
        assert_eq!(answer.status, 302, "{answer:?}");
        answer.header("location").unwrap().to_owned()
    };
    let end = Url::parse(&sign_out("/")).unwrap();
    assert!(end.as_str().starts_with(&format!("{}/end?", several.second.issuer)), "{end}");
    assert_eq!(parameter(&end, "client_id"), "app-b");
    assert_eq!(parameter(&end, "id_token_hint"), "eyJb.eyJi.Yg");
    let own = sign_out(&format!("{}/end?hint={{id_token}}", several.second.issuer));
    assert_eq!(own, format!("{}/end?hint=eyJb.eyJi.Yg", several.second.issuer));
    // The other issuer's endpoint is a page like any: no token goes there.
    let other = sign_out(&format!("{}/end?hint={{id_token}}", several.first.issuer));
    assert!(other.starts_with(&format!("{}/end?", several.second.issuer)), "{other}");
    assert_eq!(other.matches("eyJb").count(), 1, "{other}");
}

#[test]
fn a_login_that_names_an_issuer_begins_there() {
    let several = Several::start();
    let begin = |query: &str| several.get(&format!("/oauth2/start{query}"), &[]);
    let issuer = |issuer: &str| byte_serialize(issuer.as_bytes()).collect::<String>();
    for (query, at) in [
        (String::new(), Some(&several.first)),
        (format!("?iss={}", issuer(&several.first.issuer)), Some(&several.first)),
        (format!("?iss={}", issuer(&several.second.issuer)), Some(&several.second)),
        ("?iss=https%3A%2F%2Fevil.test".to_owned(), None),
    ] {
        let answer = begin(&query);
        match at {
            Some(at) => assert!(answer.header("location").unwrap().starts_with(&at.issuer)),
            None => assert_eq!(answer.status, 400, "{answer:?}"),
        }
    }
}
