//! Every endpoint and every parameter that the endpoint documentation of oauth2-proxy names, one test each.

use crate::setup::{ALL, Setup, Store};
use reqwest::StatusCode;
use tests::client::{Answer, Browser};
use tests::process::free_port;

/// Every session cookie that the browser had, in however many parts, must be cleared.
fn assert_clears_session(before: &str, answer: &Answer) {
    let cleared = answer.set_cookies();
    let had = before.split("; ").filter_map(|cookie| cookie.split('=').next());
    let had: Vec<&str> = had.filter(|name| name.starts_with("_oauth2_proxy")).collect();
    assert!(!had.is_empty(), "no session cookie in {before:?}");
    for name in had {
        let start = format!("{name}=;");
        let line = cleared.iter().find(|line| line.starts_with(&start));
        assert!(line.is_some_and(|line| line.contains("Max-Age=0")), "{name} stays: {cleared:?}");
    }
}

fn assert_not_cached(answer: &Answer) {
    let control = answer.header("cache-control").unwrap_or_default();
    assert!(control.contains("no-store"), "{} may be cached: {control:?}", answer.url);
}

#[tokio::test]
async fn robots_txt_disallows_all_user_agents_from_all_paths() {
    for setup in ALL {
        let setup = Setup::start(setup, &[]).await;
        let answer = Browser::new().get(&setup.url("/robots.txt")).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.body.trim(), "User-agent: *\nDisallow: /");
    }
}

#[tokio::test]
async fn ping_is_ok_without_a_session_for_any_client() {
    for setup in ALL {
        let setup = Setup::start(setup, &[]).await;
        let browser = Browser::new();
        let request = browser.http.get(setup.url("/ping")).header("User-Agent", "kube-probe/1.35");
        let answer = browser.send(request).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "OK"));
    }
}

#[tokio::test]
async fn ready_is_ok_while_the_session_store_answers_and_not_when_it_is_gone() {
    for (idp, store) in ALL {
        let mut setup = Setup::start((idp, store), &[]).await;
        let browser = Browser::new();
        let url = setup.url("/ready");
        assert_eq!(browser.get(&url).await.status, StatusCode::OK);
        if let Some(redis) = &mut setup.redis {
            redis.stop();
            assert_eq!(browser.get(&url).await.status, StatusCode::INTERNAL_SERVER_ERROR);
        }
    }
}

#[tokio::test]
async fn metrics_are_served_on_their_own_address_only() {
    for setup in ALL {
        let port = free_port();
        let setup = Setup::start(setup, &[&format!("--metrics-address=127.0.0.1:{port}")]).await;
        let browser = Browser::new();
        browser.get(&setup.url("/robots.txt")).await;
        let metrics = browser.get(&format!("http://127.0.0.1:{port}/metrics")).await;
        assert_eq!(metrics.status, StatusCode::OK);
        assert!(
            metrics.body.contains("oauth2_proxy_requests_total{code=\"200\"} 1"),
            "{}",
            metrics.body
        );
        let not_here = browser.get(&setup.url("/metrics")).await;
        assert_eq!(
            not_here.status,
            StatusCode::FORBIDDEN,
            "the application's listener asks for a login"
        );
    }
}

#[tokio::test]
async fn sign_in_is_the_login_page_and_clears_the_session() {
    for setup in ALL {
        let setup = Setup::start(setup, &[]).await;
        let browser = setup.logged_in().await;
        let before = browser.cookies(&setup.url("/"));
        let page = browser.get(&setup.url("/oauth2/sign_in?rd=%2Finbox")).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.header("content-type").unwrap_or_default().starts_with("text/html"));
        assert!(page.body.contains("name=\"rd\" value=\"/inbox\""), "{}", page.body);
        assert_clears_session(&before, &page);
        assert_not_cached(&page);
        assert_eq!(browser.get(&setup.url("/oauth2/auth")).await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn sign_out_clears_the_session_and_leads_to_the_root() {
    for (idp, store) in ALL {
        let setup = Setup::start((idp, store), &[]).await;
        let browser = setup.logged_in().await;
        assert_eq!(setup.redis.as_ref().map_or(1, stored_sessions), 1);
        let before = browser.cookies(&setup.url("/"));
        let answer = browser.get(&setup.url("/oauth2/sign_out")).await;
        assert_eq!(answer.status, StatusCode::FOUND);
        assert_eq!(answer.header("location"), Some("/"));
        assert_clears_session(&before, &answer);
        assert_not_cached(&answer);
        assert_eq!(
            setup.redis.as_ref().map_or(0, stored_sessions),
            0,
            "the stored record is deleted"
        );
        assert_eq!(browser.get(&setup.url("/oauth2/auth")).await.status, StatusCode::UNAUTHORIZED);
    }
}

fn stored_sessions(redis: &tests::redis::Redis) -> usize {
    redis.cli(&["KEYS", "_oauth2_proxy-*"]).lines().filter(|key| !key.is_empty()).count()
}

#[tokio::test]
async fn sign_out_rd_leads_to_an_allowed_page_and_to_no_other() {
    for setup in ALL {
        let setup = Setup::start(setup, &["--whitelist-domain=id.example.com"]).await;
        let browser = setup.logged_in().await;
        for (rd, location) in [
            (
                "https%3A%2F%2Fid.example.com%2Fsign_out_page",
                "https://id.example.com/sign_out_page",
            ),
            ("https%3A%2F%2Fevil.example%2F", "/"),
            ("%2F%2Fevil.example", "/"),
            ("%2F%5Cevil.example", "/"),
            ("%2Fbye", "/bye"),
        ] {
            let answer = browser.get(&setup.url(&format!("/oauth2/sign_out?rd={rd}"))).await;
            assert_eq!(
                (answer.status, answer.header("location")),
                (StatusCode::FOUND, Some(location)),
                "rd={rd}"
            );
        }
    }
}

#[tokio::test]
async fn sign_out_takes_the_target_from_the_x_auth_request_redirect_header() {
    for setup in ALL {
        let setup = Setup::start(setup, &["--whitelist-domain=id.example.com"]).await;
        let browser = setup.logged_in().await;
        for (target, location) in [
            ("https://id.example.com/sign_out_page", "https://id.example.com/sign_out_page"),
            ("https://evil.example/", "/"),
        ] {
            let request = browser
                .http
                .get(setup.url("/oauth2/sign_out"))
                .header("X-Auth-Request-Redirect", target);
            assert_eq!(browser.send(request).await.header("location"), Some(location));
        }
    }
}

#[tokio::test]
async fn start_redirects_to_the_provider_with_state_nonce_and_pkce() {
    for (idp, store) in ALL {
        let setup = Setup::start((idp, store), &[]).await;
        drop(setup.logged_in().await);
        let answer = Browser::new().get(&setup.url("/oauth2/start?rd=%2Finbox")).await;
        assert_eq!(answer.status, StatusCode::FOUND);
        assert_not_cached(&answer);
        let location = answer.location().expect("a redirect");
        let value = |name: &str| {
            location.query_pairs().find(|(n, _)| n == name).map(|(_, v)| v.into_owned())
        };
        assert_eq!(value("response_type").as_deref(), Some("code"));
        assert_eq!(value("code_challenge_method").as_deref(), Some("S256"));
        assert_eq!(value("redirect_uri"), Some(setup.url("/oauth2/callback")));
        assert!(value("nonce").is_some_and(|nonce| nonce.len() == 43));
        assert!(value("code_challenge").is_some_and(|challenge| challenge.len() == 43));
        assert!(value("state").is_some_and(|state| state.ends_with(":/inbox")));
        assert!(value("scope").is_some_and(|scope| scope.split(' ').any(|word| word == "openid")));
    }
}

#[tokio::test]
async fn callback_leads_back_to_where_the_login_began() {
    for setup in ALL {
        let setup = Setup::start(setup, &[]).await;
        let (browser, end) = setup.logged_in_at("/oauth2/start?rd=%2Finbox%3Fx%3D1").await;
        assert_eq!(
            (end.status, end.url.as_str()),
            (StatusCode::OK, setup.url("/inbox?x=1").as_str())
        );
        assert_eq!(end.header("gap-auth"), Some("alice@example.com"));
        assert_eq!(browser.get(&setup.url("/oauth2/auth")).await.status, StatusCode::ACCEPTED);
    }
}

#[tokio::test]
async fn callback_with_a_state_of_nobody_is_forbidden_and_sets_no_session() {
    for setup in ALL {
        let setup = Setup::start(setup, &[]).await;
        let browser = Browser::new();
        for query in ["code=x&state=y:/", "error=access_denied&state=y:/"] {
            let answer = browser.get(&setup.url(&format!("/oauth2/callback?{query}"))).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{query}");
            assert!(
                !answer
                    .set_cookies()
                    .iter()
                    .any(|line| line.starts_with("_oauth2_proxy=") && !line.contains("Max-Age=0"))
            );
            assert_not_cached(&answer);
        }
    }
}

#[tokio::test]
async fn userinfo_is_the_person_as_json() {
    for setup in ALL {
        let setup = Setup::start(setup, &[]).await;
        let url = setup.url("/oauth2/userinfo");
        assert_eq!(Browser::new().get(&url).await.status, StatusCode::UNAUTHORIZED);
        let answer = setup.logged_in().await.get(&url).await;
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_not_cached(&answer);
        let person = answer.json();
        assert_eq!(person["email"], "alice@example.com");
        assert_eq!(person["preferredUsername"], "alice");
        assert!(person["user"].as_str().is_some_and(|user| !user.is_empty()));
        let mut groups: Vec<&str> =
            person["groups"].as_array().into_iter().flatten().filter_map(|g| g.as_str()).collect();
        groups.sort_unstable();
        assert_eq!(groups, ["ops", "staff"]);
    }
}

#[tokio::test]
async fn auth_is_accepted_with_a_session_and_unauthorized_without() {
    for setup in ALL {
        let setup = Setup::start(setup, &["--set-xauthrequest"]).await;
        let url = setup.url("/oauth2/auth");
        let without = Browser::new().get(&url).await;
        assert_eq!(
            (without.status, without.body.trim()),
            (StatusCode::UNAUTHORIZED, "Unauthorized")
        );
        let with = setup.logged_in().await.get(&url).await;
        assert_eq!((with.status, with.body.as_str()), (StatusCode::ACCEPTED, ""));
        assert_eq!(with.header("x-auth-request-email"), Some("alice@example.com"));
        assert_eq!(with.header("x-auth-request-preferred-username"), Some("alice"));
    }
}

async fn auth_statuses(queries: &[(&str, StatusCode)]) {
    for setup in ALL {
        let setup = Setup::start(setup, &[]).await;
        let browser = setup.logged_in().await;
        for (query, status) in queries {
            let answer = browser.get(&setup.url(&format!("/oauth2/auth?{query}"))).await;
            assert_eq!(answer.status, *status, "{query}");
        }
    }
}

#[tokio::test]
async fn auth_allowed_groups_needs_one_of_the_groups() {
    auth_statuses(&[
        ("allowed_groups=staff", StatusCode::ACCEPTED),
        ("allowed_groups=nobody,ops", StatusCode::ACCEPTED),
        ("allowed_groups=nobody&allowed_groups=ops", StatusCode::ACCEPTED),
        ("allowed_groups=nobody", StatusCode::FORBIDDEN),
        ("allowed_groups=", StatusCode::ACCEPTED),
    ])
    .await;
}

#[tokio::test]
async fn auth_allowed_email_domains_needs_one_of_the_domains() {
    auth_statuses(&[
        ("allowed_email_domains=example.com", StatusCode::ACCEPTED),
        ("allowed_email_domains=other.example,example.com", StatusCode::ACCEPTED),
        ("allowed_email_domains=*.com", StatusCode::ACCEPTED),
        ("allowed_email_domains=other.example", StatusCode::FORBIDDEN),
        ("allowed_email_domains=ample.com", StatusCode::FORBIDDEN),
    ])
    .await;
}

#[tokio::test]
async fn auth_allowed_emails_needs_one_of_the_addresses() {
    auth_statuses(&[
        ("allowed_emails=alice%40example.com", StatusCode::ACCEPTED),
        ("allowed_emails=bob%40example.com,alice%40example.com", StatusCode::ACCEPTED),
        ("allowed_emails=bob%40example.com", StatusCode::FORBIDDEN),
        ("allowed_emails=alice%40example.com&allowed_groups=nobody", StatusCode::FORBIDDEN),
    ])
    .await;
}

#[tokio::test]
async fn proxy_prefix_moves_every_endpoint() {
    for setup in ALL {
        let setup = Setup::start(setup, &["--proxy-prefix=/login", "--skip-provider-button"]).await;
        let browser = Browser::new();
        assert_eq!(browser.get(&setup.url("/login/auth")).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(
            browser.get(&setup.url("/login/userinfo")).await.status,
            StatusCode::UNAUTHORIZED
        );
        assert_eq!(browser.get(&setup.url("/login/sign_out")).await.header("location"), Some("/"));
        assert_ne!(browser.get(&setup.url("/oauth2/auth")).await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn every_other_path_asks_for_a_login_and_is_proxied_after_it() {
    for setup in ALL {
        let setup = Setup::start(setup, &[]).await;
        for path in [
            "/",
            "/any/where?x=1",
            "/oauth2",
            "/oauth2/",
            "/oauth2/nothing",
            "/oauth2/auth/",
            "/pingx",
        ] {
            let answer = Browser::new().get(&setup.url(path)).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
            assert_not_cached(&answer);
        }
        let browser = setup.logged_in().await;
        let answer = browser.get(&setup.url("/any/where?x=1")).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "Authenticated"));
    }
}

#[tokio::test]
async fn a_dead_store_is_a_server_error_and_logs_nobody_out() {
    for (idp, store) in ALL.into_iter().filter(|(_, store)| *store == Store::Redis) {
        let mut setup = Setup::start((idp, store), &[]).await;
        let browser = setup.logged_in().await;
        let (app, auth) = (setup.url("/"), setup.url("/oauth2/auth"));
        let redis = setup.redis.as_mut().expect("a Redis");
        redis.stop();
        for url in [&app, &auth] {
            let answer = browser.get(url).await;
            assert!(answer.status.is_server_error(), "{url}: {}", answer.status);
            assert!(
                answer.set_cookies().is_empty(),
                "nobody is logged out: {:?}",
                answer.set_cookies()
            );
        }
        redis.resume().await;
        tests::eventually::eventually(
            "the session is back",
            std::time::Duration::from_secs(20),
            || async {
                let answer = browser.get(&auth).await;
                if answer.status == StatusCode::ACCEPTED { Ok(()) } else { Err(answer.status) }
            },
        )
        .await;
    }
}
