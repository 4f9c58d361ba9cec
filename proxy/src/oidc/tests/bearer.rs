//! Bearer tokens.

use super::hostile::{Hostile, Reply};
use super::signer::{Signer, rs256};
use super::*;
use crate::oidc::bearer::BearerError;
use crate::oidc::issuer::IssuerSettings;
use serde_json::{Value, json};

async fn claims(hostile: &Hostile, client: &Provider) -> Value {
    let mut claims = hostile.claims(&login(client).await);
    claims["nonce"] = Value::Null;
    claims
}

#[tokio::test]
async fn a_bearer_token_is_a_session_until_it_expires() {
    let hostile = Hostile::start().await;
    hostile.describe(&json!({"userinfo_endpoint": format!("{}/userinfo", hostile.issuer)}));
    let client = start(config(&hostile.issuer));
    let mut claims = claims(&hostile, &client).await;
    claims["iat"] = Value::Null;
    claims["azp"] = json!("frontend");
    claims["aud"] = json!(["proxy", "account"]);
    claims["email"] = Value::Null;
    claims["groups"] = Value::Null;
    let token = Signer::shared().token(&rs256(), &claims);
    let session = client.bearer(&token).await.unwrap();
    assert_eq!(
        session.identity.email.as_deref(),
        Some("user-1"),
        "the subject takes the place of the address"
    );
    assert_eq!(session.expires_at.map(jiff::Timestamp::as_second), claims["exp"].as_i64());
    assert!(
        session.access_token.is_some_and(|t| t.as_str() == token)
            && session.refresh_token.is_none()
    );
    assert!(hostile.requests("/userinfo").is_empty() && hostile.requests("/token").is_empty());
}

#[tokio::test]
async fn a_bad_bearer_token_is_refused() {
    let hostile = Hostile::start().await;
    let client = start(config(&hostile.issuer));
    let good = claims(&hostile, &client).await;
    let now = jiff::Timestamp::now().as_second();
    for (changes, part) in [
        (json!({"exp": now - 1}), "expired"),
        (json!({"exp": null}), "no exp"),
        (json!({"aud": "other"}), "is for \"other\""),
        (json!({"iss": "https://evil.test"}), "is from"),
        (json!({"sub": null, "email": null}), "no sub"),
        (json!({"sub": 7}), "sub has a wrong type"),
        (json!({"cnf": {"jkt": "x"}}), "bound to a key"),
        (json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}), "logout"),
        (json!({"email_verified": false}), "not verified"),
    ] {
        let mut claims = good.clone();
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let error = client.bearer(&Signer::shared().token(&rs256(), &claims)).await.err().unwrap();
        assert!(error.to_string().contains(part) && !error.is_outage(), "{changes}: {error}");
    }
    let token = Signer::shared().token(&rs256(), &good);
    let (message, _) = token.rsplit_once('.').unwrap();
    let hmac = Signer::shared().token(&json!({"alg": "HS256", "kid": "rsa"}), &good);
    let none = Signer::shared().token(&json!({"alg": "none"}), &good);
    let padded = format!("{token}=");
    for bad in [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c.d",
        message,
        &hmac,
        &none,
        &padded,
        &format!("{message}."),
        &"a".repeat(300_000),
    ] {
        assert!(matches!(client.bearer(bad).await, Err(BearerError::Refused(_))), "{bad:.100}");
    }
    let stranger = Signer::stranger().token(&rs256(), &good);
    assert!(client.bearer(&stranger).await.is_err());
}

#[tokio::test]
async fn a_bearer_token_without_subject_is_known_by_its_address() {
    let hostile = Hostile::start().await;
    let client = start(config(&hostile.issuer));
    let mut claims = claims(&hostile, &client).await;
    claims["sub"] = Value::Null;
    let session = client.bearer(&Signer::shared().token(&rs256(), &claims)).await.unwrap();
    assert_eq!(session.identity.email.as_deref(), Some("alice@example.com"));
    assert_eq!(session.identity.user, "");
}

#[tokio::test]
async fn without_keys_a_bearer_token_is_neither_good_nor_bad() {
    let hostile = Hostile::start().await;
    hostile.set("/jwks", Reply::Json(503, json!({})));
    let client = start(config(&hostile.issuer));
    let token = Signer::shared().token(&rs256(), &claims(&hostile, &client).await);
    eventually("the keys were asked for", || !hostile.requests("/jwks").is_empty()).await;
    let error = client.bearer(&token).await.err().unwrap();
    assert!(error.is_outage(), "{error}");
}

#[tokio::test]
async fn the_first_audience_claim_that_exists_decides() {
    let hostile = Hostile::start().await;
    let mut config = config(&hostile.issuer);
    config.claims.audience = vec!["client_id".to_owned(), "aud".to_owned()];
    config.claims.extra_audiences = vec!["api".to_owned()];
    let client = start(config);
    let good = claims(&hostile, &client).await;
    for (changes, ok) in [
        (json!({}), true),
        (json!({"client_id": "api", "aud": "nobody"}), true),
        (json!({"client_id": "other", "aud": "proxy"}), false),
        (json!({"client_id": ["x", "proxy"]}), true),
        (json!({"aud": "api"}), true),
    ] {
        let mut claims = good.clone();
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let outcome = client.bearer(&Signer::shared().token(&rs256(), &claims)).await;
        assert_eq!(outcome.is_ok(), ok, "{changes} {:?}", outcome.err());
    }
}

#[test]
fn only_google_may_write_its_issuer_in_two_ways() {
    let google = IssuerSettings::of(&config("https://accounts.google.com"));
    assert!(google.is_called("https://accounts.google.com"));
    assert!(google.is_called("accounts.google.com"));
    assert!(!google.is_called("http://accounts.google.com"));
    assert!(!IssuerSettings::of(&config("https://idp.test")).is_called("idp.test"));
}
