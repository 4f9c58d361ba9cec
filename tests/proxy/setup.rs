//! The four setups that every endpoint is tested in: Keycloak or `oidc-provider`, cookie or Redis.

use serde_json::json;
use tests::client::{Answer, Browser};
use tests::keycloak::Keycloak;
use tests::process::free_port;
use tests::provider::{Provider, Settings};
use tests::proxy::{COOKIE_SECRET, Proxy};
use tests::redis::Redis;

/// Who logs people in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idp {
    Keycloak,
    OidcProvider,
}

/// Where sessions are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Cookie,
    Redis,
}

pub(crate) const ALL: [(Idp, Store); 4] = [
    (Idp::Keycloak, Store::Cookie),
    (Idp::Keycloak, Store::Redis),
    (Idp::OidcProvider, Store::Cookie),
    (Idp::OidcProvider, Store::Redis),
];

/// A running proxy with all that it needs.
pub(crate) struct Setup {
    pub(crate) proxy: Proxy,
    pub(crate) redis: Option<Redis>,
    pub(crate) idp: Idp,
    pub(crate) oidc_provider: Option<Provider>,
}

impl Setup {
    /// Starts one with further flags. Alice (`alice@example.com`, groups `staff` and `ops`) can log in.
    #[expect(clippy::print_stdout, reason = "a failed test shows in which setup")]
    pub(crate) async fn start((idp, store): (Idp, Store), more: &[&str]) -> Self {
        println!("setup: {idp:?} with sessions in {store:?}");
        let port = free_port();
        let oidc_provider = match idp {
            Idp::Keycloak => None,
            Idp::OidcProvider => Some(start_oidc_provider().await),
        };
        let mut flags = match &oidc_provider {
            None => base(&Keycloak::shared().await.issuer(), "app", "app-secret"),
            Some(provider) => base(&provider.issuer(), CLIENT, SECRET),
        };
        let redis = match store {
            Store::Cookie => None,
            Store::Redis => Some(Redis::start().await),
        };
        if let Some(redis) = &redis {
            flags.push("--session-store-type=redis".to_owned());
            flags.push(format!("--redis-connection-url={}", redis.url()));
        }
        flags.extend(more.iter().map(|flag| (*flag).to_owned()));
        let proxy = Proxy::start_at(port, &flags).await;
        Self { proxy, redis, idp, oidc_provider }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.proxy.url)
    }

    /// A browser in which Alice has just logged in, and the answer at which the login ended.
    pub(crate) async fn logged_in_at(&self, start: &str) -> (Browser, Answer) {
        let browser = Browser::new();
        tests::eventually::eventually(
            "the provider is discovered",
            std::time::Duration::from_secs(30),
            || async {
                let answer = browser.get(&self.url("/oauth2/start")).await;
                if answer.status == 302 { Ok(()) } else { Err(answer) }
            },
        )
        .await;
        let browser = Browser::new();
        let page = browser.follow(&self.url(start)).await;
        let end = match self.idp {
            Idp::Keycloak => browser.log_in(&page, "alice", "alice-password").await,
            Idp::OidcProvider => page,
        };
        (browser, end)
    }

    pub(crate) async fn logged_in(&self) -> Browser {
        let (browser, end) = self.logged_in_at("/oauth2/start?rd=%2F").await;
        assert_eq!(end.status, 200, "the login ended at {end:?}\n{}", self.proxy.process.output());
        browser
    }
}

pub(crate) const CLIENT: &str = "app";
pub(crate) const SECRET: &str = "app secret: %+/&";

/// The other provider, on which Alice is always logged in.
async fn start_oidc_provider() -> Provider {
    let settings = Settings {
        client_id: CLIENT.to_owned(),
        client_secret: Some(SECRET.to_owned()),
        account: json!({
            "sub": "user-1", "email": "alice@example.com", "email_verified": true,
            "preferred_username": "alice", "groups": ["staff", "ops"],
        }),
        ..Settings::default()
    };
    tokio::task::spawn_blocking(move || Provider::start(&settings))
        .await
        .expect("the provider starts")
}

pub(crate) fn base(issuer: &str, id: &str, secret: &str) -> Vec<String> {
    vec![
        "--provider=oidc".to_owned(),
        format!("--oidc-issuer-url={issuer}"),
        format!("--client-id={id}"),
        format!("--client-secret={secret}"),
        format!("--cookie-secret={COOKIE_SECRET}"),
        "--cookie-secure=false".to_owned(),
        "--email-domain=*".to_owned(),
        "--upstream=static://200".to_owned(),
    ]
}
