//! Discovery documents and key sets that are wrong.

use super::hostile::{Hostile, Reply};
use super::signer::{Signer, rs256};
use super::*;
use serde_json::{Value, json};

const DOCUMENT: &str = "/.well-known/openid-configuration";

/// The error that the status shows once the provider was asked.
async fn refused(hostile: &Hostile) -> String {
    let client = start(config(&hostile.issuer));
    eventually("an error", || client.status().error.is_some()).await;
    assert!(!client.status().ready);
    let error = client.login(REDIRECT, str::to_owned).await.err().unwrap().to_string();
    let status = client.status().error.unwrap();
    assert!(error.contains(&status), "{error}");
    status
}

#[tokio::test]
async fn another_issuer_is_refused_with_both_names_and_advice() {
    let hostile = Hostile::start().await;
    hostile.describe(&json!({"issuer": format!("{}/", hostile.issuer)}));
    let error = refused(&hostile).await;
    assert!(
        error.contains(&format!("\"{}/\"", hostile.issuer)) && error.contains("trailing slash"),
        "{error}"
    );
}

#[tokio::test]
async fn another_issuer_is_taken_only_if_the_check_is_off() {
    let hostile = Hostile::start().await;
    hostile.describe(&json!({"issuer": "https://elsewhere.test"}));
    let mut config = config(&hostile.issuer);
    config.insecure_skip_issuer_verification = true;
    assert!(login(&start(config)).await.url.starts_with(&hostile.issuer));
}

#[tokio::test]
async fn a_document_that_is_none_is_refused_by_name() {
    let hostile = Hostile::start().await;
    let address = format!("{}{DOCUMENT}", hostile.issuer);
    let twice = format!("{{\"issuer\":\"{0}\",\"issuer\":\"{0}\"}}", hostile.issuer);
    for (reply, part) in [
        (Reply::Json(404, json!({})), "the status is 404"),
        (Reply::Text(200, "text/html", "<html>".to_owned()), "no JSON object"),
        (Reply::Text(200, "application/json", twice), "duplicate field `issuer`"),
        (Reply::Json(200, json!({"issuer": 7})), "invalid type: integer `7`"),
        (Reply::Json(200, json!([])), "no JSON object"),
        (
            Reply::Json(200, json!({"token_endpoint_auth_methods_supported": "y".repeat(100_000)})),
            "invalid type: string \"yyy",
        ),
        (Reply::Flood, "longer than 1048576 bytes"),
        (Reply::Redirect("ftp://127.0.0.1/".to_owned()), "not http"),
        (Reply::Redirect(DOCUMENT.to_owned()), "more than three times"),
    ] {
        hostile.set(DOCUMENT, reply);
        let error = refused(&hostile).await;
        assert!(error.contains(part) && error.contains(&address), "{part}: {error}");
        assert!(error.len() < 600, "{} bytes", error.len());
    }
}

#[tokio::test]
async fn endpoints_that_can_not_be_used_are_named() {
    let hostile = Hostile::start().await;
    for (members, part) in [
        (json!({"token_endpoint": null}), "there is no token endpoint"),
        (
            json!({"authorization_endpoint": "javascript:alert(1)"}),
            "authorization: \"javascript:alert(1)\" is not an http",
        ),
        (json!({"jwks_uri": "/jwks"}), "jwks: \"/jwks\" is no URL"),
        (json!({"token_endpoint": "https://x.test/#frag"}), "has a fragment"),
        (
            json!({"id_token_signing_alg_values_supported": ["HS256", "none"]}),
            "the provider offers \"HS256\", \"none\"",
        ),
        (json!({"id_token_signing_alg_values_supported": "RS256"}), "invalid type"),
    ] {
        hostile.describe(&members);
        let error = refused(&hostile).await;
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[tokio::test]
async fn a_provider_that_is_silent_is_given_up_in_bounded_time() {
    let hostile = Hostile::start().await;
    hostile.set(DOCUMENT, Reply::Silence);
    let client = start(config(&hostile.issuer));
    eventually("the request", || !hostile.requests(DOCUMENT).is_empty()).await;
    tokio::time::pause();
    let before = Instant::now();
    while client.status().error.is_none() {
        sleep(Duration::from_millis(100)).await;
        assert!(before.elapsed() < Duration::from_secs(12));
    }
    assert!(client.status().error.unwrap().contains("did not answer within 10 s"));
}

#[tokio::test]
async fn one_redirect_is_followed() {
    let hostile = Hostile::start().await;
    hostile.set("/real", Reply::Json(200, hostile.document()));
    hostile.set(DOCUMENT, Reply::Redirect("/real".to_owned()));
    login(&start(config(&hostile.issuer))).await;
}

#[tokio::test]
async fn pkce_is_left_out_only_if_the_provider_can_not_or_must_not() {
    let hostile = Hostile::start().await;
    for (offered, method) in [
        (Value::Null, Some("S256")),
        (json!(["plain", "S256"]), Some("S256")),
        (json!(["plain"]), Some("plain")),
        (json!([]), None),
    ] {
        hostile.describe(&json!({"code_challenge_methods_supported": offered}));
        let login = login(&start(config(&hostile.issuer))).await;
        assert_eq!(parameter(&login.url, "code_challenge_method").as_deref(), method, "{offered}");
        assert_eq!(parameter(&login.url, "code_challenge").is_some(), method.is_some());
    }
    let mut config = config(&hostile.issuer);
    config.code_challenge_method = Some(proxy_config::PkceMethod::None);
    hostile.describe(&json!({"code_challenge_methods_supported": ["S256"]}));
    assert_eq!(parameter(&login(&start(config)).await.url, "code_challenge"), None);
}

/// The outcome of a good login while the key set is `jwks`.
async fn with_keys(hostile: &Hostile, jwks: Value) -> Result<Session, CallbackError> {
    hostile.set("/jwks", Reply::Json(200, jwks));
    let client = start(config(&hostile.issuer));
    let login = login(&client).await;
    hostile.give(&hostile.claims(&login));
    finish(&client, login, "code=c").await
}

#[tokio::test]
async fn keys_of_unknown_kinds_and_broken_keys_are_skipped() {
    let hostile = Hostile::start().await;
    let good = Signer::shared().jwk("RSA", "rsa");
    let weak = json!({"kty": "RSA", "kid": "rsa", "n": "AQAB", "e": "AQAB"});
    let curve = json!({"kty": "EC", "kid": "rsa", "crv": "P-256", "x": "AA", "y": "AA"});
    let off_curve = json!({"kty": "EC", "kid": "rsa", "crv": "P-256", "x": "A".repeat(43), "y": "A".repeat(43)});
    let keys = json!({"keys": [
        7, null, {}, {"kty": "XX"}, {"kty": "oct", "kid": "rsa", "k": "AAAA"}, {"kty": "RSA", "kid": 5}, weak, curve, off_curve,
        {"kty": "RSA", "kid": "rsa", "use": "enc", "n": good["n"], "e": "AQAB"}, {"kty": "AKP", "alg": "ML-DSA-44", "pub": "x"},
        {"kty": "OKP", "crv": "X25519", "kid": "rsa", "x": "AA"}, good,
    ]});
    assert!(with_keys(&hostile, keys).await.is_ok());
}

#[tokio::test]
async fn a_key_is_used_for_nothing_but_what_it_is_for() {
    let hostile = Hostile::start().await;
    for change in [
        json!({"use": "enc"}),
        json!({"alg": "RSA-OAEP"}),
        json!({"alg": "PS256"}),
        json!({"key_ops": ["encrypt"]}),
        json!({"kid": "other"}),
    ] {
        let mut key = Signer::shared().jwk("RSA", "rsa");
        for (name, value) in change.as_object().unwrap() {
            key[name] = value.clone();
        }
        let error = with_keys(&hostile, json!({"keys": [key, Signer::shared().jwk("EC", "ec")]}))
            .await
            .err();
        assert!(
            error.as_ref().is_some_and(|e| e.to_string().contains("publishes no key \"rsa\"")),
            "{change}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_key_set_that_is_none_is_no_reason_to_refuse_anybody_for_good() {
    let hostile = Hostile::start().await;
    for jwks in [
        json!({"keys": []}),
        json!([]),
        json!({"keys": "x"}),
        json!({"keys": [{"kty": "oct", "k": "AAAA"}]}),
    ] {
        let error = with_keys(&hostile, jwks.clone()).await.err().unwrap();
        assert_eq!(error.failure(), crate::oidc::Failure::Unavailable, "{jwks}: {error}");
    }
    hostile.set("/jwks", Reply::Flood);
    let client = start(config(&hostile.issuer));
    eventually("the error", || {
        client.status().error.is_some_and(|e| e.contains("longer than 524288 bytes"))
    })
    .await;
    assert!(client.status().ready);
}

#[tokio::test]
async fn an_unknown_key_id_is_looked_up_once_and_not_at_will() {
    let hostile = Hostile::start().await;
    hostile.set("/jwks", Reply::Json(200, Signer::stranger().jwks()));
    let client = start(config(&hostile.issuer));
    let first = login(&client).await;
    eventually("the first fetch", || hostile.requests("/jwks").len() == 1).await;
    let bearer = |id: &str| {
        let mut claims = hostile.claims(&first);
        claims["nonce"] = Value::Null;
        let mut header = rs256();
        header["kid"] = json!(id);
        Signer::shared().token(&header, &claims)
    };
    for id in ["a", "b", "c", "../../jwks", "' OR 1=1"] {
        assert!(client.bearer(&bearer(id)).await.is_err());
    }
    assert_eq!(hostile.requests("/jwks").len(), 2, "bearer tokens made us fetch keys at will");
    // After the bound has passed, one more fetch finds the new key.
    hostile.set("/jwks", Reply::Json(200, Signer::shared().jwks()));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
    assert!(client.bearer(&bearer("rsa")).await.is_ok());
    assert_eq!(hostile.requests("/jwks").len(), 3);
}
