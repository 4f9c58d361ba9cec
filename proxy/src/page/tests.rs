//! What the pages say and what they must not let through.

use super::*;

const EVIL: &str = r#""><script>alert(1)</script><a href='x'>&"#;

fn header<'a>(page: &'a Page, name: &HeaderName) -> &'a str {
    page.headers.iter().find(|(candidate, _)| candidate == name).unwrap().1.to_str().unwrap()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).unwrap().1.split_once(end).unwrap().0
}

fn sign_in<'a>(provider: &'a str, redirect: &'a str, message: &'a str) -> Page {
    SignIn { provider, redirect, prefix: "/oauth2", message }.render()
}

fn error<'a>(status: u16, message: &'a str, redirect: &'a str) -> Page {
    let status = StatusCode::from_u16(status).unwrap();
    ErrorPage {
        status,
        message,
        request_id: "4711-a",
        redirect,
        prefix: "/oauth2",
        another_account: false,
    }
    .render()
}

#[test]
fn the_sign_in_page_starts_a_login_that_leads_back() {
    let page = sign_in("Keycloak", "/app?a=1&b=2", "");
    for part in [
        r#"<html lang="en">"#,
        "<title>Sign in</title>",
        r#"<form method="get" action="/oauth2/start">"#,
        r#"<input type="hidden" name="rd" value="/app?a=1&#38;b=2">"#,
        "Sign in with Keycloak</button>",
        r#"<meta name="viewport" content="width=device-width, initial-scale=1">"#,
    ] {
        assert!(page.html.contains(part), "{part} is missing in {}", page.html);
    }
    assert_eq!(header(&page, &header::CONTENT_TYPE), "text/html; charset=utf-8");
    assert_eq!(header(&page, &header::X_FRAME_OPTIONS), "DENY");
}

#[test]
fn the_page_after_a_sign_out_says_no_more_than_is_known() {
    let page = |certain| SignedOut { prefix: EVIL, certain }.render();
    let (certain, unsure) = (page(true).html, page(false).html);
    assert!(
        certain.contains("You are signed out here") && certain.contains("/start\">"),
        "{certain}"
    );
    assert!(
        unsure.contains("You may still be signed in") && unsure.contains("/sign_out\">"),
        "{unsure}"
    );
    for html in [certain, unsure] {
        assert!(!html.contains("<script") && !html.contains("<a "), "{html}");
    }
    assert_eq!(header(&page(true), &header::X_FRAME_OPTIONS), "DENY");
}

#[test]
fn the_error_page_names_status_message_and_request_and_offers_two_ways_on() {
    let page = error(403, "", "/app?a=1");
    for part in [
        "<title>403 Forbidden</title>",
        "You do not have permission",
        "<code>4711-a</code>",
        r#"<form method="get" action="/oauth2/sign_in">"#,
        r#"<input type="hidden" name="rd" value="/app?a=1">"#,
        r#"<a class="button second" href="/app?a=1">Go back</a>"#,
    ] {
        assert!(page.html.contains(part), "{part} is missing in {}", page.html);
    }
    assert!(error(502, "", "").html.contains("does not answer"));
    assert!(error(418, "Own words.", "").html.contains("<p>Own words.</p>"));
    assert!(!error(502, "", "").html.contains("<form"));
}

#[test]
fn where_only_another_account_helps_the_page_asks_for_one() {
    let status = StatusCode::FORBIDDEN;
    let (prefix, redirect) = ("/oauth2", "/app?a=1");
    let page =
        ErrorPage { status, message: "", request_id: "", redirect, prefix, another_account: true };
    let html = page.render().html;
    for part in [
        r#"<form method="get" action="/oauth2/start">"#,
        r#"<input type="hidden" name="rd" value="/app?a=1">"#,
        r#"<input type="hidden" name="prompt" value="select_account">"#,
        "Sign in with another account</button>",
    ] {
        assert!(html.contains(part), "{part} is missing in {html}");
    }
    assert!(!html.contains("/oauth2/sign_in"), "{html}");
}

#[test]
fn no_value_becomes_markup() {
    let pages = [sign_in(EVIL, EVIL, EVIL), error(500, EVIL, &["/", EVIL].concat())];
    for page in pages {
        let without_ours = page.html.replace(&format!("<script>{SCRIPT}</script>"), "");
        assert!(!without_ours.contains("<script"), "{without_ours}");
        assert!(!page.html.contains("<a href='x'>"), "{}", page.html);
        assert!(!page.html.contains(r#"value="">"#), "{}", page.html);
    }
}

#[test]
fn a_redirect_that_is_no_address_of_a_page_is_not_offered() {
    for redirect in ["javascript:alert(1)", "data:text/html,x", "evil", ""] {
        assert!(!error(403, "", redirect).html.contains("Go back"), "{redirect}");
    }
}

#[test]
fn the_policy_allows_exactly_the_inline_parts() {
    let page = sign_in("x", "/", "");
    let policy = header(&page, &header::CONTENT_SECURITY_POLICY);
    for (inline, directive) in [
        (between(&page.html, "<script>", "</script>"), "script-src "),
        (between(&page.html, "<style>", "</style>"), "style-src "),
    ] {
        assert_eq!(between(policy, directive, ";"), source(inline), "{policy}");
    }
    assert!(policy.starts_with("default-src 'none'; "));
    assert!(!policy.contains("unsafe"));
    let page = error(500, "", "/");
    let policy = header(&page, &header::CONTENT_SECURITY_POLICY);
    assert!(!policy.contains("script-src"), "the error page has no script: {policy}");
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    for page in [sign_in("x", "/", ""), error(500, "", "/")] {
        for outside in ["http:", "https:", "src=", "<link", "url(", "@import", "style="] {
            assert!(!page.html.contains(outside), "{outside} in {}", page.html);
        }
    }
}
