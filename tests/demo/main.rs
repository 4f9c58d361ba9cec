//! The demo on a cluster that was not made for it, from `demo up` to `demo down`: a newcomer's first login, and what an
//! operator of the cluster does in the months after it.

#![expect(clippy::expect_used, reason = "the way a test fails")]

mod recipe;
mod stage;
mod takeover;

use serde_json::Value;
use stage::Demo;
use std::time::Duration;
use tests::browser::Chromium;
use tests::client::Browser;
use tests::eventually::eventually;
use tests::prober::Prober;
use tests::process::root;

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_lets_alice_in_and_not_bob_lives_through_changes_and_leaves_nothing_behind() {
    let demo = Demo::up();
    let pods = demo.pods();
    chromium_logs_in_and_sees_the_greeting(&demo).await;
    let alice = log_in(&demo).await;
    the_app_is_told_name_and_groups(&demo, &alice).await;
    bob_is_refused(&demo).await;
    an_open_service_is_seen_at_the_entrance(&demo).await;
    a_run_that_is_refused_leaves_the_demo_as_it_is(&demo).await;
    a_second_run_changes_nothing(&demo, &alice).await;
    a_change_of_the_object_reaches_the_sidecars(&demo, &alice).await;
    a_session_outlives_a_new_key(&demo, &alice).await;
    recipe::a_manifest_with_both_lines_is_closed_from_its_first_second(&demo).await;
    helm_upgrades_and_tests_the_operator(&demo, &alice).await;
    assert_eq!(demo.pods(), pods, "the app's pods were replaced");
    demo.down();
}

async fn chromium_logs_in_and_sees_the_greeting(demo: &Demo) {
    let chromium = Chromium::open(1000, 800).await;
    let page = &chromium.page;
    page.goto(&demo.url("/")).await.expect("the demo answers");
    let sign_in = page.find(fantoccini::Locator::Css("form button, button[type=submit]")).await;
    keep(&chromium, "demo-sign-in.png").await;
    sign_in.expect("the sign-in page has a button").click().await.expect("it leads on");
    let name = page
        .wait()
        .at_most(Duration::from_secs(30))
        .for_element(fantoccini::Locator::Id("username"));
    name.await.expect("Keycloak asks for a name").send_keys("alice").await.expect("typed");
    let field = |id| page.find(fantoccini::Locator::Id(id));
    field("password").await.expect("a password").send_keys("wonderland").await.expect("typed");
    field("kc-login").await.expect("a button").click().await.expect("it leads on");
    let heading = eventually("the app greets", Duration::from_secs(30), || async {
        let heading = page.find(fantoccini::Locator::Css("h1")).await.map_err(|e| e.to_string())?;
        let text = heading.text().await.map_err(|error| error.to_string())?;
        if text.starts_with("Hello") { Ok(text) } else { Err(text) }
    })
    .await;
    assert_eq!(heading, "Hello, alice");
    let groups = page.find(fantoccini::Locator::Css("ul")).await.expect("a list of groups");
    let groups = groups.text().await.expect("its text");
    assert!(groups.contains("staff") && groups.contains("gardeners"), "{groups}");
    keep(&chromium, "demo-greeting.png").await;
}

/// Keeps a picture for a person to look at.
async fn keep(chromium: &Chromium, name: &str) {
    let picture = chromium.screenshot().await;
    assert!(picture.len() > 5_000, "{name} has only {} bytes", picture.len());
    let folder = root().join("target/screenshots");
    std::fs::create_dir_all(&folder).expect("the folder for screenshots");
    std::fs::write(folder.join(name), picture).expect("a picture");
}

/// A client in which Alice has just logged in.
async fn log_in(demo: &Demo) -> Browser {
    let browser = Browser::new();
    let page = browser.follow(&demo.url("/oauth2/start?rd=%2F")).await;
    let end = browser.log_in(&page, "alice", "wonderland").await;
    assert_eq!(end.status, 200, "the login ended at {end:?}");
    assert!(end.body.contains("Hello, alice"), "{}", end.body);
    browser
}

async fn the_app_is_told_name_and_groups(demo: &Demo, alice: &Browser) {
    let seen = alice.get(&demo.url("/headers")).await.json();
    let header = |name: &str| {
        seen.pointer(&format!("/headers/{name}/0")).and_then(Value::as_str).map(str::to_owned)
    };
    assert_eq!(header("x-forwarded-preferred-username").as_deref(), Some("alice"), "{seen:#}");
    assert_eq!(header("x-forwarded-email").as_deref(), Some("alice@example.com"), "{seen:#}");
    let user = header("x-forwarded-user").unwrap_or_default();
    assert!(user.len() == 36 && !user.contains("alice"), "the subject is opaque: {seen:#}");
    let groups = header("x-forwarded-groups").unwrap_or_default();
    let mut groups: Vec<&str> = groups.split(',').collect();
    groups.sort_unstable();
    assert_eq!(groups, ["gardeners", "staff"], "{seen:#}");
    let cookies = header("cookie").unwrap_or_default();
    assert!(!cookies.contains("_oauth2_proxy"), "the session reached the app: {cookies}");
}

async fn bob_is_refused(demo: &Demo) {
    let browser = Browser::new();
    let page = browser.follow(&demo.url("/oauth2/start?rd=%2F")).await;
    let end = browser.log_in(&page, "bob", "gatecrasher").await;
    assert_eq!(end.status, 403, "the login ended at {end:?}");
    assert!(end.body.contains("allowed groups"), "{}", end.body);
    assert_eq!(browser.get(&demo.url("/headers")).await.status, 403);
}

/// Whoever looks at the demo sees what a client in the cluster sees, and not what a way of its own would show.
async fn an_open_service_is_seen_at_the_entrance(demo: &Demo) {
    // A client each time: a connection leads for ever where it led at its beginning.
    let answers = async |wanted: u16| {
        eventually("a stranger gets the other answer", Duration::from_mins(1), || async {
            let status = Browser::new().get(&demo.url("/headers")).await.status;
            if status == wanted { Ok(()) } else { Err(status) }
        })
        .await;
    };
    answers(403).await;
    demo.ok(&["annotate", "deployment", "sample-app", "oauth2proxy.dev/paused=true"]);
    let open = r#"{"spec":{"ports":[{"port":80,"targetPort":"http"}]}}"#;
    eventually("the Service stays open", Duration::from_mins(1), || async {
        demo.ok(&["patch", "service", "sample-app", "-p", open]);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let status = Browser::new().get(&demo.url("/headers")).await.status;
        if status == 200 { Ok(()) } else { Err(status) }
    })
    .await;
    demo.ok(&["annotate", "deployment", "sample-app", "oauth2proxy.dev/paused-"]);
    answers(403).await;
}

async fn a_run_that_is_refused_leaves_the_demo_as_it_is(demo: &Demo) {
    let said = demo.refused(&[("DEMO_CONTEXT", "nope")]);
    assert!(said.contains("DEMO_CONTEXT=nope"), "{said}");
    let port = demo.url("").rsplit(':').next().unwrap_or_default().to_owned();
    let said = demo.refused(&[("DEMO_KEYCLOAK_PORT", &port), ("DEMO_CONTEXT", "nope")]);
    assert!(said.contains("are both") && said.contains("DEMO_CONTEXT=nope"), "{said}");
    assert_eq!(Browser::new().get(&demo.url("/headers")).await.status, 403, "it goes on");
}

async fn a_second_run_changes_nothing(demo: &Demo, alice: &Browser) {
    let (revisions, pods) = (demo.revisions(), demo.pods());
    let stranger = Prober::stranger(&[demo.address("sample-app")]);
    demo.bring_up();
    stranger.is_content("the demo was brought up again");
    assert_eq!(demo.revisions(), revisions, "a revision of the operator's release");
    assert_eq!(demo.pods(), pods, "the app's pods");
    assert_eq!(alice.get(&demo.url("/headers")).await.status, 200, "the session lives on");
}

async fn a_change_of_the_object_reaches_the_sidecars(demo: &Demo, alice: &Browser) {
    let open = |paths: &str| {
        let patch = format!(r#"{{"spec":{{"access":{{"skipAuthRoutes":{paths}}}}}}}"#);
        demo.ok(&["patch", "oauth2proxy", "main", "--type=merge", "-p", &patch]);
    };
    let nobody = Browser::new();
    let becomes = async |wanted: u16| {
        eventually("the change is in force", Duration::from_secs(20), || async {
            let status = nobody.get(&demo.url("/headers")).await.status;
            if status == wanted { Ok(()) } else { Err(status) }
        })
        .await;
    };
    becomes(403).await;
    open(r#"[{"pathRegex":"^/headers$"}]"#);
    becomes(200).await;
    open("null");
    becomes(403).await;
    assert_eq!(alice.get(&demo.url("/headers")).await.status, 200, "the session lives on");
}

async fn a_session_outlives_a_new_key(demo: &Demo, alice: &Browser) {
    let sealing = || demo.ok(&["get", "o2p", "main", "-o", "jsonpath={.status.sealingKey}"]);
    assert_eq!(sealing(), "key-1");
    let key = r#"{"stringData":{"key-2":"another-key-of-32-bytes-for-test"}}"#;
    demo.ok(&["patch", "secret", "main-cookie", "-p", key]);
    eventually("the new key seals", Duration::from_mins(2), || async {
        let sealing = sealing();
        if sealing == "key-2" { Ok(()) } else { Err(sealing) }
    })
    .await;
    assert_eq!(alice.get(&demo.url("/headers")).await.status, 200, "the old session");
    // The pods follow within two seconds.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let new = log_in(demo).await;
    assert_eq!(new.get(&demo.url("/headers")).await.status, 200, "a session of the new key");
    demo.ok(&[
        "patch",
        "secret",
        "main-cookie",
        "--type=json",
        "-p",
        r#"[{"op":"remove","path":"/data/key-1"}]"#,
    ]);
    eventually("the old key opens nothing any more", Duration::from_mins(2), || async {
        let status = alice.get(&demo.url("/headers")).await.status;
        if status == 403 { Ok(()) } else { Err(status) }
    })
    .await;
    assert_eq!(new.get(&demo.url("/headers")).await.status, 200, "a session of the new key");
    // Alice goes on with a session that the rest can use.
    let page = alice.follow(&demo.url("/oauth2/start?rd=%2F")).await;
    assert!(page.body.contains("Hello, alice"), "single sign-on: {page:?}");
}

async fn helm_upgrades_and_tests_the_operator(demo: &Demo, alice: &Browser) {
    for helm in ["helm3", "helm4"] {
        demo.helm(
            helm,
            &[
                "upgrade",
                "oauth2-proxy-operator",
                &Demo::chart(),
                "--reuse-values",
                "--set",
                &format!("podLabels.upgraded-by={helm}"),
                "--wait",
                "--timeout=3m",
            ],
        );
        demo.helm(helm, &["test", "oauth2-proxy-operator", "--timeout=2m"]);
        assert_eq!(alice.get(&demo.url("/headers")).await.status, 200, "after {helm} upgrade");
    }
    let ready = |object: &Value| tests::cluster::condition(object, "Ready").starts_with("True");
    eventually("the object is ready", Duration::from_mins(2), || async {
        let object = demo.object();
        if ready(&object) { Ok(()) } else { Err(format!("{object:#}")) }
    })
    .await;
}
