//! A client whose id or secret changes while people are signed in and signing in.

use super::hostile::Hostile;
use super::signer::{Signer, rs256};
use super::*;
use proxy_config::{Credentials, Secret};
use serde_json::{Value, json};

/// The client of `issuer` with these credentials, generation, id and secret, the newest first.
fn with(issuer: &str, all: &[(u32, &str, &str)]) -> Config {
    let mut config = config(issuer);
    let of = |&(generation, id, secret): &(u32, &str, &str)| Credentials {
        generation,
        client_id: id.to_owned(),
        client_secret: Some(Secret::value(secret)),
    };
    let newest = of(&all[0]);
    config.client_id = newest.client_id;
    config.client_secret = newest.client_secret;
    config.credentials_generation = newest.generation;
    config.previous_credentials = all[1..].iter().map(of).collect();
    config.rp_initiated_logout = true;
    config
}

fn give(hostile: &Hostile, login: &Login, audience: &str) {
    let mut claims = hostile.claims(login);
    claims["aud"] = json!(audience);
    hostile.give(&claims);
}

/// Signs in, with an ID token for `audience`.
async fn sign_in(hostile: &Hostile, client: &Provider, audience: &str) -> Session {
    let login = login(client).await;
    give(hostile, &login, audience);
    finish(client, login, "code=c").await.unwrap()
}

#[tokio::test]
async fn what_was_begun_with_earlier_credentials_goes_on_with_them() {
    let hostile = Hostile::start().await;
    let old = start(with(&hostile.issuer, &[(1, "proxy", "old")]));
    let under_way = login(&old).await;
    let both = with(&hostile.issuer, &[(2, "proxy-2", "new"), (1, "proxy", "old")]);
    let client = start_among(alone(both), std::slice::from_ref(&old));

    hostile.takes_only("proxy", "old");
    give(&hostile, &under_way, "proxy");
    let session = finish(&client, under_way, "code=c").await.unwrap();
    assert_eq!(session.login.credentials, 1);
    let session = refreshed(&client, &session).await;
    assert_eq!(session.login.credentials, 1, "the refresh token is that client's");
    assert_eq!(hostile.requests("/token").len(), 2, "nothing was tried in vain");

    hostile.takes_only("proxy-2", "new");
    let fresh = login(&client).await;
    let url = fresh.url.clone();
    assert_eq!(parameter(&url, "client_id").as_deref(), Some("proxy-2"));
    give(&hostile, &fresh, "proxy-2");
    assert_eq!(finish(&client, fresh, "code=c").await.unwrap().login.credentials, 2);
    let swapped = login(&client).await;
    give(&hostile, &swapped, "proxy");
    let refused = finish(&client, swapped, "code=c").await.err().unwrap().to_string();
    assert!(refused.contains("is for \"proxy\""), "{refused}");

    for (generation, id) in [(1, "proxy"), (2, "proxy-2"), (0, "proxy-2")] {
        let end = client.end_session_url(generation, None, None).unwrap();
        assert_eq!(parameter(&end, "client_id").as_deref(), Some(id));
    }
}

#[tokio::test]
async fn bearer_tokens_are_accepted_for_each_id_that_the_client_has() {
    let hostile = Hostile::start().await;
    let both = with(&hostile.issuer, &[(2, "proxy-2", "new"), (1, "proxy", "old")]);
    let client = start(both);
    let mut claims = hostile.claims(&login(&client).await);
    claims["nonce"] = Value::Null;
    for (audience, accepted) in [("proxy", true), ("proxy-2", true), ("proxy-3", false)] {
        claims["aud"] = json!(audience);
        let token = Signer::shared().token(&rs256(), &claims);
        assert_eq!(client.bearer(&token).await.is_ok(), accepted, "{audience}");
    }
}

#[tokio::test]
async fn a_secret_is_changed_without_a_login_or_a_session_that_fails() {
    let hostile = Hostile::start().await;
    hostile.takes_only("proxy", "old");
    let old = start(with(&hostile.issuer, &[(0, "proxy", "old")]));
    let session = sign_in(&hostile, &old, "proxy").await;

    // Here first, there later.
    let both = with(&hostile.issuer, &[(1, "proxy", "new"), (0, "proxy", "old")]);
    let client = start_among(alone(both), std::slice::from_ref(&old));
    sign_in(&hostile, &client, "proxy").await;
    let before = hostile.requests("/token").len();
    sign_in(&hostile, &client, "proxy").await;
    assert_eq!(hostile.requests("/token").len(), before + 1, "what worked is tried first");

    hostile.takes_only("proxy", "new");
    sign_in(&hostile, &client, "proxy").await;
    // A refreshed ID token repeats no nonce.
    let mut claims = hostile.claims(&login(&client).await);
    claims["nonce"] = Value::Null;
    hostile.give(&claims);
    let session = refreshed(&client, &session).await;
    assert_eq!(session.login.credentials, 1, "it is of the newest of its client from now on");
    let before = hostile.requests("/token").len();
    refreshed(&client, &session).await;
    assert_eq!(hostile.requests("/token").len(), before + 1);

    let new = with(&hostile.issuer, &[(1, "proxy", "new")]);
    let client = start_among(alone(new), &[client]);
    refreshed(&client, &session).await;
}

#[tokio::test]
async fn credentials_that_are_gone_are_replaced_by_the_newest_and_a_refusal_ends_nothing() {
    let hostile = Hostile::start().await;
    let old = start(with(&hostile.issuer, &[(0, "proxy", "old")]));
    let session = sign_in(&hostile, &old, "proxy").await;
    hostile.takes_only("proxy", "other");
    let both = with(&hostile.issuer, &[(5, "proxy", "new"), (4, "proxy", "newer")]);
    let client = start(both);
    let error = kept(&client, &session).await;
    assert!(error.to_string().contains("invalid_client"), "{error}");
    // Each of both secrets in each of both ways.
    let asked = hostile.requests("/token");
    assert_eq!(asked.len(), 1 + 4, "{asked:?}");
    hostile.takes_only("proxy", "new");
    let session = refreshed(&client, &session).await;
    assert_eq!(session.login.credentials, 5);
}
