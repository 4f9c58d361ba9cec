//! Whole logins at `oidc-provider`, which the OpenID Foundation has certified.

use super::provider::{Provider as Certified, Settings};
use super::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// A provider that runs, without holding up the runtime while it starts.
async fn running(settings: Settings) -> Certified {
    tokio::task::spawn_blocking(move || Certified::start(&settings)).await.unwrap()
}

/// Goes to the provider as a browser does and gives the query with which it comes back.
fn agree(url: &str) -> String {
    let mut cookies = BTreeMap::new();
    let mut url = Url::parse(url).unwrap();
    for _ in 0..6 {
        if url.as_str().starts_with(REDIRECT) {
            return url.query().unwrap().to_owned();
        }
        let jar: Vec<String> =
            cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let target = &url[url::Position::BeforePath..];
        let request = format!(
            "GET {target} HTTP/1.0\r\nHost: {}\r\nCookie: {}\r\n\r\n",
            url.authority(),
            jar.join("; ")
        );
        let mut stream = TcpStream::connect(url.socket_addrs(|| None).unwrap()[0]).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let header = |line: &str, name: &str| {
            line.to_lowercase().starts_with(name).then(|| line.split_at(name.len()).1.to_owned())
        };
        for cookie in answer.lines().filter_map(|line| header(line, "set-cookie: ")) {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            cookies.insert(name.to_owned(), value.to_owned());
        }
        let location = answer.lines().find_map(|line| header(line, "location: "));
        url = url
            .join(&location.unwrap_or_else(|| panic!("no redirect from {url}:\n{answer}")))
            .unwrap();
    }
    panic!("too many redirects");
}

/// A whole login.
async fn sign_in(client: &Provider) -> Result<Session, CallbackError> {
    let login = login(client).await;
    let url = login.url.clone();
    let query = tokio::task::spawn_blocking(move || agree(&url)).await.unwrap();
    let hash = login.state.state_hash();
    assert_eq!(
        CallbackParams::parse(&query).unwrap().state(),
        Some(format!("{hash}:/target").as_str())
    );
    finish(client, login, &query).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_passes_with_every_algorithm_and_client_authentication() {
    for (algorithm, client_authentication) in [
        ("RS256", "client_secret_basic"),
        ("PS256", "client_secret_post"),
        ("ES256", "client_secret_basic"),
        ("EdDSA", "none"),
    ] {
        let mut settings = Settings { client_authentication, algorithm, ..Settings::default() };
        if client_authentication == "none" {
            settings.client_secret = None;
        }
        let secret = settings.client_secret.is_some();
        let provider = running(settings).await;
        let mut config = config(&provider.issuer());
        if !secret {
            config.client_secret = None;
        }
        let client = start(config);
        let session = sign_in(&client).await.unwrap_or_else(|error| panic!("{algorithm}: {error}"));
        assert_eq!(session.identity.user, "user-1");
        assert_eq!(session.identity.email.as_deref(), Some("alice@example.com"));
        assert_eq!(session.identity.groups, ["staff", "admins"]);
        assert_eq!(session.identity.preferred_username.as_deref(), Some("alice"));
        assert_eq!(provider.count("/token"), 1);
        let stands = client.refresh(&unrefreshable(&session), never_slow()).await;
        assert!(matches!(stands, Renewal::Stands), "{stands:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_that_only_userinfo_has_are_found_there_plain_or_signed() {
    for signed_userinfo in [false, true] {
        let settings =
            Settings { claims_in_userinfo_only: true, signed_userinfo, ..Settings::default() };
        let provider = running(settings).await;
        let session = sign_in(&start(config(&provider.issuer()))).await.unwrap();
        assert_eq!(session.identity.email.as_deref(), Some("alice@example.com"));
        assert_eq!(session.identity.groups, ["staff", "admins"]);
        assert_eq!(provider.count("/me"), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_tokens_rotate_and_the_last_one_works_until_it_is_revoked() {
    let provider = running(Settings::default()).await;
    let client = start(config(&provider.issuer()));
    let first = sign_in(&client).await.unwrap();
    provider.set_account(
        &json!({"email": "alice@example.com", "email_verified": true, "groups": ["staff"]}),
    );
    let second = refreshed(&client, &first).await;
    assert!(second.refresh_token.is_some() && second.refresh_token != first.refresh_token);
    assert_eq!(second.identity.groups, ["staff"]);
    let third = refreshed(&client, &second).await;
    let stands = client.refresh(&unrefreshable(&third), never_slow()).await;
    assert!(matches!(stands, Renewal::Stands), "{stands:?}");
    provider.set_outage(&json!({"/token": 503}));
    let why = kept(&client, &third).await;
    assert!(matches!(why, NotNow::Unusable(_)), "{why}");
    provider.set_outage(&json!({}));
    let fourth = refreshed(&client, &third).await;
    provider.revoke_all();
    let why = ended(&client, &fourth).await;
    assert!(matches!(why, Ending::Grant(_)), "{why}");
    // A token that was used before is refused, and with it everything that came of it.
    let again = sign_in(&client).await.unwrap();
    refreshed(&client, &again).await;
    let why = ended(&client, &again).await;
    assert!(matches!(why, Ending::Grant(_)), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_ours_to_repair_and_ends_nothing() {
    let provider = running(Settings::default()).await;
    let session = sign_in(&start(config(&provider.issuer()))).await.unwrap();
    let mut config = config(&provider.issuer());
    config.client_secret = Some(proxy_config::Secret::value("wrong"));
    let client = start(config);
    let why = kept(&client, &session).await;
    assert!(why.to_string().contains("invalid_client"), "{why}");
    let error = sign_in(&client).await.err().unwrap();
    assert_eq!(error.failure(), crate::oidc::Failure::Misconfigured);
    assert!(error.message().contains("invalid_client"), "{}", error.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn new_keys_of_the_provider_are_found_at_the_next_login() {
    let provider = running(Settings::default()).await;
    let client = start(config(&provider.issuer()));
    sign_in(&client).await.unwrap();
    provider.replace_keys();
    sign_in(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_good_once_and_only_with_its_verifier() {
    let provider = running(Settings::default()).await;
    let client = start(config(&provider.issuer()));
    let (one, two) = (login(&client).await, login(&client).await);
    let url = one.url.clone();
    let query = tokio::task::spawn_blocking(move || agree(&url)).await.unwrap();
    let error = finish(&client, two, &query).await.err().unwrap();
    assert_eq!(error.failure(), crate::oidc::Failure::TryAgain, "{error}");
    let again = Login { state: one.state.clone(), url: one.url.clone() };
    finish(&client, one, &query).await.unwrap();
    let error = finish(&client, again, &query).await.err().unwrap();
    assert!(error.to_string().contains("invalid_grant"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_at_the_provider_goes_to_its_discovered_address() {
    let provider = running(Settings::default()).await;
    let mut config = config(&provider.issuer());
    assert_eq!(
        start(config.clone()).end_session_url(0, Some("t"), None),
        None,
        "it is off by default"
    );
    config.rp_initiated_logout = true;
    let client = start(config);
    let session = sign_in(&client).await.unwrap();
    let token = session.id_token.as_ref().unwrap().as_str();
    let url =
        client.end_session_url(0, Some(token), Some(("http://127.0.0.1:1/bye", "s"))).unwrap();
    assert!(
        url.starts_with(&format!(
            "{}/session/end?client_id=proxy&id_token_hint=",
            provider.issuer()
        )),
        "{url}"
    );
    assert_eq!(
        parameter(&url, "post_logout_redirect_uri").as_deref(),
        Some("http://127.0.0.1:1/bye")
    );
    assert_eq!(parameter(&url, "id_token_hint").as_deref(), Some(token));
    assert_eq!(parameter(&url, "state").as_deref(), Some("s"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_token_of_the_provider_passes_as_a_bearer_token() {
    let provider = running(Settings::default()).await;
    let client = start(config(&provider.issuer()));
    let session = sign_in(&client).await.unwrap();
    let bearer = client.bearer(session.id_token.as_ref().unwrap().as_str()).await.unwrap();
    assert!(bearer.identity == session.identity);
}
