//! The client against a certified provider, and against one that answers what no real provider does.

mod arbitrary;
mod bearer;
mod certified;
mod credentials;
pub(crate) mod hostile;
mod hostile_discovery;
mod hostile_login;
mod hostile_refresh;
mod key_changes;
mod max_age;
mod requests;
mod servers;
pub(crate) mod signer;
mod trust;

use self::servers::provider;
use super::login::Login;
use super::login::Preferences;
use super::{CallbackError, CallbackParams, ClientSettings, Ending, NotNow, Provider, Renewal};
use crate::clock::SystemClock;
use crate::session::Session;
use proxy_config::Provider as Config;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};
use url::Url;

const REDIRECT: &str = "http://127.0.0.1:1/oauth2/callback";
const SECRET: &str = "a secret with spaces & signs: %+/";

/// The configuration of a client of `issuer`.
fn config(issuer: &str) -> Config {
    let mut config: Config =
        serde_json::from_value(json!({"id": "main", "clientId": "proxy", "issuerUrl": issuer}))
            .unwrap();
    config.client_secret = Some(proxy_config::Secret::value(SECRET));
    config
}

/// For a refresh whose answer comes in time.
fn never_slow() -> super::Slow {
    Box::new(|| {})
}

/// The session that a refresh gives.
async fn refreshed(client: &Provider, session: &Session) -> Session {
    match client.refresh(session, never_slow()).await {
        Renewal::Renewed(session) => *session,
        other => panic!("{other:?}"),
    }
}

/// Why a refresh leaves `session` as it is.
async fn kept(client: &Provider, session: &Session) -> NotNow {
    match client.refresh(session, never_slow()).await {
        Renewal::Kept(reason) => reason,
        other => panic!("{other:?}"),
    }
}

/// Why a refresh ends `session`.
async fn ended(client: &Provider, session: &Session) -> Ending {
    match client.refresh(session, never_slow()).await {
        Renewal::Ended(reason) => reason,
        other => panic!("{other:?}"),
    }
}

/// The same session, which can not be refreshed: its ID token has to stand for it.
fn unrefreshable(session: &Session) -> Session {
    Session { refresh_token: None, ..session.clone() }
}

fn start(config: Config) -> Arc<Provider> {
    start_among(alone(config), &[])
}

/// A provider beside which there is none.
fn alone(config: Config) -> ClientSettings {
    ClientSettings { config, groups_required: false, among_others: false, claims: Vec::new() }
}

fn start_among(settings: ClientSettings, known: &[Arc<Provider>]) -> Arc<Provider> {
    Provider::start(settings, (&Handle::current(), Arc::new(SystemClock)), known)
}

async fn login(provider: &Provider) -> Login {
    login_with(provider, &Preferences::default()).await
}

async fn login_with(provider: &Provider, preferences: &Preferences) -> Login {
    provider.login(REDIRECT, preferences, |hash| format!("{hash}:/target")).await.unwrap()
}

/// A parameter of a URL.
fn parameter(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).unwrap();
    url.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
}

/// Waits until `condition` holds.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < end, "{what}: not within 20 s");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Finishes `login` with the response that `query` is.
async fn finish(provider: &Provider, login: Login, query: &str) -> Result<Session, CallbackError> {
    let params = CallbackParams::parse(query).unwrap();
    provider.callback(&params, login.state, REDIRECT, super::client::Network::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_while_the_provider_is_down_says_so_and_the_proxy_goes_on_asking() {
    let mut down = provider::Provider::stopped(&provider::Settings::default());
    let client = start(config(&down.issuer()));
    let error = client.login(REDIRECT, &Preferences::default(), str::to_owned).await.err();
    assert!(
        error.as_ref().is_some_and(|e| e.to_string().contains("Connection refused")),
        "{error:?}"
    );
    let status = client.status();
    assert!(!status.ready && status.error.is_some_and(|e| e.contains(&down.issuer())));
    let down = tokio::task::spawn_blocking(move || {
        down.resume();
        down
    })
    .await
    .unwrap();
    eventually("the provider is found", || {
        client.status().ready && client.status().error.is_none()
    })
    .await;
    assert!(login(&client).await.url.starts_with(&down.issuer()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_survives_an_outage() {
    let mut up = provider::Provider::start(&provider::Settings::default());
    let client = start(config(&up.issuer()));
    let begun = login(&client).await;
    up.stop();
    assert!(login(&client).await.url.starts_with(&up.issuer()));
    let error = finish(&client, begun, &format!("code=c&iss={}", up.issuer())).await.err().unwrap();
    assert_eq!(error.failure(), super::Failure::Unavailable, "{error}");
    assert!(!error.message().contains("127.0.0.1"), "{}", error.message());
}
