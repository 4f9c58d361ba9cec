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
    let replace = |config: Config| start_among(alone(config), std::slice::from_ref(&old));
    let mut rotated = config(&hostile.issuer);
    rotated.client_secret = Some(proxy_config::Secret::value("another"));
    let new = replace(rotated);
    assert!(login(&new).await.url.starts_with(&hostile.issuer));
    assert!(new.bearer(&token).await.is_ok());
    let mut elsewhere = config(&hostile.issuer);
    elsewhere.issuer_url.push('x');
    let new = replace(elsewhere);
    let refused = new.login(REDIRECT, &Preferences::default(), str::to_owned).await;
    assert!(refused.is_err(), "it is another provider");
}

/// The pause after which a change of the provider is looked for. It begins when the provider has told of itself, keys included.
async fn half_a_minute_later(client: &Provider) {
    let asked = || client.client.issuer.standing().asked.is_some();
    eventually("the first attempt has ended", asked).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(30)).await;
    tokio::time::resume();
}

/// Finishes a login with a token of this header.
async fn signed_in(hostile: &Hostile, client: &Provider, header: &Value) -> bool {
    let login = login(client).await;
    hostile.give_token(&Signer::shared().token(header, &hostile.claims(&login)));
    finish(client, login, "code=c").await.is_ok()
}

#[tokio::test]
async fn the_document_is_asked_for_again_when_tokens_have_another_algorithm_than_it_names() {
    let hostile = Hostile::start().await;
    let names = |algorithm| json!({"id_token_signing_alg_values_supported": [algorithm]});
    hostile.describe(&names("RS256"));
    let client = start(config(&hostile.issuer));
    assert!(signed_in(&hostile, &client, &rs256()).await);
    hostile.describe(&names("ES256"));
    let changed = json!({"alg": "ES256", "kid": "ec"});
    half_a_minute_later(&client).await;
    assert_eq!(hostile.requests(DOCUMENT).len(), 1, "nothing suggests a change yet");
    assert!(!signed_in(&hostile, &client, &changed).await);
    eventually("it is asked again", || hostile.requests(DOCUMENT).len() == 2).await;
    eventually("the answer is taken in", || {
        let known = client.client.issuer.metadata_now().unwrap();
        known.algorithms == [proxy_config::SigningAlgorithm::ES256]
    })
    .await;
    assert!(signed_in(&hostile, &client, &changed).await);
}

#[tokio::test]
async fn the_document_is_asked_for_again_when_the_token_endpoint_is_gone() {
    for status in [404, 405, 410] {
        let hostile = Hostile::start().await;
        let client = start(config(&hostile.issuer));
        let begun = login(&client).await;
        hostile.set("/token", Reply::Json(status, json!({})));
        hostile.describe(&json!({"token_endpoint": format!("{}/moved", hostile.issuer)}));
        half_a_minute_later(&client).await;
        assert_eq!(hostile.requests(DOCUMENT).len(), 1, "nothing suggests a change yet");
        assert!(finish(&client, begun, "code=c").await.is_err(), "{status}");
        eventually("it is asked again", || hostile.requests(DOCUMENT).len() == 2).await;
        eventually("the answer is taken in", || {
            client.client.issuer.metadata_now().unwrap().token.path() == "/moved"
        })
        .await;
    }
}

/// The control runtime is shared by everybody, so it stands still here: whoever needs it would wait for ever.
#[test]
fn tokens_that_nobody_signed_need_nothing_that_everybody_shares() {
    let control = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let worker = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (hostile, client, bad) = control.block_on(async {
        let hostile = Hostile::start().await;
        let client = start(config(&hostile.issuer));
        let bad = bearer(&hostile, &client, "unknown").await;
        eventually("the first fetch", || hostile.requests("/jwks").len() == 1).await;
        // The first such token is a reason to look for new keys.
        assert!(client.bearer(&bad).await.is_err());
        (hostile, client, bad)
    });
    let stranger = Signer::stranger().token(&rs256(), &json!({"sub": "x"}));
    worker.block_on(async {
        for token in [&bad, &stranger].into_iter().cycle().take(500) {
            let answer = tokio::time::timeout(Duration::from_secs(5), client.bearer(token)).await;
            let error = answer.expect("it waits for the control runtime").err().unwrap();
            assert!(!error.is_outage(), "{error}");
        }
    });
    assert_eq!(hostile.requests("/jwks").len(), 2);
}

#[tokio::test]
async fn a_withdrawn_key_counts_for_minutes_only_while_bearer_tokens_are_in_use() {
    let hostile = Hostile::start().await;
    let client = start(config(&hostile.issuer));
    let token = bearer(&hostile, &client, "rsa").await;
    assert!(client.bearer(&token).await.is_ok());
    let before = client.bearer_epoch();
    hostile.set("/jwks", Reply::Json(200, Signer::stranger().jwks()));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(5 * 60 + 1)).await;
    tokio::time::resume();
    eventually("the keys are fetched anew", || client.bearer_epoch() != before).await;
    assert!(client.bearer(&token).await.is_err());
    let other = start(config(&hostile.issuer));
    assert_ne!(other.bearer_epoch().0, client.bearer_epoch().0);
}

#[tokio::test]
async fn a_token_without_key_id_costs_a_bounded_number_of_tries() {
    let mut keys: Vec<Value> = Vec::new();
    for number in 0..20 {
        keys.push(Signer::stranger().jwk("RSA", &number.to_string()));
    }
    keys.push(Signer::shared().jwk("RSA", "last"));
    let hostile = Hostile::start().await;
    hostile.set("/jwks", Reply::Json(200, json!({ "keys": keys })));
    let client = start(config(&hostile.issuer));
    let mut claims = hostile.claims(&login(&client).await);
    claims["nonce"] = Value::Null;
    let token = |header: Value| Signer::shared().token(&header, &claims);
    assert!(client.bearer(&token(json!({"alg": "RS256", "kid": "last"}))).await.is_ok());
    assert!(client.bearer(&token(json!({"alg": "RS256"}))).await.is_err());
}

#[tokio::test]
async fn logins_that_hang_leave_room_for_refreshes() {
    let hostile = Hostile::start().await;
    let client = start(config(&hostile.issuer));
    let begun = login(&client).await;
    hostile.give(&hostile.claims(&begun));
    let session = finish(&client, begun, "code=c").await.unwrap();
    hostile.set("/token", Reply::Silence);
    let before = hostile.requests("/token").len();
    let mut flood = Vec::new();
    for _ in 0..200 {
        let (client, login) = (Arc::clone(&client), login(&client).await);
        flood.push(tokio::spawn(async move { finish(&client, login, "code=c").await }));
    }
    eventually("as many calls as may be", || hostile.requests("/token").len() == before + 24).await;
    hostile.set("/token", Reply::Json(200, json!({"access_token": "a", "token_type": "Bearer"})));
    let refresh = tokio::time::timeout(Duration::from_secs(2), refreshed(&client, &session)).await;
    refresh.expect("it waits behind the logins");
    assert_eq!(hostile.requests("/token").len(), before + 25);
    flood.iter().for_each(tokio::task::JoinHandle::abort);
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
