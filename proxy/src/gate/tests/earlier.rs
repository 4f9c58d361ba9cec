//! Sessions that the first release made go on: cookies, in one piece and in several, and a record in Redis, as that program wrote
//! them at logins.

use crate::clock::TestClock;
use crate::gate::handle;
use crate::metrics::Registry;
use crate::oidc::tests::hostile::Hostile;
use crate::oidc::tests::signer::{Signer, rs256};
use crate::server::tests::support::{Answer, Running, eventually};
use crate::site::{Context, Site, SiteCell};
use crate::store::RedisServer;
use crate::store::tests::redis_config;
use jiff::{SignedDuration, Timestamp};
use proxy_config::{Config, Limits, Secret, Store};
use redis::AsyncCommands as _;
use serde_json::{Value, json};
use std::sync::Arc;

const LOGINS: &str = include_str!("../../session/tests/logins.v1.json");

/// One login that was recorded, and a site that it is carried to some time later.
struct Later {
    login: Value,
    provider: Hostile,
    server: Running,
    redis: Option<RedisServer>,
    /// Ends the work of the others, so it goes last.
    runtime: tokio::runtime::Runtime,
}

impl Later {
    /// `kind` is `cookie`, `parts` or `redis`; `more` goes into the configuration.
    fn start(kind: &str, later: SignedDuration, more: &Value) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let logins: Value = serde_json::from_str(LOGINS).unwrap();
        let login = logins[kind].clone();
        let made_at = Timestamp::from_second(login["made_at"].as_i64().unwrap()).unwrap();
        let provider = runtime.block_on(Hostile::start());
        let mut config = json!({
            "version": "v1",
            "listeners": {"http": {"address": "127.0.0.1:0"}},
            // The id that flags gave it, which is what such a session knows of its provider.
            "providers": [{"id": "oidc=golden-app", "clientId": logins["client_id"], "issuerUrl": provider.issuer}],
            "session": {"keys": [], "cookie": {"secure": false}},
            "access": {"emailDomains": ["*"]},
            "upstreams": [{"id": "ok", "path": "/", "target": {"static": {"code": 200}}}],
        });
        for (name, value) in more.as_object().unwrap() {
            config[name] = value.clone();
        }
        let mut config: Config = serde_json::from_value(config).unwrap();
        config.session.keys = vec![Secret::value(logins["cookie_secret"].as_str().unwrap())];
        let redis = (kind == "redis").then(RedisServer::start);
        if let Some(redis) = &redis {
            let record = login["record"].as_str().unwrap();
            let record = base64_simd::STANDARD.decode_to_vec(record).unwrap();
            runtime.block_on(async {
                let key = login["key"].as_str().unwrap();
                redis.client().await.set::<_, _, ()>(key, record).await.unwrap();
            });
            let url = Secret::value(redis.url());
            config.session.store = Store::Redis(proxy_config::Redis { url, ..redis_config() });
        }
        let clock = Arc::new(TestClock::at(made_at + later));
        let context = Context::new(runtime.handle().clone(), clock, &Registry::new());
        let site = Site::compile(&config, &context, None);
        let cell = SiteCell::new(site.unwrap_or_else(|problems| panic!("{problems}")));
        let server = Running::start(&Limits::default(), move |worker, peer, request| {
            handle(worker, Arc::new(cell.load()), peer, request)
        });
        let issued_at = (made_at + later).as_second();
        provider.give_token(&Signer::shared().token(
            &rs256(),
            &json!({
                "iss": provider.issuer, "sub": "subject-7", "aud": "golden-app", "iat": issued_at,
                "exp": issued_at + 3600, "email": "mara@example.com", "groups": ["staff"],
                "department": "sales",
            }),
        ));
        Self { login, provider, server, redis, runtime }
    }

    fn get(&self, target: &str, cookie: &str) -> Answer {
        let head =
            format!("GET {target} HTTP/1.1\r\nHost: app.example\r\nCookie: {cookie}\r\n\r\n");
        self.server.connect().ask(&head)
    }

    fn cookie(&self) -> &str {
        self.login["cookie"].as_str().unwrap()
    }

    fn records(&self) -> Option<usize> {
        let redis = self.redis.as_ref()?;
        let keys = async { redis.client().await.keys::<_, Vec<String>>("*").await.unwrap().len() };
        Some(self.runtime.block_on(keys))
    }
}

const KINDS: [&str; 3] = ["cookie", "parts", "redis"];
const SOON: SignedDuration = SignedDuration::from_mins(10);

#[test]
fn a_session_of_the_first_release_is_of_the_same_person() {
    for kind in KINDS {
        let later = Later::start(kind, SOON, &json!({}));
        assert_eq!(later.get("/x", later.cookie()).status, 200, "{kind}");
        let answer = later.get("/oauth2/userinfo", later.cookie());
        let shown: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(shown, later.login["userinfo"], "{kind}");
        assert!(later.provider.requests("/token").is_empty(), "{kind}");
    }
}

#[test]
fn a_session_of_the_first_release_can_be_signed_out() {
    for kind in KINDS {
        let later = Later::start(kind, SOON, &json!({}));
        let answer = later.get("/oauth2/sign_out", later.cookie());
        let lines = answer
            .head
            .lines()
            .filter(|line| line.to_ascii_lowercase().starts_with("set-cookie: "));
        let cleared =
            lines.filter(|line| line.contains("=; ") && line.contains("Max-Age=0")).count();
        let parts = later.cookie().split("; ").count();
        assert_eq!((answer.status, cleared), (302, parts), "{kind}: {}", answer.head);
        assert_eq!(later.get("/x", later.cookie()).status, 403, "{kind}");
        assert_eq!(later.records(), later.redis.is_some().then_some(0), "{kind}");
    }
}

#[test]
fn a_session_of_the_first_release_is_refreshed_after_its_access_token_has_expired() {
    let more = json!({
        "session": {"keys": [], "refresh": "1h", "cookie": {"secure": false}},
        "requestHeaders": [{"name": "X-Token", "values": [{"claim": "access_token"}]}],
    });
    for kind in KINDS {
        let later = Later::start(kind, SignedDuration::from_hours(2), &more);
        let first = later.get("/oauth2/userinfo", later.cookie());
        assert_eq!(first.status, 200, "{kind}: {}", first.body);
        let asked = later.provider.requests("/token").concat();
        assert!(asked.contains("refresh_token=refresh-1-golden"), "{kind}: {asked}");
        let shown: Value = serde_json::from_str(&first.body).unwrap();
        assert_eq!(shown["groups"], json!(["staff"]), "{kind}: what the provider says by now");
        assert_eq!(shown["user"], "subject-7", "{kind}");
    }
}

#[test]
fn a_session_of_the_first_release_without_a_claim_that_is_needed_by_now_is_refreshed_or_asks_for_a_login()
 {
    let header = json!([{"name": "X-Department", "values": [{"claim": {"other": "department"}}]}]);
    for (refresh, status) in [("1h", 200), ("0s", 403)] {
        let session = json!({"keys": [], "refresh": refresh, "cookie": {"secure": false}});
        for kind in KINDS {
            let more = json!({"session": session, "requestHeaders": header});
            let later = Later::start(kind, SOON, &more);
            let answer = later.get("/x", later.cookie());
            assert_eq!(answer.status, status, "{kind}, {refresh}");
            let asked = || later.provider.requests("/token").len();
            if status == 200 {
                eventually("it is refreshed", || asked() == 1);
            } else {
                assert!(answer.body.contains("/oauth2/start"), "{kind}: {}", answer.body);
                assert_eq!(asked(), 0);
            }
        }
    }
}
