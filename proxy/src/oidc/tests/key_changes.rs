//! Keys that change, and what is known of the provider when its client does.

use super::hostile::{Hostile, Reply};
use super::signer::{Signer, rs256};
use super::*;
use serde_json::{Value, json};

const DOCUMENT: &str = "/.well-known/openid-configuration";

/// A bearer token under key id `id`.
async fn bearer(hostile: &Hostile, client: &Provider, id: &str) -> String {
    let mut claims = hostile.claims(&login(client).await);
    claims["nonce"] = Value::Null;
    let mut header = rs256();
    header["kid"] = json!(id);
    Signer::shared().token(&header, &claims)
}

/// From now on the provider's key has this id.
fn publish(hostile: &Hostile, id: &str) {
    let keys = json!({"keys": [Signer::shared().jwk("RSA", id)]});
    hostile.set("/jwks", Reply::Json(200, keys));
}

#[tokio::test]
async fn a_bearer_token_under_a_key_that_is_newer_than_the_start_is_accepted_at_once() {
    let hostile = Hostile::start().await;
    let client = start(config(&hostile.issuer));
    let token = bearer(&hostile, &client, "new").await;
    eventually("the first fetch", || hostile.requests("/jwks").len() == 1).await;
    publish(&hostile, "new");
    assert!(client.bearer(&token).await.is_ok());
    assert_eq!(hostile.requests("/jwks").len(), 2);
}

#[tokio::test]
async fn logins_find_a_key_however_shortly_after_the_last_one_it_came() {
    let hostile = Hostile::start().await;
    let client = start(config(&hostile.issuer));
    for id in ["first", "second", "third"] {
        publish(&hostile, id);
        let login = login(&client).await;
        let mut header = rs256();
        header["kid"] = json!(id);
        hostile.give_token(&Signer::shared().token(&header, &hostile.claims(&login)));
        let outcome = finish(&client, login, "code=c").await;
        assert!(outcome.is_ok(), "{id}: {:?}", outcome.err());
    }
}

#[tokio::test]
async fn logins_that_miss_a_key_together_share_one_fetch() {
    let hostile = Hostile::start().await;
    let client = start(config(&hostile.issuer));
    let first = login(&client).await;
    eventually("the first fetch", || hostile.requests("/jwks").len() == 1).await;
    let mut header = rs256();
    header["kid"] = json!("never");
    hostile.give_token(&Signer::shared().token(&header, &hostile.claims(&first)));
    let mut logins = Vec::new();
    for _ in 0..20 {
        logins.push(login(&client).await);
    }
    let all = logins.into_iter().map(|login| finish(&client, login, "code=c"));
    assert!(futures_util::future::join_all(all).await.iter().all(Result::is_err));
    assert!(hostile.requests("/jwks").len() <= 3, "{}", hostile.requests("/jwks").len());
}

#[tokio::test]
async fn members_of_a_key_that_are_null_say_nothing() {
    let hostile = Hostile::start().await;
    let mut key = Signer::shared().jwk("RSA", "rsa");
    for name in ["use", "key_ops", "alg", "x5c"] {
        key[name] = Value::Null;
    }
    hostile.set("/jwks", Reply::Json(200, json!({"keys": [key]})));
    let client = start(config(&hostile.issuer));
    let token = bearer(&hostile, &client, "rsa").await;
    let outcome = client.bearer(&token).await;
    assert!(outcome.is_ok(), "{:?}", outcome.err());
}

#[tokio::test]
async fn a_rotated_client_secret_takes_along_what_is_known_of_the_provider() {
    let hostile = Hostile::start().await;
    let old = start(config(&hostile.issuer));
    let token = bearer(&hostile, &old, "rsa").await;
    assert!(old.bearer(&token).await.is_ok());
    for path in [DOCUMENT, "/jwks"] {
        hostile.set(path, Reply::Json(503, json!({})));
    }
    let control = Handle::current();
    let replace = |config: Config| {
        let context = (&control, Arc::new(SystemClock) as Arc<dyn crate::clock::Clock>);
        Provider::start(config, false, context, Some(&old))
    };
    let mut rotated = config(&hostile.issuer);
    rotated.client_secret = Some(proxy_config::Secret::value("another"));
    let new = replace(rotated);
    assert!(login(&new).await.url.starts_with(&hostile.issuer));
    assert!(new.bearer(&token).await.is_ok());
    let mut elsewhere = config(&hostile.issuer);
    elsewhere.issuer_url.push('x');
    let new = replace(elsewhere);
    assert!(new.login(REDIRECT, str::to_owned).await.is_err(), "it is another provider");
}

#[tokio::test]
async fn a_key_on_the_largest_curve_verifies_too() {
    let hostile = Hostile::start().await;
    let keys = json!({"keys": [Signer::shared().jwk("EC521", "large")]});
    hostile.set("/jwks", Reply::Json(200, keys));
    hostile.describe(&json!({"id_token_signing_alg_values_supported": ["ES512"]}));
    let client = start(config(&hostile.issuer));
    let login = login(&client).await;
    let header = json!({"alg": "ES512", "kid": "large"});
    hostile.give_token(&Signer::shared().token(&header, &hostile.claims(&login)));
    let outcome = finish(&client, login, "code=c").await;
    assert!(outcome.is_ok(), "{:?}", outcome.err());
}
