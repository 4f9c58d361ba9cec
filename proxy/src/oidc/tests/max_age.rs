//! How long ago somebody may have signed in at the provider, if a login says so (OpenID Connect Core 1.0 section 3.1.2.1).

use super::hostile::Hostile;
use super::*;
use crate::oidc::LoginState;
use proxy_config::{AllowedValue, LoginParameter, SessionFormat};
use serde_json::{Value, json};

/// The parameter with this value, if whoever begins a login chooses none of `allowed`.
fn max_age(value: Option<&str>, allowed: &[&str]) -> Vec<LoginParameter> {
    vec![LoginParameter {
        name: "max_age".to_owned(),
        values: value.into_iter().map(str::to_owned).collect(),
        allow: allowed.iter().map(|age| AllowedValue::Value((*age).to_owned())).collect(),
    }]
}

#[tokio::test]
async fn a_max_age_that_was_asked_for_is_held() {
    let hostile = Hostile::start().await;
    let mut config = config(&hostile.issuer);
    config.login_parameters = max_age(Some("600"), &[]);
    let now = jiff::Timestamp::now().as_second();
    for (auth_time, part) in [
        (json!(now - 300), None),
        (json!(now - 700), Some("longer than the max_age")),
        (Value::Null, Some("no auth_time")),
        (json!("now"), Some("auth_time has a wrong type")),
    ] {
        let client = start(config.clone());
        let login = login(&client).await;
        assert_eq!(parameter(&login.url, "max_age").as_deref(), Some("600"));
        let mut claims = hostile.claims(&login);
        claims["auth_time"] = auth_time.clone();
        hostile.give(&claims);
        let error = finish(&client, login, "code=c").await.err().map(|error| error.to_string());
        match part {
            None => assert_eq!(error, None),
            Some(part) => {
                assert!(error.as_ref().is_some_and(|e| e.contains(part)), "{auth_time}: {error:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_max_age_that_is_held_is_the_one_that_was_asked_for() {
    let hostile = Hostile::start().await;
    let now = jiff::Timestamp::now().as_second();
    for (value, chosen, asked, held) in [
        (Some("600"), None, Some("600"), Some(600)),
        (Some("600"), Some("60"), Some("60"), Some(60)),
        (Some("600"), Some("3600"), Some("3600"), Some(3600)),
        (Some("600"), Some("7200"), Some("600"), Some(600)),
        (None, Some("60"), Some("60"), Some(60)),
        (None, Some("7200"), None, None),
        (None, None, None, None),
    ] {
        let mut config = config(&hostile.issuer);
        config.login_parameters = max_age(value, &["60", "3600"]);
        let client = start(config);
        let chosen = chosen.map(|age: &str| ("max_age".to_owned(), age.to_owned()));
        let preferences =
            Preferences { parameters: chosen.into_iter().collect(), ..Preferences::default() };
        for age in [10, 300, 1000, 10_000] {
            let login = login_with(&client, &preferences).await;
            assert_eq!(parameter(&login.url, "max_age").as_deref(), asked);
            let mut claims = hostile.claims(&login);
            claims["auth_time"] = json!(now - age);
            hostile.give(&claims);
            let outcome = finish(&client, login, "code=c").await;
            let fits = held.is_none_or(|held| age <= held);
            assert_eq!(outcome.is_ok(), fits, "{preferences:?} {age}: {:?}", outcome.err());
        }
    }
}

#[tokio::test]
async fn a_login_that_does_not_say_its_max_age_is_held_to_the_configured_one() {
    let hostile = Hostile::start().await;
    let mut config = config(&hostile.issuer);
    config.login_parameters = max_age(Some("600"), &[]);
    let client = start(config);
    for (age, fits) in [(300, true), (1000, false)] {
        let mut login = login(&client).await;
        let mut claims = hostile.claims(&login);
        claims["auth_time"] = json!(jiff::Timestamp::now().as_second() - age);
        hostile.give(&claims);
        // The first format has no place for it.
        let bytes = login.state.to_bytes(SessionFormat::V1);
        login.state = LoginState::from_bytes(&bytes).unwrap();
        let outcome = finish(&client, login, "code=c").await;
        assert_eq!(outcome.is_ok(), fits, "{age}: {:?}", outcome.err());
    }
}
