//! Logins in which something is wrong: none of them gives a session, and each says why.

use super::hostile::{Hostile, Reply};
use super::signer::{Signer, rs256};
use super::*;
use crate::oidc::Failure;
use serde_json::{Value, json};

/// The error of a login whose ID token has `header` and the usual claims with `changes`.
async fn refused(hostile: &Hostile, header: &Value, changes: &Value) -> CallbackError {
    let client = start(config(&hostile.issuer));
    let login = login(&client).await;
    let mut claims = hostile.claims(&login);
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    hostile.give_token(&Signer::shared().token(header, &claims));
    match finish(&client, login, "code=c").await {
        Err(error) => error,
        Ok(_) => panic!("{header} {changes} was accepted"),
    }
}

#[tokio::test]
async fn a_good_login_gives_a_session_with_every_token_and_claim() {
    let hostile = Hostile::start().await;
    let client = start(config(&hostile.issuer));
    let login = login(&client).await;
    hostile.give(&hostile.claims(&login));
    let session = finish(&client, login, "code=c").await.unwrap();
    assert_eq!(session.identity.user, "user-1");
    assert_eq!(session.identity.email.as_deref(), Some("alice@example.com"));
    assert_eq!(session.identity.groups, ["staff"]);
    assert_eq!(session.identity.preferred_username.as_deref(), Some("alice"));
    assert!(session.refresh_token.as_ref().is_some_and(|t| t.as_str() == "refresh-1"));
    assert!(session.access_token.as_ref().is_some_and(|t| t.as_str() == "access-1"));
    assert_eq!(
        session.expires_at.map(|at| at.as_second() - session.created_at.as_second()),
        Some(60)
    );
    let request = &hostile.requests("/token")[0];
    // Id and secret are form-encoded before base64 (RFC 6749 section 2.3.1).
    let expected =
        base64_simd::STANDARD.encode_to_string("proxy:a+secret+with+spaces+%26+signs%3A+%25%2B%2F");
    assert!(request.contains(&format!("authorization: Basic {expected}\r\n")), "{request}");
    assert!(request.contains("user-agent: oauth2-proxy/"), "{request}");
    assert!(
        request.contains("grant_type=authorization_code") && request.contains("code_verifier="),
        "{request}"
    );
    assert!(!request.contains("client_secret"), "{request}");
}

#[tokio::test]
async fn tricks_with_the_signature_do_not_work() {
    let hostile = Hostile::start().await;
    let key = Signer::stranger().jwk("RSA", "rsa");
    for (header, part) in [
        (json!({"alg": "none"}), "signed by \"none\""),
        (json!({"alg": "None", "kid": "rsa"}), "signed by \"None\""),
        (json!({"alg": "HS256", "kid": "rsa"}), "signed by \"HS256\""),
        (json!({"alg": "RS512", "kid": "rsa"}), "signed by \"RS512\""),
        (json!({"alg": "ES256", "kid": "rsa"}), "no key \"rsa\""),
        (json!({"alg": "RS256", "kid": "ec"}), "no key \"ec\""),
        (json!({"alg": "RS256", "kid": "unknown"}), "no key \"unknown\""),
        (json!({"alg": "RS256", "kid": 7}), "not a JWT"),
        (json!({"kid": "rsa"}), "not a JWT"),
        (json!({"alg": "RS256", "kid": "rsa", "crit": ["exp"], "exp": 1}), "critical"),
        (json!({"alg": "RS256", "kid": "rsa", "b64": false}), "critical"),
    ] {
        let error = refused(&hostile, &header, &json!({})).await;
        assert!(error.to_string().contains(part), "{header}: {error}");
        assert_eq!(error.failure(), Failure::Misconfigured);
    }
    // A key in the header of the token itself is not the provider's.
    let client = start(config(&hostile.issuer));
    let login = login(&client).await;
    let header = json!({"alg": "RS256", "kid": "rsa", "jwk": key, "jku": format!("{}/evil", hostile.issuer)});
    hostile.give_token(&Signer::stranger().token(&header, &hostile.claims(&login)));
    let error = finish(&client, login, "code=c").await.err().unwrap();
    assert!(error.to_string().contains("its signature is not the provider's"), "{error}");
    assert!(hostile.requests("/evil").is_empty());
}

#[tokio::test]
async fn a_token_without_key_id_is_checked_with_every_key_of_its_kind() {
    let hostile = Hostile::start().await;
    for algorithm in ["RS256", "ES256", "PS256", "EdDSA"] {
        let client = start(config(&hostile.issuer));
        let login = login(&client).await;
        hostile.give_token(
            &Signer::shared().token(&json!({"alg": algorithm}), &hostile.claims(&login)),
        );
        assert!(finish(&client, login, "code=c").await.is_ok(), "{algorithm}");
    }
}

#[tokio::test]
async fn an_algorithm_that_is_not_configured_is_refused_although_the_provider_offers_it() {
    let hostile = Hostile::start().await;
    let mut config = config(&hostile.issuer);
    config.signing_algorithms = vec![proxy_config::SigningAlgorithm::ES256];
    let client = start(config);
    let login = login(&client).await;
    hostile.give(&hostile.claims(&login));
    let error = finish(&client, login, "code=c").await.err().unwrap().to_string();
    assert!(error.contains("signed by \"RS256\", accepted is ES256"), "{error}");
}

#[tokio::test]
async fn claims_that_protect_must_be_there_and_right() {
    let hostile = Hostile::start().await;
    let now = jiff::Timestamp::now().as_second();
    for (changes, part) in [
        (json!({"iss": null}), "no iss"),
        (json!({"iss": "https://evil.test"}), "is from \"https://evil.test\""),
        (json!({"iss": ["x"]}), "iss has a wrong type"),
        (json!({"sub": null}), "no sub"),
        (json!({"sub": ""}), "no sub"),
        (json!({"sub": 7}), "sub has a wrong type"),
        (json!({"aud": null}), "no audience"),
        (json!({"aud": []}), "is for  (claim aud)"),
        (json!({"aud": 7}), "audience has a wrong type"),
        (json!({"aud": ["proxy", 7]}), "audience has a wrong type"),
        (json!({"aud": "account"}), "is for \"account\" (claim aud), wanted is \"proxy\""),
        (json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}), "logout"),
        (json!({"cnf": {"jkt": "x"}}), "bound to a key"),
        (json!({"exp": null}), "no exp"),
        (json!({"exp": "soon"}), "exp has a wrong type"),
        (json!({"exp": now - 61}), "expired"),
        (json!({"iat": null}), "no iat"),
        (json!({"iat": now + 310}), "only (claim iat)"),
        (json!({"nbf": now + 310}), "only (claim nbf)"),
        (json!({"nonce": null}), "no nonce"),
        (json!({"nonce": "x"}), "nonce is not that of this login"),
        (json!({"at_hash": "x"}), "at_hash is not that"),
        (json!({"at_hash": 1}), "at_hash has a wrong type"),
    ] {
        let error = refused(&hostile, &rs256(), &changes).await;
        assert!(error.to_string().contains(part), "{changes}: {error}");
        let decided = error.failure() != Failure::Misconfigured;
        let personal = [" is for ", "no audience", "nonce"];
        assert_eq!(
            decided,
            personal.iter().any(|part| error.to_string().contains(part)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn clocks_may_differ_a_little_and_times_may_have_fractions() {
    let hostile = Hostile::start().await;
    let now = jiff::Timestamp::now().as_second();
    for changes in [
        json!({"exp": now - 30, "iat": now - 90}),
        json!({"iat": now + 200, "nbf": now + 200}),
        json!({"exp": 4e9 + 0.5}),
    ] {
        let client = start(config(&hostile.issuer));
        let login = login(&client).await;
        let mut claims = hostile.claims(&login);
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        hostile.give(&claims);
        assert!(finish(&client, login, "code=c").await.is_ok(), "{changes}");
    }
}

#[tokio::test]
async fn the_right_access_token_hash_is_accepted() {
    let hostile = Hostile::start().await;
    let client = start(config(&hostile.issuer));
    let login = login(&client).await;
    let mut claims = hostile.claims(&login);
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"access-1");
    claims["at_hash"] = json!(base64_simd::URL_SAFE_NO_PAD.encode_to_string(&hash.as_ref()[..16]));
    hostile.give(&claims);
    assert!(finish(&client, login, "code=c").await.is_ok());
}

#[tokio::test]
async fn an_unverified_or_missing_address_is_denied_with_claim_and_option() {
    let hostile = Hostile::start().await;
    for (changes, account, option) in [
        (
            json!({"email_verified": false}),
            "alice@example.com",
            "--insecure-oidc-allow-unverified-email",
        ),
        (json!({"email_verified": "false"}), "alice@example.com", "email_verified"),
        (json!({"email_verified": [1]}), "alice@example.com", "email_verified"),
        (json!({"email": null}), "user-1", "--oidc-email-claim"),
        (json!({"email": ""}), "user-1", "claims.email"),
    ] {
        let error = refused(&hostile, &rs256(), &changes).await;
        assert_eq!(error.failure(), Failure::Denied);
        let message = error.message();
        assert!(message.contains(account) && message.contains(option), "{message}");
    }
}

#[tokio::test]
async fn the_issuer_of_the_response_is_checked_before_anything_is_sent() {
    let hostile = Hostile::start().await;
    let client = start(config(&hostile.issuer));
    for query in [
        "code=c&iss=https%3A%2F%2Fevil.test",
        "error=access_denied&iss=https%3A%2F%2Fevil.test",
        "code=c&iss=",
    ] {
        let error = finish(&client, login(&client).await, query).await.err().unwrap();
        assert!(matches!(error, CallbackError::Issuer { .. }), "{error}");
    }
    hostile.describe(&json!({"authorization_response_iss_parameter_supported": true}));
    let client = start(config(&hostile.issuer));
    let error = finish(&client, login(&client).await, "code=c").await.err().unwrap();
    assert!(matches!(error, CallbackError::NoIssuer), "{error}");
    assert!(hostile.requests("/token").is_empty());
}

#[tokio::test]
async fn a_refusal_of_the_provider_is_shown_clean_and_short() {
    let hostile = Hostile::start().await;
    let client = start(config(&hostile.issuer));
    let query = format!("error=access_denied%0d%0aforged&error_description={}", "x".repeat(1000));
    let error = finish(&client, login(&client).await, &query).await.err().unwrap();
    let (log, page) = (error.to_string(), error.message());
    assert!(log.contains("access_denied??forged") && log.len() < 400, "{log}");
    assert!(!page.contains("forged") && !page.contains("xxx"), "{page}");
    let query = "error=access_denied&error_description=%E4";
    let page = finish(&client, login(&client).await, query).await.err().unwrap().message();
    assert!(page.contains("access_denied"), "{page}");
    let error =
        finish(&client, login(&client).await, "error=temporarily_unavailable").await.err().unwrap();
    assert_eq!(error.failure(), Failure::Unavailable);
    let error = finish(&client, login(&client).await, "session_state=x").await.err().unwrap();
    assert!(matches!(error, CallbackError::NoCode) && error.failure() == Failure::Misconfigured);
    assert!(hostile.requests("/token").is_empty());
}

#[tokio::test]
async fn a_refused_scope_is_named_with_the_option_that_asked_for_it() {
    let hostile = Hostile::start().await;
    let own = Some("openid mail".to_owned());
    for (scope, groups, asked, for_groups) in [
        (None, false, "\"openid email profile\"", false),
        (None, true, "\"openid email profile groups\"", true),
        (own.clone(), false, "\"openid mail\"", false),
        (own, true, "\"openid mail\"", false),
    ] {
        let mut config = config(&hostile.issuer);
        config.scope = scope;
        let settings = ClientSettings { groups_required: groups, ..alone(config) };
        let client = start_among(settings, &[]);
        let refused = "error=invalid_scope&error_description=no%20such%20thing";
        let at_once = finish(&client, login(&client).await, refused).await.err().unwrap();
        let answer = json!({"error": "invalid_scope", "error_description": "no such thing"});
        hostile.set("/token", Reply::Json(400, answer));
        let later = finish(&client, login(&client).await, "code=c").await.err().unwrap();
        for error in [at_once, later] {
            let (log, page) = (error.to_string(), error.message());
            assert_eq!(error.failure(), Failure::Misconfigured, "{log}");
            for text in [&log, &page] {
                assert!(text.contains(asked) && text.contains("(--scope)"), "{text}");
                assert!(text.contains("invalid_scope"), "{text}");
                assert_eq!(text.contains("--allowed-group"), for_groups, "{text}");
            }
            assert!(log.contains("no such thing") && !page.contains("no such thing"), "{page}");
        }
    }
}

#[tokio::test]
async fn a_bad_token_answer_is_named_and_the_code_is_sent_once() {
    let hostile = Hostile::start().await;
    for (reply, part, failure) in [
        (
            Reply::Json(400, json!({"error": "invalid_grant"})),
            "400 invalid_grant",
            Failure::TryAgain,
        ),
        (
            Reply::Json(401, json!({"error": "invalid_client", "error_description": "no\nway"})),
            "401 invalid_client (\"no?way\"): the client id or secret",
            Failure::Misconfigured,
        ),
        (Reply::Json(200, json!({"error": "slow_down"})), "200 slow_down", Failure::Misconfigured),
        (Reply::Json(503, json!({})), "503", Failure::Unavailable),
        (Reply::Text(502, "text/html", "<html>".to_owned()), "502", Failure::Unavailable),
        (Reply::Json(200, json!({})), "no access_token", Failure::Misconfigured),
        (Reply::Json(200, json!({"access_token": 7})), "not text", Failure::Misconfigured),
        (
            Reply::Json(200, json!({"access_token": "a", "token_type": "DPoP"})),
            "proof of a key",
            Failure::Misconfigured,
        ),
        (
            Reply::Json(200, json!({"access_token": "a", "expires_in": "soon"})),
            "expires_in",
            Failure::Misconfigured,
        ),
        (Reply::Json(200, json!({"access_token": "a"})), "no id_token", Failure::Misconfigured),
        (
            Reply::Json(200, json!({"access_token": "a", "id_token": "x.y"})),
            "not a JWT",
            Failure::Misconfigured,
        ),
        (Reply::Json(200, json!([1])), "no JSON object", Failure::Misconfigured),
        (Reply::Flood, "longer than", Failure::Unavailable),
        (
            Reply::Redirect("/elsewhere".to_owned()),
            "redirects a token request",
            Failure::Unavailable,
        ),
    ] {
        let before = hostile.requests("/token").len();
        hostile.set("/token", reply);
        let client = start(config(&hostile.issuer));
        let error = finish(&client, login(&client).await, "code=the-code").await.err().unwrap();
        assert!(error.to_string().contains(part), "{part}: {error}");
        assert_eq!(error.failure(), failure, "{part}");
        // A second time only where the provider did not look at it, because it did not know us.
        let times = if part.contains("invalid_client") { 2 } else { 1 };
        assert_eq!(hostile.requests("/token").len(), before + times, "{part}");
        for text in [error.to_string(), error.message(), format!("{error:?}")] {
            assert!(!text.contains("the-code") && !text.contains(SECRET), "{text}");
        }
    }
    assert!(hostile.requests("/elsewhere").is_empty());
}

#[tokio::test]
async fn tolerated_token_answers_are_read() {
    let hostile = Hostile::start().await;
    for (kind, as_form) in
        [("text/plain", true), ("application/x-www-form-urlencoded", true), ("text/plain", false)]
    {
        let client = start(config(&hostile.issuer));
        let login = login(&client).await;
        let token = Signer::shared().token(&rs256(), &hostile.claims(&login));
        let body = if as_form {
            format!("access_token=a%2Bb&id_token={token}&expires_in=90")
        } else {
            json!({"access_token": "a+b", "id_token": token, "expires_in": "90", "refresh_token": null}).to_string()
        };
        hostile.set("/token", Reply::Text(200, kind, body));
        let session = finish(&client, login, "code=c").await.unwrap();
        assert!(session.access_token.is_none(), "nobody said that it is a bearer token");
        assert_eq!(
            session.expires_at.map(|at| at.as_second() - session.created_at.as_second()),
            Some(90)
        );
    }
}

#[tokio::test]
async fn client_authentication_is_one_that_the_provider_offers() {
    let hostile = Hostile::start().await;
    for (offered, part) in [
        (json!(["client_secret_post", "client_secret_basic"]), "authorization: Basic"),
        (json!(["private_key_jwt", "client_secret_post"]), "client_secret=a+secret+with"),
    ] {
        hostile.describe(&json!({"token_endpoint_auth_methods_supported": offered}));
        let client = start(config(&hostile.issuer));
        let login = login(&client).await;
        hostile.give(&hostile.claims(&login));
        finish(&client, login, "code=c").await.unwrap();
        let request = hostile.requests("/token").pop().unwrap();
        assert!(request.contains(part), "{request}");
    }
    hostile.describe(&json!({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}));
    let client = start(config(&hostile.issuer));
    let error = finish(&client, login(&client).await, "code=c").await.err().unwrap();
    assert!(error.to_string().contains("offers only \"private_key_jwt\""), "{error}");
    let mut public = config(&hostile.issuer);
    public.client_secret = None;
    let client = start(public);
    let login = login(&client).await;
    hostile.give(&hostile.claims(&login));
    finish(&client, login, "code=c").await.unwrap();
    let request = hostile.requests("/token").pop().unwrap();
    assert!(
        request.contains("client_id=proxy") && !request.contains("authorization:"),
        "{request}"
    );
}

#[tokio::test]
async fn a_token_for_us_is_ours_whoever_had_it_issued() {
    let hostile = Hostile::start().await;
    for changes in [
        json!({"aud": ["proxy", "other"]}),
        json!({"aud": "proxy", "azp": "mobile-app"}),
        json!({"azp": ""}),
        json!({"at_hash": ""}),
    ] {
        let client = start(config(&hostile.issuer));
        let login = login(&client).await;
        let mut claims = hostile.claims(&login);
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        hostile.give(&claims);
        let outcome = finish(&client, login, "code=c").await;
        assert!(outcome.is_ok(), "{changes}: {:?}", outcome.err());
    }
    let mut config = config(&hostile.issuer);
    config.claims.extra_audiences = vec!["api".to_owned()];
    let client = start(config);
    let login = login(&client).await;
    let mut claims = hostile.claims(&login);
    claims["aud"] = json!("api");
    claims["azp"] = json!("stranger");
    hostile.give(&claims);
    let error = finish(&client, login, "code=c").await.err().unwrap().to_string();
    assert!(error.contains("issued to \"stranger\""), "{error}");
}

#[tokio::test]
async fn tokens_of_other_kinds_are_no_id_tokens() {
    let hostile = Hostile::start().await;
    for kind in ["logout+jwt", "application/logout+JWT", "secevent+jwt", "dpop+jwt"] {
        let header = json!({"alg": "RS256", "kid": "rsa", "typ": kind});
        let error = refused(&hostile, &header, &json!({})).await.to_string();
        assert!(error.contains("proves nobody's login"), "{kind}: {error}");
    }
}

#[tokio::test]
async fn nothing_of_a_token_is_shown_on_the_page_of_a_wrong_audience() {
    let hostile = Hostile::start().await;
    let error = refused(&hostile, &rs256(), &json!({"aud": "some-other-client"})).await;
    let page = error.message();
    assert!(error.to_string().contains("some-other-client"), "{error}");
    assert!(!page.contains("some-other-client"), "{page}");
    assert!(page.contains("claim aud") && page.contains("--oidc-extra-audience"), "{page}");
}

#[tokio::test]
async fn advice_about_an_algorithm_never_says_to_accept_none() {
    let hostile = Hostile::start().await;
    for (algorithm, advised) in [("none", false), ("HS256", false), ("RS512", true)] {
        let error = refused(&hostile, &json!({"alg": algorithm, "kid": "rsa"}), &json!({})).await;
        let error = error.to_string();
        assert_eq!(error.contains("--oidc-enabled-signing-alg"), advised, "{error}");
        assert_eq!(error.matches("EdDSA").count(), 1, "{error}");
    }
}

#[tokio::test]
async fn an_access_token_of_no_named_type_is_kept_from_applications() {
    let hostile = Hostile::start().await;
    for kind in [Value::Null, json!(""), json!("JWT"), json!("N_A"), json!("bEARER")] {
        let client = start(config(&hostile.issuer));
        let login = login(&client).await;
        let token = Signer::shared().token(&rs256(), &hostile.claims(&login));
        let answer = json!({"access_token": "a", "token_type": kind, "id_token": token});
        hostile.set("/token", Reply::Json(200, answer));
        let session = finish(&client, login, "code=c").await.unwrap();
        assert_eq!(session.access_token.is_some(), kind == "bEARER", "{kind}");
    }
}

#[tokio::test]
async fn a_second_way_of_client_authentication_is_tried_once_and_remembered() {
    let hostile = Hostile::start().await;
    for offered in [Value::Null, json!(["client_secret_basic", "client_secret_post"])] {
        hostile.describe(&json!({"token_endpoint_auth_methods_supported": offered}));
        let client = start(config(&hostile.issuer));
        hostile.wants_post();
        for attempts in [2, 1, 1] {
            let login = login(&client).await;
            hostile.give(&hostile.claims(&login));
            let before = hostile.requests("/token").len();
            let outcome = finish(&client, login, "code=c").await;
            assert!(outcome.is_ok(), "{offered}: {:?}", outcome.err());
            assert_eq!(hostile.requests("/token").len(), before + attempts, "{offered}");
        }
    }
    // What is configured is what is done.
    let mut config = config(&hostile.issuer);
    config.client_authentication = Some(proxy_config::ClientAuthentication::ClientSecretBasic);
    let client = start(config);
    let before = hostile.requests("/token").len();
    let error = finish(&client, login(&client).await, "code=c").await.err().unwrap().to_string();
    assert!(error.contains("--client-authentication"), "{error}");
    assert_eq!(hostile.requests("/token").len(), before + 1);
}

#[tokio::test]
async fn the_validation_endpoint_is_not_asked_at_a_login() {
    let hostile = Hostile::start().await;
    hostile.set("/validate", Reply::Json(401, json!({})));
    let mut config = config(&hostile.issuer);
    config.endpoints.validate = Some(format!("{}/validate", hostile.issuer));
    let client = start(config);
    let login = login(&client).await;
    hostile.give(&hostile.claims(&login));
    assert!(finish(&client, login, "code=c").await.is_ok());
    assert!(hostile.requests("/validate").is_empty());
}

#[tokio::test]
async fn a_rotated_client_secret_counts_at_once() {
    let hostile = Hostile::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut config = config(&hostile.issuer);
    config.client_secret = Some(proxy_config::Secret::File(file.path().to_owned()));
    config.client_authentication = Some(proxy_config::ClientAuthentication::ClientSecretPost);
    let client = start(config);
    for secret in ["old-one", "new-one"] {
        std::fs::write(file.path(), format!("{secret}\n")).unwrap();
        let login = login(&client).await;
        hostile.give(&hostile.claims(&login));
        finish(&client, login, "code=c").await.unwrap();
        let request = hostile.requests("/token").pop().unwrap();
        assert!(request.contains(&format!("client_secret={secret}")), "{request}");
    }
}

#[tokio::test]
async fn userinfo_is_asked_only_after_the_id_token_passed() {
    let hostile = Hostile::start().await;
    hostile.describe(&json!({"userinfo_endpoint": format!("{}/userinfo", hostile.issuer)}));
    let client = start(config(&hostile.issuer));
    let begun = login(&client).await;
    let mut claims = hostile.claims(&begun);
    claims["email"] = Value::Null;
    claims["nonce"] = json!("x");
    hostile.give(&claims);
    assert!(finish(&client, begun, "code=c").await.is_err());
    assert!(hostile.requests("/userinfo").is_empty());
}

#[tokio::test]
async fn userinfo_must_be_about_the_same_person_and_what_is_signed_must_be_right() {
    let hostile = Hostile::start().await;
    hostile.describe(&json!({"userinfo_endpoint": format!("{}/userinfo", hostile.issuer)}));
    let client = start(config(&hostile.issuer));
    let signed = |claims: &Value| {
        Reply::Text(200, "application/jwt", Signer::shared().token(&rs256(), claims))
    };
    let forged = Signer::stranger().token(&rs256(), &json!({"sub": "user-1", "email": "a@b.test"}));
    for (reply, ok) in [
        (Reply::Json(200, json!({"sub": "user-1", "email": "a@b.test"})), true),
        (Reply::Json(200, json!({"sub": "user-2", "email": "a@b.test"})), false),
        (Reply::Json(200, json!({"email": "a@b.test"})), false),
        (Reply::Json(200, json!({"sub": 1, "email": "a@b.test"})), false),
        (Reply::Json(403, json!({"sub": "user-1", "email": "a@b.test"})), false),
        (Reply::Json(200, json!(["sub"])), false),
        (
            Reply::Json(
                200,
                json!({"sub": "user-1", "email": "a@b.test", "email_verified": false}),
            ),
            false,
        ),
        (signed(&json!({"sub": "user-1", "email": "a@b.test"})), true),
        (
            signed(
                &json!({"sub": "user-1", "email": "a@b.test", "iss": hostile.issuer, "aud": ["proxy"]}),
            ),
            true,
        ),
        (signed(&json!({"sub": "user-1", "email": "a@b.test", "iss": "https://evil.test"})), false),
        (signed(&json!({"sub": "user-1", "email": "a@b.test", "aud": "other"})), false),
        (Reply::Text(200, "application/jwt", forged), false),
        (Reply::Flood, false),
    ] {
        hostile.set("/userinfo", reply);
        let begun = login(&client).await;
        let mut claims = hostile.claims(&begun);
        claims
            .as_object_mut()
            .unwrap()
            .retain(|name, _| !["email", "email_verified"].contains(&name.as_str()));
        hostile.give(&claims);
        let before = hostile.requests("/userinfo").len();
        let session = finish(&client, begun, "code=c").await;
        assert_eq!(session.is_ok(), ok, "{:?}", session.err());
        let requests = hostile.requests("/userinfo");
        assert!(
            requests.len() == before + 1
                && requests[before].contains("authorization: Bearer access-1")
        );
        if let Ok(session) = session {
            assert_eq!(session.identity.email.as_deref(), Some("a@b.test"));
            assert_eq!(session.identity.groups, ["staff"], "the ID token wins");
        }
    }
}

#[tokio::test]
async fn an_access_token_is_not_carried_to_another_origin() {
    let (hostile, other) = (Hostile::start().await, Hostile::start().await);
    hostile.describe(&json!({"userinfo_endpoint": format!("{}/userinfo", hostile.issuer)}));
    let claims = Reply::Json(200, json!({"sub": "user-1", "email": "a@b.test"}));
    hostile.set("/same", claims.clone());
    other.set("/other", claims);
    let client = start(config(&hostile.issuer));
    for (target, ok) in [("/same".to_owned(), true), (format!("{}/other", other.issuer), false)] {
        hostile.set("/userinfo", Reply::Redirect(target));
        let begun = login(&client).await;
        let mut claims = hostile.claims(&begun);
        claims["email"] = Value::Null;
        hostile.give(&claims);
        let outcome = finish(&client, begun, "code=c").await.map(|_| ());
        assert_eq!(outcome.is_ok(), ok, "{outcome:?}");
    }
    assert!(other.requests("/other").is_empty());
}
