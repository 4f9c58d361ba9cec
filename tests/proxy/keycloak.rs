//! Login, groups, sign-out and refresh against a real Keycloak.

use reqwest::StatusCode;
use tests::client::Browser;
use tests::keycloak::Keycloak;
use tests::proxy::{COOKIE_SECRET, Proxy};

fn flags(keycloak: &Keycloak, more: &[&str]) -> Vec<String> {
    let mut flags = vec![
        "--provider=oidc".to_owned(),
        format!("--oidc-issuer-url={}", keycloak.issuer()),
        "--client-id=app".to_owned(),
        "--client-secret=app-secret".to_owned(),
        format!("--cookie-secret={COOKIE_SECRET}"),
        "--cookie-secure=false".to_owned(),
        "--email-domain=*".to_owned(),
    ];
    flags.extend(more.iter().map(|flag| (*flag).to_owned()));
    flags
}

#[tokio::test]
async fn a_person_logs_in_and_the_proxy_knows_name_mail_and_groups() {
    let keycloak = Keycloak::shared().await;
    let proxy = Proxy::start(&flags(keycloak, &["--upstream=static://200"])).await;
    let browser = Browser::new();

    let sign_in = browser.get(&format!("{}/inbox?x=1", proxy.url)).await;
    assert_eq!(sign_in.status, StatusCode::FORBIDDEN);
    let login = browser.follow(&format!("{}/oauth2/start?rd=%2Finbox%3Fx%3D1", proxy.url)).await;
    let inbox = browser.log_in(&login, "alice", "alice-password").await;
    assert_eq!((inbox.status, inbox.body.as_str()), (StatusCode::OK, "Authenticated"));
    assert_eq!(inbox.url.as_str(), format!("{}/inbox?x=1", proxy.url));
    assert_eq!(inbox.header("gap-auth"), Some("alice@example.com"));

    let userinfo = browser.get(&format!("{}/oauth2/userinfo", proxy.url)).await.json();
    assert_eq!(userinfo["email"], "alice@example.com");
    assert_eq!(userinfo["preferredUsername"], "alice");
    let mut groups: Vec<&str> = userinfo["groups"].as_array().into_iter().flatten().filter_map(|g| g.as_str()).collect();
    groups.sort_unstable();
    assert_eq!(groups, ["ops", "staff"]);
}
