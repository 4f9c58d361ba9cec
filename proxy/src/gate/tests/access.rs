//! Who may pass: exemptions, rules, restrictions, and in what form others are refused.

use super::proxy::{Proxy, SECRET, cookie};
use super::{session, upstream};
use serde_json::json;

const OK: &str = "--upstream=static://200";

fn status(proxy: &Proxy, method: &str, target: &str, headers: &[(&str, &str)]) -> u16 {
    proxy.send(method, target, headers, "").status
}

#[test]
fn health_and_robots_answer_anybody_on_exact_paths_only() {
    let proxy = Proxy::start(&[OK]);
    for (target, body) in
        [("/ping", "OK"), ("/ready", "OK"), ("/robots.txt", "User-agent: *\nDisallow: /\n")]
    {
        let answer = proxy.get(target, &[("User-Agent", "kube-probe/1.33")]);
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "{target}");
    }
    for target in ["/", "/ping/", "/ping/x", "/PING", "/ready/x", "/liveness_check"] {
        assert_eq!(
            status(&proxy, "GET", target, &[("User-Agent", "GoogleHC/1.0")]),
            403,
            "{target}"
        );
    }
}

#[test]
fn a_request_without_a_session_is_asked_to_sign_in_in_the_form_that_it_understands() {
    let proxy = Proxy::start(&[OK, "--api-route=^/api/"]);
    let page = proxy.get("/x?y=1", &[]);
    assert_eq!(page.status, 403);
    assert!(
        page.body.contains("/x?y=1") && page.header("cache-control").contains("no-store"),
        "{page:?}"
    );
    for (target, accept) in [
        ("/x", "application/json"),
        ("/x", "text/html, application/json"),
        // Media types have no case (RFC 9110 section 8.3.1).
        ("/x", "Application/JSON"),
        ("/api/x", "*/*"),
    ] {
        let answer = proxy.get(target, &[("Accept", accept)]);
        assert_eq!((answer.status, answer.body.as_str()), (401, "{}"), "{target} {accept}");
        assert_eq!(answer.header("content-type"), "application/json");
    }
    assert_eq!(status(&proxy, "GET", "/x?/api/", &[("Accept", "application/json;q=1")]), 403);
    let forced = Proxy::start(&[OK, "--force-json-errors"]);
    assert_eq!(status(&forced, "GET", "/x", &[]), 401);
}

#[test]
fn a_denied_session_is_cleared_and_told_why() {
    let proxy = Proxy::start(&[OK, "--allowed-group=admins", "--skip-auth-route=^/open"]);
    let cookie = cookie(&session());
    let headers = [("Cookie", cookie.as_str()), ("Accept", "application/json")];
    let denied = proxy.get("/x", &headers);
    assert_eq!(denied.status, 403);
    assert!(denied.header("set-cookie").starts_with("_oauth2_proxy=;"), "{denied:?}");
    assert!(denied.body.contains("in none of the allowed groups"), "{denied:?}");
    assert_eq!(status(&proxy, "GET", "/oauth2/auth", &headers), 401);
    assert_eq!(status(&proxy, "GET", "/oauth2/userinfo", &headers), 401);
    let open = proxy.get("/open", &headers);
    assert_eq!(
        (open.status, open.header("gap-auth")),
        (200, ""),
        "nobody speaks for a session that may not pass"
    );
}

#[test]
fn a_preflight_must_be_one() {
    let proxy = Proxy::start(&[OK, "--skip-auth-preflight"]);
    let real = [("Origin", "https://a.example"), ("Access-Control-Request-Method", "PUT")];
    assert_eq!(status(&proxy, "OPTIONS", "/x", &real), 200);
    assert_eq!(status(&proxy, "OPTIONS", "/x", &real[..1]), 403);
    assert_eq!(status(&proxy, "OPTIONS", "/x", &[]), 403);
    assert_eq!(status(&proxy, "GET", "/x", &real), 403);
    for body in ["a", "x=1"] {
        assert_eq!(proxy.send("OPTIONS", "/x", &real, body).status, 403, "{body}");
    }
    let chunked = [real[0], real[1], ("Transfer-Encoding", "chunked")];
    assert_eq!(status(&proxy, "OPTIONS", "/x", &chunked), 403);
}

#[test]
fn a_preflight_that_a_named_proxy_asks_about_passes() {
    let named = [OK, "--skip-auth-preflight", "--reverse-proxy", "--trusted-proxy-ip=127.0.0.1"];
    // Caddy asks by GET, tells the method, and passes all headers of the client.
    let asked = [
        ("Origin", "https://a.example"),
        ("Access-Control-Request-Method", "PUT"),
        ("X-Forwarded-Method", "OPTIONS"),
        ("X-Forwarded-Uri", "/api"),
    ];
    let proxy = Proxy::start(&named);
    assert_eq!(status(&proxy, "GET", "/oauth2/auth", &asked), 202);
    for missing in 0..3 {
        let mut list = asked.to_vec();
        list.remove(missing);
        assert_eq!(status(&proxy, "GET", "/oauth2/auth", &list), 401, "{list:?}");
    }
    let unnamed = Proxy::start(&named[..3]);
    assert_eq!(status(&unnamed, "GET", "/oauth2/auth", &asked), 401);
}

#[test]
fn what_ingress_nginx_passes_of_the_client_opens_nothing() {
    let proxy = Proxy::start(&[
        OK,
        "--skip-auth-route=GET=^/public",
        "--reverse-proxy",
        "--trusted-proxy-ip=127.0.0.1",
    ]);
    let client = [("X-Forwarded-Uri", "/public"), ("X-Forwarded-Method", "GET")];
    assert_eq!(status(&proxy, "GET", "/oauth2/auth", &client), 202);
    for told in [
        ("X-Original-URL", "https://app.example/secret"),
        ("X-Original-URI", "/secret"),
        ("X-Envoy-Original-Path", "/secret"),
        ("X-Original-Method", "POST"),
    ] {
        let list = [client[0], client[1], told];
        assert_eq!(status(&proxy, "GET", "/oauth2/auth", &list), 401, "{told:?}");
    }
    let same = [client[0], client[1], ("X-Original-URL", "https://app.example/public?x")];
    assert_eq!(status(&proxy, "GET", "/oauth2/auth", &same), 202);
}

#[test]
fn paths_that_are_data_to_the_application_reach_it_unchanged_and_need_a_session() {
    let application = format!("--upstream=http://{}/", upstream(&[]));
    let proxy = Proxy::start(&[&application, "--skip-auth-route=!=^/private"]);
    let cookie = cookie(&session());
    for target in [
        "/api/queues/%2F/orders",
        "/files/.%23lock",
        "/api/users/CORP%5Cjane",
        "/;jsessionid=A",
        "/;a/private",
    ] {
        let answer = proxy.get(target, &[("Cookie", &cookie)]);
        assert_eq!(answer.status, 200, "{target}");
        assert!(answer.body.starts_with(&format!("GET {target} HTTP/1.1\r\n")), "{answer:?}");
        assert_eq!(status(&proxy, "GET", target, &[]), 403, "{target}");
    }
    for target in ["/private", "/private/", "/%70rivate", "/private%20", "/private.", "/private;x"]
    {
        assert_eq!(status(&proxy, "GET", target, &[]), 403, "{target}");
    }
    for target in ["//private", "/x/../private"] {
        assert_eq!(status(&proxy, "GET", target, &[]), 301, "{target}");
    }
    assert_eq!(status(&proxy, "GET", "/open", &[]), 200);
}

#[test]
fn what_nobody_who_was_named_tells_does_not_reach_the_application() {
    let application = format!("--upstream=http://{}/", upstream(&[]));
    let sent = [
        ("X-Rewrite-URL", "/admin"),
        ("X-Original-URL", "/admin"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("X-Real-IP", "10.0.0.1"),
        ("X-Forwarded-Client-Cert", "Subject=\"CN=admin\""),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "whatever.example"),
        ("X-HTTP-Method-Override", "DELETE"),
    ];
    let told = |flags: &[&str]| -> Vec<String> {
        let mut all = vec![application.as_str(), "--skip-auth-route=GET=^/public/"];
        all.extend(flags);
        let answer = Proxy::start(&all).get("/public/x", &sent);
        assert_eq!(answer.status, 200, "{answer:?}");
        let lines = answer.body.lines().map(str::to_ascii_lowercase);
        let mut told: Vec<String> =
            lines.filter(|line| line.starts_with("x-") && !line.contains("-id:")).collect();
        told.sort();
        told
    };
    let nothing = [
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: app.vectors.example",
        "x-forwarded-proto: http",
    ];
    assert_eq!(told(&[]), nothing);
    assert_eq!(told(&["--reverse-proxy", "--trusted-proxy-ip=10.0.0.0/8"]), nothing);
    assert_eq!(
        told(&["--reverse-proxy"]),
        [
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-host: whatever.example",
            "x-forwarded-proto: https"
        ]
    );
    assert_eq!(
        told(&["--reverse-proxy", "--trusted-proxy-ip=127.0.0.1"]),
        [
            "x-forwarded-client-cert: subject=\"cn=admin\"",
            "x-forwarded-for: 10.0.0.1, 127.0.0.1",
            "x-forwarded-host: whatever.example",
            "x-forwarded-proto: https",
            "x-real-ip: 10.0.0.1",
        ]
    );
}

#[test]
fn another_method_is_asked_for_only_where_every_method_passes() {
    let application = format!("--upstream=http://{}/", upstream(&[]));
    let proxy = Proxy::start(&[
        &application,
        "--skip-auth-route=GET=^/one",
        "--skip-auth-route=^/all",
        "--skip-auth-preflight",
    ]);
    let (asked, cookie) = (("X-HTTP-Method-Override", "DELETE"), cookie(&session()));
    let arrives = |method: &str, target: &str, more: &[(&str, &str)]| {
        let list: Vec<_> = more.iter().copied().chain([asked]).collect();
        let answer = proxy.send(method, target, &list, "");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body.to_ascii_lowercase().contains("x-http-method-override: delete")
    };
    assert!(!arrives("GET", "/one", &[]));
    assert!(arrives("GET", "/all", &[]));
    assert!(arrives("GET", "/one", &[("Cookie", &cookie)]));
    let preflight = [("Origin", "https://a.example"), ("Access-Control-Request-Method", "GET")];
    assert!(!arrives("OPTIONS", "/x", &preflight));
}

#[test]
fn a_forwarded_address_counts_from_named_proxies_only() {
    let told = [("X-Real-IP", "10.1.2.3")];
    let named = Proxy::start(&[
        OK,
        "--reverse-proxy",
        "--trusted-proxy-ip=127.0.0.1",
        "--trusted-ip=10.0.0.0/8",
    ]);
    assert_eq!(status(&named, "GET", "/x", &told), 200);
    assert_eq!(status(&named, "GET", "/x", &[("X-Real-IP", "192.0.2.1")]), 403);
    assert_eq!(status(&named, "GET", "/x", &[]), 403);
    let unnamed =
        Proxy::start(&[OK, "--reverse-proxy", "--trusted-ip=10.0.0.0/8", "--trusted-ip=127.0.0.1"]);
    assert_eq!(status(&unnamed, "GET", "/x", &told), 403);
    assert_eq!(status(&unnamed, "GET", "/x", &[]), 403);
    let direct = Proxy::start(&[OK, "--trusted-ip=127.0.0.1"]);
    assert_eq!(status(&direct, "GET", "/x", &[("X-Real-IP", "192.0.2.1")]), 200);
}

#[test]
fn the_auth_endpoint_judges_the_request_that_a_named_proxy_tells_of() {
    let rule = "--skip-auth-route=GET=^/open/";
    let named = Proxy::start(&[OK, rule, "--reverse-proxy", "--trusted-proxy-ip=127.0.0.1"]);
    let auth = |proxy: &Proxy, uri: &str, method: Option<&str>| {
        let mut headers = vec![("X-Forwarded-Uri", uri)];
        headers.extend(method.map(|method| ("X-Forwarded-Method", method)));
        status(proxy, "GET", "/oauth2/auth", &headers)
    };
    assert_eq!(auth(&named, "/open/x?y", Some("GET")), 202);
    for (uri, method) in [
        ("/open/x", Some("POST")),
        ("/open/x", None),
        ("/open/../admin", Some("GET")),
        ("/open/..%2fadmin", Some("GET")),
        ("//open/x", Some("GET")),
        ("/admin?/open/", Some("GET")),
        ("/admin#/open/", Some("GET")),
        ("/open/x#/../../admin", Some("GET")),
        ("/open/..%23/admin", Some("GET")),
        ("/open/..%3f/admin", Some("GET")),
        ("/open/.%20./admin", Some("GET")),
        ("/open%23/x", Some("GET")),
    ] {
        assert_eq!(auth(&named, uri, method), 401, "{uri} {method:?}");
    }
    let (uri, method) = (("X-Forwarded-Uri", "/open/x"), ("X-Forwarded-Method", "GET"));
    for second in [("X-Forwarded-Uri", "/admin"), ("X-Forwarded-Method", "POST")] {
        assert_eq!(
            status(&named, "GET", "/oauth2/auth", &[uri, method, second]),
            401,
            "{second:?}"
        );
    }
    let unnamed = Proxy::start(&[OK, rule, "--skip-auth-route=!=^/admin", "--reverse-proxy"]);
    assert_eq!(auth(&unnamed, "/open/x", Some("GET")), 401);
    assert_eq!(status(&unnamed, "GET", "/oauth2/auth", &[]), 401);
}

#[test]
fn known_ways_around_a_skip_rule_reach_no_upstream() {
    let proxy = Proxy::start(&[OK, "--skip-auth-route=^/public/"]);
    for target in [
        "/public/..%2fadmin",
        "/public/%2e%2e%2fadmin",
        "/public/..;/admin",
        "/public/..\\admin",
        "/public/%5c../admin",
        "/public/%00/../admin",
        "/public/%252e%252e/admin",
        "/public/a%0d%0ab",
        "/public/..%23/admin",
        "/public/..%3f/admin",
        "/public/..%20/admin",
        "/public/.%20./admin",
    ] {
        assert_eq!(status(&proxy, "GET", target, &[]), 400, "{target}");
    }
    for target in ["/public/../admin", "/public/%2e%2e/admin", "//public/x", "/public//x"] {
        assert_eq!(status(&proxy, "GET", target, &[]), 301, "{target}");
    }
    for target in [
        "/admin?/public/",
        "/public",
        "/public%2Fx",
        "/public/%2561",
        "/public%23/x",
        "/public%3f/x",
        "/PUBLIC/x",
    ] {
        assert_eq!(status(&proxy, "GET", target, &[]), 403, "{target}");
    }
    assert_eq!(status(&proxy, "GET", "/public/x", &[]), 200);
}

#[test]
fn restrictions_of_the_query_hold_on_the_auth_endpoint_and_on_proxied_requests() {
    let proxy = Proxy::start(&[OK]);
    let cookie = cookie(&session());
    let headers = [("Cookie", cookie.as_str())];
    for (query, passes) in [
        ("allowed_groups=staff", true),
        ("allowed_groups=x,y", false),
        ("allowed_emails=mara@vectors.example", true),
        ("allowed_emails=eve@vectors.example", false),
        ("allowed_email_domains=vectors.example", true),
        ("allowed_email_domains=.vectors.example", true),
        ("allowed_email_domains=rogue.example", false),
    ] {
        let auth = status(&proxy, "GET", &format!("/oauth2/auth?{query}"), &headers);
        assert_eq!(auth, if passes { 202 } else { 403 }, "{query}");
        let proxied = status(&proxy, "GET", &format!("/x?{query}"), &headers);
        assert_eq!(proxied, if passes { 200 } else { 403 }, "{query}");
    }
}

#[test]
fn a_session_is_served_from_the_cache_and_a_changed_cookie_is_not() {
    let proxy = Proxy::start(&[OK]);
    let good = cookie(&session());
    for _ in 0..3 {
        let answer = proxy.get("/x", &[("Cookie", &good)]);
        assert_eq!((answer.status, answer.header("gap-auth")), (200, "mara@vectors.example"));
    }
    for bad in [
        format!("{good}A"),
        good.replace('=', "=A"),
        good.strip_suffix(|_: char| true).expect("more").to_owned(),
    ] {
        let answer = proxy.get("/x", &[("Cookie", &bad)]);
        assert_eq!(answer.status, 403, "{bad}");
        assert!(answer.header("set-cookie").starts_with("_oauth2_proxy=;"), "{answer:?}");
    }
}

#[test]
fn userinfo_tells_who_the_session_is() {
    let proxy = Proxy::start(&[OK]);
    let cookie = cookie(&session());
    let answer = proxy.get("/oauth2/userinfo", &[("Cookie", &cookie)]);
    let expected = r#"{"user":"5f1c7a90-user","email":"mara@vectors.example","groups":["staff","ops/oncall","a,b"],"preferredUsername":"mara"}"#;
    assert_eq!(answer.body.trim_end(), expected);
    assert!(answer.header("cache-control").contains("no-store"));
}

#[test]
fn the_prefix_moves_the_own_endpoints() {
    let proxy = Proxy::start(&[OK, "--proxy-prefix=/px", "--skip-provider-button"]);
    assert_eq!(status(&proxy, "GET", "/px/auth", &[]), 401);
    assert_eq!(status(&proxy, "GET", "/oauth2/auth", &[]), 302);
    assert_eq!(status(&proxy, "GET", "/px/%61uth", &[]), 302);
}

/// A generated file for a proxy with a plain and a TLS listener, and the port that the latter is to have.
fn generated(dir: &std::path::Path) -> (String, u16) {
    let file = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).expect("a certificate");
    let certificate = file("cert.pem", &made.cert.pem());
    let key = file("key.pem", &made.signing_key.serialize_pem());
    let (secret, ring) = (file("client", "s"), file("ring", SECRET));
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("an address").port();
    let config = json!({
        "version": "v1",
        "listeners": {
            "http": {"address": "127.0.0.1:0"},
            "https": {"address": format!("127.0.0.1:{port}"), "certificateFile": certificate, "key": {"file": key}},
        },
        "providers": [{
            "id": "main", "clientId": "app-7", "clientSecret": {"file": secret}, "issuerUrl": "http://127.0.0.1:1",
        }],
        "session": {"keys": [{"file": ring}]},
        "access": {"emailDomains": ["*"]},
        "upstreams": [{"id": "ok", "path": "/", "target": {"static": {"code": 200}}}],
        "http": {"forceHttps": true, "reverseProxy": {}},
    });
    (file("config.v1.json", &config.to_string()), port)
}

#[test]
fn force_https_redirects_before_anything_else() {
    let dir = tempfile::tempdir().expect("a folder");
    let (file, port) = generated(dir.path());
    let proxy = Proxy::try_start_with(&[format!("--generated-config={file}")]).expect("it starts");
    let answer = proxy.get("/x?y=1", &[("Host", "a.example:8080")]);
    let location = format!("https://a.example:{port}/x?y=1");
    assert_eq!((answer.status, answer.header("location")), (308, location.as_str()));
    assert_eq!(proxy.get("/", &[("Host", "a.example")]).header("location"), "https://a.example/");
    assert_eq!(status(&proxy, "GET", "/ping", &[]), 308);
    assert_eq!(status(&proxy, "GET", "/x", &[("X-Forwarded-Proto", "https")]), 403);
}

#[test]
fn routes_are_answered_by_their_own_upstream() {
    let proxy = Proxy::start(&["--upstream=static://202", "--skip-auth-route=^/"]);
    assert_eq!(status(&proxy, "GET", "/x", &[]), 202);
    let dead = Proxy::start(&["--upstream=http://127.0.0.1:1/", "--skip-auth-route=^/"]);
    let answer = dead.get("/x", &[("Accept", "application/json")]);
    assert_eq!(answer.status, 502);
    assert!(
        answer.body.contains("does not answer") && !answer.body.contains("127.0.0.1:1"),
        "{answer:?}"
    );
    let below = Proxy::start(&["--upstream=http://127.0.0.1:1/b/", "--skip-auth-route=^/"]);
    let moved = below.get("/b?x=1", &[]);
    assert_eq!((moved.status, moved.header("location")), (301, "/b/?x=1"));
    assert_eq!(status(&below, "GET", "/c", &[]), 404);
}

#[test]
fn a_denied_page_leads_back_to_what_was_asked_for() {
    let proxy = Proxy::start(&[OK, "--allowed-group=admins"]);
    let cookie = cookie(&session());
    for (asked, target) in [("/x?y=1", "/x?y=1"), ("/x?rd=/other", "/other")] {
        let denied = proxy.get(asked, &[("Cookie", &cookie)]);
        assert_eq!(denied.status, 403);
        assert!(denied.body.contains(&format!("value=\"{target}\"")), "{denied:?}");
    }
}

#[test]
fn a_query_that_is_no_form_is_the_applications_and_kept() {
    let proxy = Proxy::start(&[OK]);
    for target in ["/x?a=1;b=2", "/x?p=50%", "/x?rd=%zz"] {
        let page = proxy.get(target, &[]);
        assert_eq!(page.status, 403, "{target}");
        assert!(page.body.contains(&format!("value=\"{target}\"")), "{page:?}");
    }
    assert_eq!(status(&proxy, "GET", "/oauth2/sign_in?rd=%zz", &[]), 400);
}

#[test]
fn a_cookie_of_no_use_is_cleared_and_the_page_is_not_kept_by_anybody() {
    let proxy = Proxy::start(&[OK, "--skip-auth-route=^/open"]);
    for (cookie, name) in
        [("_oauth2_proxy=bad", "_oauth2_proxy"), ("_oauth2_proxy_1=a", "_oauth2_proxy_1")]
    {
        let page = proxy.get("/x", &[("Cookie", cookie)]);
        assert!(page.header("set-cookie").starts_with(&format!("{name}=;")), "{page:?}");
        assert_eq!(
            page.header("cache-control"),
            "no-cache, no-store, must-revalidate, max-age=0",
            "{page:?}"
        );
        let open = proxy.get("/open", &[("Cookie", cookie)]);
        assert_eq!((open.status, open.header("cache-control")), (200, "no-store"));
    }
    assert!(proxy.get("/x", &[("Cookie", "other=1")]).all("set-cookie").is_empty());
}

#[test]
fn of_two_headers_that_name_the_way_back_neither_counts() {
    let proxy = Proxy::start(&[OK]);
    let way_back = |headers: &[(&str, &str)]| {
        let body = proxy.get("/oauth2/sign_in", headers).body;
        let (_, rest) = body.split_once("name=\"rd\" value=\"").expect("a way back");
        rest.split('"').next().unwrap_or_default().to_owned()
    };
    let header = |value| ("X-Auth-Request-Redirect", value);
    assert_eq!(way_back(&[header("/a")]), "/a");
    for others in ["/b", "/a", ""] {
        assert_eq!(way_back(&[header("/a"), header(others)]), "/", "{others:?}");
        assert_eq!(way_back(&[header(others), header("/a")]), "/", "{others:?}");
    }
}
