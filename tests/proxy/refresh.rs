//! One token call per expired session, however many requests arrive.

use crate::setup::{CLIENT, Idp, SECRET, Setup, Store, base};
use tests::client::Browser;
use tests::provider::Provider;
use tests::proxy::Proxy;

/// Sends forty requests at once with the same cookie header; gives the statuses.
async fn forty(urls: &[String], cookie: &str) -> Vec<u16> {
    let http = Browser::new().http;
    let mut tasks = Vec::new();
    for url in urls.iter().cycle().take(40) {
        let request = http.get(url).header("Cookie", cookie);
        tasks.push(tokio::spawn(async move {
            request.send().await.expect("an answer").status().as_u16()
        }));
    }
    let mut statuses = Vec::new();
    for task in tasks {
        statuses.push(task.await.expect("no panic"));
    }
    statuses
}

fn token_calls(provider: &Provider) -> u64 {
    provider.count("/token")
}

const REFRESH: [&str; 1] = ["--cookie-refresh=1s"];

#[tokio::test]
async fn forty_requests_with_an_expired_token_make_one_token_call() {
    for store in [Store::Cookie, Store::Redis] {
        let setup = Setup::start((Idp::OidcProvider, store), &REFRESH).await;
        let browser = setup.logged_in().await;
        let provider = setup.oidc_provider.as_ref().expect("oidc-provider");
        let cookie = browser.cookies(&setup.url("/"));
        // The session's age is measured in whole seconds of real time; there is no condition to wait on but the clock.
        tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
        let before = token_calls(provider);
        let statuses = forty(&[setup.url("/oauth2/auth")], &cookie).await;
        assert_eq!(statuses, vec![202; 40], "{store:?}");
        assert_eq!(token_calls(provider) - before, 1, "{store:?}");
    }
}

#[tokio::test]
async fn two_proxies_on_one_redis_make_one_token_call() {
    let setup = Setup::start((Idp::OidcProvider, Store::Redis), &REFRESH).await;
    let provider = setup.oidc_provider.as_ref().expect("oidc-provider");
    let redis = setup.redis.as_ref().expect("a Redis");
    let mut flags = base(&provider.issuer(), CLIENT, SECRET);
    flags.extend([
        "--session-store-type=redis".to_owned(),
        format!("--redis-connection-url={}", redis.url()),
    ]);
    flags.push(REFRESH[0].to_owned());
    let second = Proxy::start(&flags).await;
    let browser = setup.logged_in().await;
    let cookie = browser.cookies(&setup.url("/"));
    tests::eventually::eventually(
        "the second proxy knows the session",
        std::time::Duration::from_secs(20),
        || async {
            let answer = Browser::new()
                .http
                .get(format!("{}/oauth2/auth", second.url))
                .header("Cookie", &cookie)
                .send()
                .await;
            let status = answer.map_err(|error| error.to_string())?.status();
            if status == 202 { Ok(()) } else { Err(status.to_string()) }
        },
    )
    .await;
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    let before = token_calls(provider);
    let statuses =
        forty(&[setup.url("/oauth2/auth"), format!("{}/oauth2/auth", second.url)], &cookie).await;
    assert_eq!(statuses, vec![202; 40]);
    assert_eq!(token_calls(provider) - before, 1);
}
