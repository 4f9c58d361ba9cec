//! Discovery documents and key sets that are wrong.

use super::hostile::{Hostile, Reply};
use super::signer::{Signer, rs256};
use super::*;
use crate::oidc::issuer::IssuerSettings;
use serde_json::{Value, json};

const DOCUMENT: &str = "/.well-known/openid-configuration";

/// The error that the status shows once the provider was asked.
async fn refused(hostile: &Hostile) -> String {
    let client = start(config(&hostile.issuer));
    eventually("an error", || client.status().error.is_some()).await;
    assert!(!client.status().ready);
    let error = client
        .login(REDIRECT, &Preferences::default(), str::to_owned)
        .await
        .err()
        .unwrap()
        .to_string();
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
        (Reply::Text(200, "application/json", twice), "issuer is there twice"),
        (Reply::Json(200, json!({"issuer": 7})), "issuer is no text"),
        (Reply::Json(200, json!([])), "no JSON object"),
        (Reply::Json(200, json!({"token_endpoint": "https://a.test"})), "there is no issuer"),
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
        (
            json!({"token_endpoint": null}),
            "names no token_endpoint: set endpoints.token (--redeem-url)",
        ),
        (
            json!({"authorization_endpoint": "javascript:alert(1)"}),
            "authorization_endpoint: \"javascript:alert(1)\" is not an http",
        ),
        (json!({"authorization_endpoint": "/auth"}), "authorization_endpoint: \"/auth\" is no URL"),
        (json!({"token_endpoint": 7}), "token_endpoint is no text"),
        (json!({"token_endpoint": ""}), "token_endpoint: \"\" is no URL"),
        (json!({"jwks_uri": ["x"]}), "jwks_uri is no text"),
        (json!({"jwks_uri": "/jwks"}), "jwks_uri: \"/jwks\" is no URL"),
        (json!({"token_endpoint": "https://x.test/#frag"}), "has a fragment"),
        (
            json!({"id_token_signing_alg_values_supported": ["HS256", "none"]}),
            "the provider offers \"HS256\", \"none\"",
        ),
    ] {
        hostile.describe(&members);
        let error = refused(&hostile).await;
        assert!(error.contains(part), "{part}: {error}");
    }
}

/// Members that no login needs, with values that no document should have for them.
fn oddities() -> Vec<(&'static str, Value)> {
    let no_list =
        [json!("client_secret_basic"), json!(7), json!({}), json!(true), json!([null, "RS256"])];
    let no_address = [
        json!(""),
        json!("/logout"),
        json!("https://a.test/#x"),
        json!("x:y"),
        json!(7),
        json!([]),
    ];
    let no_switch = [json!("true"), json!(1), json!([])];
    let members: [(&'static str, &[Value]); 8] = [
        ("token_endpoint_auth_methods_supported", &no_list),
        ("code_challenge_methods_supported", &no_list),
        ("id_token_signing_alg_values_supported", &no_list),
        ("scopes_supported", &no_list),
        ("prompt_values_supported", &no_list),
        ("userinfo_endpoint", &no_address),
        ("end_session_endpoint", &no_address),
        ("authorization_response_iss_parameter_supported", &no_switch),
    ];
    let each = |(name, values): (&'static str, &[Value])| {
        values.iter().map(|value| (name, value.clone())).collect::<Vec<_>>()
    };
    members.into_iter().flat_map(each).collect()
}

/// Each alone, and the login works.
#[tokio::test]
async fn what_no_login_needs_may_be_odd_in_every_way() {
    let hostile = Hostile::start().await;
    for (name, value) in oddities() {
        hostile.describe(&json!({ name: value }));
        let client = start(config(&hostile.issuer));
        let login = login(&client).await;
        let metadata = client.client.issuer.metadata_now().unwrap();
        assert!(
            matches!(&*metadata.odd, [one] if one.starts_with(name)),
            "{name} {value}: {:?}",
            metadata.odd
        );
        // A list of methods without one of ours is the provider's word, odd entries or not.
        if name != "token_endpoint_auth_methods_supported" || !value.is_array() {
            hostile.give(&hostile.claims(&login));
            let outcome = finish(&client, login, "code=c").await;
            assert!(outcome.is_ok(), "{name} {value}: {:?}", outcome.err());
        }
        // Null and absent say the same, and nothing odd.
        hostile.describe(&json!({ name: null }));
        let client = start(config(&hostile.issuer));
        super::login(&client).await;
        assert_eq!(client.client.issuer.metadata_now().unwrap().odd, [""; 0], "{name}");
    }
    let twice = r#"{"scopes_supported":[],"scopes_supported":[],"#;
    let twice = hostile.document().to_string().replacen('{', twice, 1);
    hostile.set(DOCUMENT, Reply::Text(200, "application/json", twice));
    let client = start(config(&hostile.issuer));
    login(&client).await;
    assert_eq!(
        client.client.issuer.metadata_now().unwrap().odd,
        ["scopes_supported is there twice"]
    );
}

#[tokio::test]
async fn an_issuer_behind_https_leads_to_no_place_that_is_not_unless_told_so() {
    let issuer = "https://idp.test";
    let document = |changes: Value| {
        let mut document = json!({
            "issuer": issuer, "authorization_endpoint": "https://idp.test/a",
            "token_endpoint": "https://idp.test/t", "jwks_uri": "https://idp.test/k",
            "userinfo_endpoint": "https://idp.test/u", "end_session_endpoint": "https://idp.test/e",
        });
        for (name, value) in changes.as_object().unwrap() {
            document[name] = value.clone();
        }
        document.to_string()
    };
    let read = |config: &Config, text: String| {
        let url = Url::parse(issuer).unwrap();
        let answer = crate::oidc::http::Answer {
            status: 200,
            media_type: String::new(),
            body: zeroize::Zeroizing::new(text.into_bytes()),
        };
        crate::oidc::discovery::read(&IssuerSettings::of(config), &url, &answer)
    };
    let strict = config(issuer);
    let mut lenient = config(issuer);
    lenient.insecure_allow_http_endpoints = true;
    for name in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
        let text = document(json!({ name: "http://idp.test/x" }));
        let error = read(&strict, text.clone()).unwrap_err().to_string();
        assert!(
            error.contains(name) && error.contains("--insecure-oidc-allow-http-endpoints"),
            "{error}"
        );
        assert!(read(&lenient, text).is_ok());
    }
    for name in ["userinfo_endpoint", "end_session_endpoint"] {
        let text = document(json!({ name: "http://idp.test/x" }));
        let found = read(&strict, text.clone()).unwrap();
        assert!(matches!(&*found.odd, [one] if one.contains("is not https")), "{:?}", found.odd);
        assert!(found.userinfo.is_none() || found.end_session.is_none());
        assert!(read(&lenient, text).unwrap().odd.is_empty());
    }
}

#[tokio::test]
async fn groups_are_not_asked_for_where_the_provider_lists_its_scopes_without_them() {
    let hostile = Hostile::start().await;
    for (scopes, asked) in [
        (json!(["openid", "groups"]), "openid email profile groups"),
        (json!(["openid", "email"]), "openid email profile"),
        (json!([]), "openid email profile"),
        (Value::Null, "openid email profile groups"),
    ] {
        hostile.describe(&json!({ "scopes_supported": scopes }));
        let settings = alone(config(&hostile.issuer));
        let client = start_among(ClientSettings { groups_required: true, ..settings }, &[]);
        let url = login(&client).await.url;
        assert_eq!(parameter(&url, "scope").as_deref(), Some(asked), "{scopes}");
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
    for (jwks, part) in [
        (json!({"keys": []}), "no key for signatures"),
        (json!([]), "no JSON object"),
        (json!({"keys": "x"}), "invalid type"),
        (json!({"keys": [{"kty": "oct", "k": "AAAA"}]}), "one without an id is a shared secret"),
        (
            json!({"keys": [{"kty": "RSA", "kid": "weak", "n": "AQAB", "e": "AQAB"}]}),
            "\"weak\" is an RSA key of less than 2048 bits",
        ),
    ] {
        let error = with_keys(&hostile, jwks.clone()).await.err().unwrap();
        assert_eq!(error.failure(), crate::oidc::Failure::Unavailable, "{jwks}: {error}");
        assert!(error.to_string().contains(part), "{jwks}: {error}");
        assert!(error.message().contains("publishes no key"), "{}", error.message());
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
