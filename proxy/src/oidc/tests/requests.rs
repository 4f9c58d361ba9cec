//! The URLs that people are sent to, and configurations that need no discovery.

use super::hostile::{Hostile, Reply};
use super::*;
use proxy_config::{Endpoints, LoginParameter};
use serde_json::json;

#[tokio::test]
async fn the_login_url_has_every_parameter_in_order_of_names() {
    let hostile = Hostile::start().await;
    hostile.describe(&json!({"scopes_supported": ["groups"], "authorization_endpoint": format!("{}/auth?tenant=a+b&state=theirs", hostile.issuer)}));
    let mut config = config(&hostile.issuer);
    config.response_mode = Some("form_post".to_owned());
    let parameter = |name: &str, values: &[&str]| LoginParameter {
        name: name.to_owned(),
        values: values.iter().map(|v| (*v).to_owned()).collect(),
        allow: Vec::new(),
    };
    config.login_parameters =
        vec![parameter("prompt", &["login"]), parameter("acr_values", &["b", "a~*"])];
    let settings = ClientSettings { groups_required: true, ..alone(config) };
    let client = start_among(settings, &[]);
    let login = client
        .login(REDIRECT, &Preferences::default(), |hash| format!("{hash}:/päth?x=1&y"))
        .await
        .unwrap();
    let value = |name: &str| super::parameter(&login.url, name).unwrap();
    let expected = format!(
        "{}/auth?acr_values=b&acr_values=a~%2A&client_id=proxy&code_challenge={}&code_challenge_method=S256&nonce={}&\
         prompt=login&redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Foauth2%2Fcallback&response_mode=form_post&response_type=code&\
         scope=openid+email+profile+groups&state={}%3A%2Fp%C3%A4th%3Fx%3D1%26y&tenant=a+b",
        hostile.issuer,
        value("code_challenge"),
        value("nonce"),
        login.state.state_hash(),
    );
    assert_eq!(login.url, expected);
    assert_eq!(value("code_challenge").len(), 43);
    assert_eq!(value("nonce").len(), 43);
}

#[tokio::test]
async fn who_wants_another_account_is_asked_for_one_in_the_way_that_the_provider_has() {
    for (offered, prompt) in [
        (json!(null), "select_account"),
        (json!(["none", "login", "consent", "select_account"]), "select_account"),
        (json!(["none", "login", "consent"]), "login"),
        (json!([]), "select_account"),
        (json!("login"), "select_account"),
        (json!([7, "login"]), "login"),
    ] {
        let hostile = Hostile::start().await;
        hostile.describe(&json!({"prompt_values_supported": offered}));
        let mut config = config(&hostile.issuer);
        for name in ["prompt", "approval_prompt"] {
            let values = vec!["none".to_owned()];
            config.login_parameters.push(LoginParameter {
                name: name.to_owned(),
                values,
                allow: Vec::new(),
            });
        }
        let client = start(config);
        let usual = login(&client).await.url;
        assert_eq!(parameter(&usual, "prompt").as_deref(), Some("none"));
        let another = Preferences { another_account: true, ..Preferences::default() };
        let another = login_with(&client, &another).await.url;
        assert_eq!(parameter(&another, "prompt").as_deref(), Some(prompt), "{offered}");
        assert_eq!(parameter(&another, "approval_prompt"), None);
        let without = |url: &str| {
            let url = Url::parse(url).unwrap();
            let pairs = url.query_pairs().into_owned();
            let own = |name: &str| ["state", "nonce", "code_challenge"].contains(&name);
            let pairs = pairs.filter(|(name, _)| !name.contains("prompt") && !own(name));
            pairs.collect::<Vec<_>>()
        };
        assert_eq!(without(&another), without(&usual));
    }
}

#[tokio::test]
async fn every_login_has_its_own_secrets() {
    let hostile = Hostile::start().await;
    let client = start(config(&hostile.issuer));
    let (one, two) = (login(&client).await, login(&client).await);
    for name in ["state", "nonce", "code_challenge"] {
        assert_ne!(parameter(&one.url, name), parameter(&two.url, name), "{name}");
    }
}

#[tokio::test]
async fn without_nonce_none_is_sent_and_none_is_missed() {
    let hostile = Hostile::start().await;
    let mut config = config(&hostile.issuer);
    config.insecure_skip_nonce = true;
    let client = start(config);
    let login = login(&client).await;
    assert_eq!(parameter(&login.url, "nonce"), None);
    hostile.give(&hostile.claims(&login));
    assert!(finish(&client, login, "code=c").await.unwrap().nonce.is_none());
}

#[tokio::test]
async fn configured_endpoints_replace_discovery_when_it_is_skipped() {
    let hostile = Hostile::start().await;
    hostile.set("/.well-known/openid-configuration", Reply::Json(500, json!({})));
    let mut config = config(&hostile.issuer);
    config.skip_discovery = true;
    config.endpoints = Endpoints {
        authorization: Some(format!("{}/auth", hostile.issuer)),
        token: Some(format!("{}/token", hostile.issuer)),
        jwks: Some(format!("{}/jwks", hostile.issuer)),
        ..Endpoints::default()
    };
    let client = start(config);
    let login = login(&client).await;
    hostile.give(&hostile.claims(&login));
    assert!(finish(&client, login, "code=c").await.is_ok());
    assert!(hostile.requests("/.well-known/openid-configuration").is_empty());
}

#[tokio::test]
async fn a_login_page_may_be_a_path_because_only_the_browser_follows_it() {
    let mut config = config("https://idp.test");
    config.skip_discovery = true;
    config.endpoints = Endpoints {
        authorization: Some("/dex/auth?tenant=a".to_owned()),
        token: Some("https://idp.test/token".to_owned()),
        jwks: Some("https://idp.test/jwks".to_owned()),
        ..Endpoints::default()
    };
    let client = start(config);
    let url = login(&client).await.url;
    assert!(url.starts_with("/dex/auth?client_id=proxy&") && url.contains("&tenant=a"), "{url}");
    let another = Preferences { another_account: true, ..Preferences::default() };
    let another = login_with(&client, &another).await.url;
    assert!(another.starts_with("/dex/auth?client_id=proxy&"), "{another}");
    assert!(
        another.contains("&prompt=select_account&") && another.contains("&tenant=a"),
        "{another}"
    );
}

#[tokio::test]
async fn a_discovery_document_may_be_elsewhere_and_is_still_held_to_the_issuer() {
    let hostile = Hostile::start().await;
    hostile.set("/internal", Reply::Json(200, hostile.document()));
    let mut config = config("https://idp.example.com");
    config.discovery_url = Some(format!("{}/internal", hostile.issuer));
    let client = start(config);
    eventually("an error", || client.status().error.is_some()).await;
    let error = client.status().error.unwrap();
    assert!(error.contains("calls itself") && error.contains("discoveryUrl"), "{error}");
}

#[tokio::test]
async fn sign_out_keeps_the_query_of_the_endpoint() {
    let hostile = Hostile::start().await;
    let mut config = config(&hostile.issuer);
    config.rp_initiated_logout = true;
    let client = start(config);
    assert_eq!(client.end_session_url(0, None, None), None, "nothing is known yet");
    login(&client).await;
    let url = client.end_session_url(0, Some("a.b.c"), None).unwrap();
    assert_eq!(url, format!("{}/end?client_id=proxy&id_token_hint=a.b.c&keep=1", hostile.issuer));
}

#[tokio::test]
async fn the_clock_of_the_provider_is_watched() {
    let hostile = Hostile::start().await;
    let client = start(config(&hostile.issuer));
    login(&client).await;
    assert_eq!(client.status().clock_skew, None, "an answer without a date says nothing");
    let certified =
        tokio::task::spawn_blocking(|| provider::Provider::start(&provider::Settings::default()));
    let certified = certified.await.unwrap();
    let client = start(config(&certified.issuer()));
    login(&client).await;
    assert!(
        client.status().clock_skew.is_some_and(|skew| skew.abs() <= 2),
        "{:?}",
        client.status()
    );
}
