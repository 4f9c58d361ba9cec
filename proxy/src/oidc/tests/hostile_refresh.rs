//! Refreshes in which something is wrong: what ends a session and what does not.

use super::hostile::{Hostile, Reply};
use super::signer::{Signer, rs256};
use super::*;
use crate::oidc::TokenError;
use crate::oidc::verify::TokenRefused;
use crate::session::Token;
use serde_json::json;

async fn logged_in(hostile: &Hostile) -> (Arc<Provider>, Session, serde_json::Value) {
    let client = start(config(&hostile.issuer));
    let login = login(&client).await;
    let claims = hostile.claims(&login);
    hostile.give(&claims);
    let session = finish(&client, login, "code=c").await.unwrap();
    (client, session, claims)
}

#[tokio::test]
async fn only_a_dead_grant_ends_a_session() {
    let hostile = Hostile::start().await;
    let (client, session, _) = logged_in(&hostile).await;
    for (reply, became) in [
        (Reply::Json(400, json!({"error": "invalid_grant"})), "ended"),
        (Reply::Json(200, json!({"error": "invalid_grant"})), "ended"),
        (Reply::Json(401, json!({"error": "invalid_client"})), "kept: unusable"),
        (
            Reply::Json(
                400,
                json!({"error": "invalid_request", "error_description": "invalid_grant"}),
            ),
            "kept: unusable",
        ),
        (Reply::Json(503, json!({"error": "invalid_grant"})), "kept: unusable"),
        (Reply::Json(429, json!({})), "kept: unusable"),
        (
            Reply::Text(200, "text/html", "<h1>Sign in to the Wi-Fi</h1>".to_owned()),
            "kept: unusable",
        ),
        (Reply::Json(200, json!({"access_token": ""})), "kept: unusable"),
        (Reply::Redirect("/".to_owned()), "kept: away"),
        (Reply::Flood, "kept: away"),
    ] {
        hostile.set("/token", reply);
        let renewal = client.refresh(&session, never_slow()).await;
        let found = match &renewal {
            Renewal::Ended(Ending::Grant(TokenError::Refused { .. })) => "ended",
            Renewal::Kept(NotNow::Away(_)) => "kept: away",
            Renewal::Kept(NotNow::Unusable(_)) => "kept: unusable",
            _ => "something else",
        };
        assert_eq!(found, became, "{renewal:?}");
        assert!(!format!("{renewal:?}").contains("refresh-1"));
    }
    let renewal = client.refresh(&unrefreshable(&session), never_slow()).await;
    assert!(matches!(renewal, Renewal::Stands), "{renewal:?}");
}

/// Our own troubles: a secret that can not be read, a provider that takes us in no way that we know, too many calls.
#[tokio::test]
async fn what_keeps_us_from_asking_ends_no_session() {
    let hostile = Hostile::start().await;
    let (_, session, _) = logged_in(&hostile).await;
    let mut unreadable = config(&hostile.issuer);
    unreadable.client_secret = Some(proxy_config::Secret::File("/nowhere/secret".into()));
    let why = kept(&start(unreadable), &session).await;
    assert!(matches!(why, NotNow::Unusable(TokenError::Secret(_))), "{why}");

    let client = start(config(&hostile.issuer));
    login(&client).await;
    let mut places = Vec::new();
    for _ in 0..40 {
        places.push(client.client.calls.refresh().await.unwrap());
    }
    let asked = hostile.requests("/token").len();
    tokio::time::pause();
    let why = kept(&client, &session).await;
    assert!(matches!(why, NotNow::Busy), "{why}");
    assert_eq!(hostile.requests("/token").len(), asked);
    tokio::time::resume();

    hostile.describe(&json!({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}));
    let client = start(config(&hostile.issuer));
    login(&client).await;
    let why = kept(&client, &session).await;
    assert!(matches!(why, NotNow::Unusable(TokenError::NoMethod(_))), "{why}");

    let away = "/.well-known/openid-configuration";
    hostile.set(away, Reply::Json(503, json!({})));
    let why = kept(&start(config(&hostile.issuer)), &session).await;
    assert!(matches!(why, NotNow::Away(_)), "{why}");
}

#[tokio::test]
async fn what_the_provider_leaves_out_stays_as_it_was() {
    let hostile = Hostile::start().await;
    let (client, session, _) = logged_in(&hostile).await;
    hostile.set("/token", Reply::Json(200, json!({"access_token": "access-2"})));
    let next = refreshed(&client, &session).await;
    assert!(next.access_token.as_ref().is_some_and(|t| t.as_str() == "access-2"));
    assert!(next.refresh_token == session.refresh_token && next.id_token == session.id_token);
    assert!(
        next.identity == session.identity
            && next.expires_at.is_none()
            && next.nonce == session.nonce
    );
    let request = hostile.requests("/token").pop().unwrap();
    assert!(
        request.contains("grant_type=refresh_token") && request.contains("refresh_token=refresh-1"),
        "{request}"
    );
}

#[tokio::test]
async fn claims_that_others_name_are_captured_at_the_login_and_at_every_refresh() {
    let hostile = Hostile::start().await;
    hostile.describe(&json!({"userinfo_endpoint": format!("{}/me", hostile.issuer)}));
    hostile.set("/me", Reply::Json(200, json!({"sub": "user-1", "level": 3, "more": "x"})));
    let start = |claims: &[&str]| {
        let claims = claims.iter().map(|name| (*name).to_owned()).collect();
        start_among(ClientSettings { claims, ..alone(config(&hostile.issuer)) }, &[])
    };
    let client = start(&["department", "level", "gone"]);
    let login = login(&client).await;
    let mut claims = hostile.claims(&login);
    claims["department"] = json!("it");
    hostile.give(&claims);
    let session = finish(&client, login, "code=c").await.unwrap();
    let values = |session: &Session| json!(session.claims.values).to_string();
    assert_eq!(session.claims.asked, ["department", "level", "gone"]);
    assert_eq!(values(&session), r#"{"department":["it"],"level":["3"]}"#);

    claims["nonce"] = json!(null);
    claims["department"] = json!(["hr", "it"]);
    hostile.give(&claims);
    let renewed = refreshed(&client, &session).await;
    assert_eq!(values(&renewed), r#"{"department":["hr","it"],"level":["3"]}"#);

    // Without an ID token only what nobody looked for is worth a question.
    hostile.set("/token", Reply::Json(200, json!({"access_token": "access-2"})));
    let asked = hostile.requests("/me").len();
    let kept = refreshed(&client, &session).await;
    assert!(kept.claims == session.claims && hostile.requests("/me").len() == asked);
    let other = start(&["more", "else"]);
    let looked = refreshed(&other, &session).await;
    assert_eq!(looked.claims.asked, ["more", "else"]);
    assert_eq!(looked.claims.values["more"], ["x"]);
    hostile.set("/me", Reply::Json(503, json!({})));
    let unknown = refreshed(&other, &session).await;
    assert_eq!(unknown.claims.asked, ["more", "else"], "not again with every request");
}

#[tokio::test]
async fn a_new_id_token_renews_the_identity_and_must_be_about_the_same_subject() {
    let hostile = Hostile::start().await;
    let (client, session, claims) = logged_in(&hostile).await;
    let mut next = claims.clone();
    next["nonce"] = json!(null);
    next["groups"] = json!(["admins"]);
    next["email"] = json!(null);
    hostile.give(&next);
    let renewed = refreshed(&client, &session).await;
    assert_eq!(renewed.identity.groups, ["admins"]);
    assert_eq!(renewed.identity.email.as_deref(), Some("alice@example.com"));
    assert!(renewed.id_token != session.id_token);
    for (changes, denied) in
        [(json!({"sub": "user-2"}), false), (json!({"email_verified": false}), true)]
    {
        let mut bad = claims.clone();
        for (name, value) in changes.as_object().unwrap() {
            bad[name] = value.clone();
        }
        hostile.give(&bad);
        let why = ended(&client, &session).await;
        assert!(
            if denied {
                matches!(why, Ending::Denied(_))
            } else {
                matches!(why, Ending::OtherSubject)
            },
            "{changes}: {why}"
        );
    }
}

/// The one that was sent is used up at a provider that rotates them.
#[tokio::test]
async fn an_odd_answer_does_not_lose_the_new_refresh_token_and_nothing_else_of_it_counts() {
    let hostile = Hostile::start().await;
    let (_, session, claims) = logged_in(&hostile).await;
    // There is no new access token that it could be asked about.
    let mut config = config(&hostile.issuer);
    config.endpoints.validate = Some(format!("{}/validate", hostile.issuer));
    hostile.set("/validate", Reply::Json(401, json!({})));
    let client = start(config);
    let token = |name: &str, value: serde_json::Value| {
        let mut bad = claims.clone();
        bad[name] = value;
        json!({"id_token": Signer::shared().token(&rs256(), &bad)})
    };
    for odd in [
        token("iss", json!("https://evil.test")),
        token("aud", json!("other")),
        token("nonce", json!("other")),
        token("exp", json!(1)),
        token("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA")),
        json!({"id_token": Signer::stranger().token(&rs256(), &claims)}),
        json!({"id_token": "junk"}),
        json!({"id_token": {}}),
        json!({"expires_in": "never"}),
        json!({"access_token": ""}),
        json!({"access_token": null}),
        json!({"access_token": 7}),
        json!({"token_type": "DPoP"}),
    ] {
        let mut answer = json!({"access_token": "a2", "refresh_token": "r2", "expires_in": 60});
        for (name, value) in odd.as_object().unwrap() {
            answer[name] = value.clone();
        }
        hostile.set("/token", Reply::Json(200, answer));
        let next = refreshed(&client, &session).await;
        assert_eq!(next.refresh_token.as_ref().map(Token::as_str), Some("r2"), "{odd}");
        assert!(next.access_token == session.access_token, "{odd}");
        assert!(next.id_token == session.id_token && next.expires_at == session.expires_at);
        assert!(next.identity == session.identity && next.claims == session.claims, "{odd}");
    }
    assert!(hostile.requests("/validate").is_empty());
    // With no refresh token in it nothing was exchanged.
    hostile.set("/token", Reply::Json(200, json!({"access_token": "a2", "expires_in": "never"})));
    let why = kept(&client, &session).await;
    assert!(matches!(why, NotNow::Unusable(TokenError::Malformed(_))), "{why}");
}

#[tokio::test]
async fn a_secret_that_the_provider_repeats_is_not_shown() {
    let hostile = Hostile::start().await;
    let (client, mut session, _) = logged_in(&hostile).await;
    let (code, token) = ("a-code-of-28-random-letters-", "a-refresh-token-that-is-long");
    session.refresh_token = Some(Token::new(token));
    for text in [
        format!("unknown code {code}"),
        format!("{} {}", "x".repeat(75), code),
        format!("no token {token}"),
        format!("{SECRET} is wrong"),
    ] {
        let answer =
            json!({"error": "invalid_scope", "error_description": text, "error_uri": text});
        hostile.set("/token", Reply::Json(400, answer));
        let refresh = kept(&client, &session).await;
        let begun = login(&client).await;
        let login = finish(&client, begun, &format!("code={code}")).await.err().unwrap();
        for (shown, sent) in [
            (format!("{refresh} {refresh:?}"), token),
            (format!("{login} {login:?} {}", login.message()), code),
        ] {
            assert!(shown.contains("invalid_scope"), "{shown}");
            for secret in [sent, SECRET] {
                assert!(!shown.contains(secret.split_at(16).0), "{shown}");
            }
        }
    }
    hostile.set("/token", Reply::Json(400, json!({"error": code})));
    let begun = login(&client).await;
    let error = finish(&client, begun, &format!("code={code}")).await.err().unwrap();
    assert!(!format!("{error} {}", error.message()).contains(code), "{error}");
}

#[tokio::test]
async fn what_follows_the_token_call_does_not_lose_the_new_tokens() {
    let hostile = Hostile::start().await;
    hostile.describe(&json!({"userinfo_endpoint": format!("{}/userinfo", hostile.issuer)}));
    let (client, session, mut claims) = logged_in(&hostile).await;
    claims["email"] = json!(null);
    claims["groups"] = json!(["other"]);
    let token = Signer::shared().token(&rs256(), &claims);
    hostile.set(
        "/token",
        Reply::Json(200, json!({"access_token": "a2", "refresh_token": "r2", "id_token": token})),
    );
    for userinfo in [
        Reply::Json(503, json!({})),
        Reply::Json(403, json!({})),
        Reply::Json(200, json!({"sub": "user-2", "email": "mallory@example.com"})),
        Reply::Text(200, "text/html", "<p>moved</p>".to_owned()),
    ] {
        hostile.set("/userinfo", userinfo);
        let next = refreshed(&client, &session).await;
        assert!(next.refresh_token.is_some_and(|t| t.as_str() == "r2"));
        assert!(next.identity == session.identity);
    }
}

#[tokio::test]
async fn a_session_without_a_refresh_token_stands_as_long_as_its_id_token() {
    let hostile = Hostile::start().await;
    let (client, session, mut claims) = logged_in(&hostile).await;
    let session = unrefreshable(&session);
    let renewal = client.refresh(&session, never_slow()).await;
    assert!(matches!(renewal, Renewal::Stands), "{renewal:?}");
    claims["nonce"] = json!(null);
    let with = |signer: &Signer, name: &str, value: serde_json::Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        let id_token = Some(Token::new(signer.token(&rs256(), &claims)));
        Session { id_token, ..session.clone() }
    };
    let past = json!(jiff::Timestamp::now().as_second() - 1);
    let why = ended(&client, &with(Signer::shared(), "exp", past)).await;
    assert!(matches!(why, Ending::IdToken(TokenRefused::Expired(_))), "{why}");
    let why = ended(&client, &with(Signer::shared(), "nonce", json!("other"))).await;
    assert!(matches!(why, Ending::IdToken(TokenRefused::Nonce)), "{why}");
    let why = ended(&client, &with(Signer::stranger(), "nonce", json!(null))).await;
    assert!(matches!(why, Ending::IdToken(TokenRefused::Signature(_))), "{why}");
    let why = ended(&client, &with(Signer::shared(), "sub", json!("user-2"))).await;
    assert!(matches!(why, Ending::OtherSubject), "{why}");
    let why = ended(&client, &Session { id_token: None, ..session.clone() }).await;
    assert!(matches!(why, Ending::NoIdToken), "{why}");
    // Nobody knows by what to judge it.
    hostile.set("/jwks", Reply::Json(503, json!({})));
    let why = kept(&start(config(&hostile.issuer)), &session).await;
    assert!(matches!(why, NotNow::Away(_)), "{why}");
}

#[tokio::test]
async fn the_validation_endpoint_judges_what_was_refreshed_and_nothing_else() {
    let hostile = Hostile::start().await;
    let (plain, session, mut claims) = logged_in(&hostile).await;
    let mut config = config(&hostile.issuer);
    config.endpoints.validate = Some(format!("{}/validate", hostile.issuer));
    let client = start(config);
    hostile.set("/token", Reply::Json(200, json!({"access_token": "access-2"})));
    let ends = [(401, true), (403, true), (200, false)];
    let unknown = [204, 302, 400, 404, 405, 408, 421, 423, 429, 500, 503];
    for (status, ends) in ends.into_iter().chain(unknown.map(|status| (status, false))) {
        hostile.set("/validate", Reply::Json(status, json!({})));
        if ends {
            let why = ended(&client, &session).await;
            assert!(matches!(why, Ending::Invalid(found) if found == status), "{why}");
        } else {
            refreshed(&client, &session).await;
        }
        let stands = client.refresh(&unrefreshable(&session), never_slow()).await;
        assert!(matches!(stands, Renewal::Stands), "{status}: its ID token is good: {stands:?}");
    }
    assert!(hostile.requests("/validate")[0].contains("authorization: Bearer access-2"));
    // An ID token that has expired since says nothing of what the token endpoint renewed a moment ago, whether or not there is
    // an access token that may be shown to the endpoint; nor does one that was not kept.
    claims["exp"] = json!(jiff::Timestamp::now().as_second() - 1);
    claims["nonce"] = json!(null);
    let id_token = Some(Token::new(Signer::shared().token(&rs256(), &claims)));
    let expired = Session { id_token, ..session.clone() };
    refreshed(&plain, &expired).await;
    let asked = hostile.requests("/validate").len();
    let unspoken = json!({"access_token": "access-3", "token_type": "other"});
    hostile.set("/token", Reply::Json(200, unspoken));
    let without = Session { id_token: None, ..session.clone() };
    for session in [&session, &expired, &without] {
        refreshed(&client, session).await;
    }
    assert_eq!(hostile.requests("/validate").len(), asked);
}

/// Nobody waits for it so long, and the refresh token that it was asked with is used up.
#[tokio::test]
async fn a_late_answer_is_waited_for_and_its_provider_is_known_to_be_slow() {
    let hostile = Hostile::start().await;
    let (client, session, _) = logged_in(&hostile).await;
    hostile.set("/token", Reply::Silence);
    let (slow, told) = tokio::sync::oneshot::channel();
    let refresh = client.refresh(&session, Box::new(|| slow.send(Instant::now()).unwrap()));
    tokio::time::pause();
    let began = Instant::now();
    let renewal = refresh.await;
    let Renewal::Kept(NotNow::Away(why)) = renewal else { panic!("{renewal:?}") };
    assert!(why.contains("did not answer within 60 s"), "{why}");
    let slow_after = told.await.unwrap() - began;
    assert!((10..11).contains(&slow_after.as_secs()), "{slow_after:?}");
}
