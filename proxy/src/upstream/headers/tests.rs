mod model;

use super::outgoing::Written;
use super::{
    Forwarded, IdentityLines, Injection, Names, Outgoing, clean_response, trailer_may_pass,
};
use crate::cookie::OwnCookies;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use proptest::prelude::*;
use std::net::IpAddr;

const PEER: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)));

fn names() -> Names {
    Names::compile(["X-Custom-Identity", "Authorization"], Some("X-Client-Address"))
}

fn map(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers
            .append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
    }
    headers
}

static OWN_HOST: HeaderValue = HeaderValue::from_static("upstream.internal");

/// Makes the client's headers those that go out, but for a host that it did not send.
fn prepare(
    headers: &mut HeaderMap,
    injection: &Injection<'_>,
    peer: Option<IpAddr>,
    upgrade: Option<&HeaderValue>,
) -> bool {
    let peer = peer.map(|peer| peer.to_canonical().to_string());
    let mut request = Request::new(());
    *request.headers_mut() = std::mem::take(headers);
    let outgoing = Outgoing { peer: peer.as_deref(), upgrade, ..Outgoing::of(&request, &OWN_HOST) };
    let written = outgoing.write(injection);
    *headers = read(&written);
    if headers.get("host") == Some(&OWN_HOST) {
        headers.remove("host");
    }
    written.binds
}

/// What an upstream reads.
fn read(written: &Written) -> HeaderMap {
    let mut lines = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut lines);
    let bytes = written.head.as_bytes();
    assert_eq!(request.parse(bytes), Ok(httparse::Status::Complete(bytes.len())));
    let mut headers = HeaderMap::new();
    for line in request.headers {
        let name = HeaderName::try_from(line.name).unwrap();
        headers.append(name, HeaderValue::from_bytes(line.value).unwrap());
    }
    headers
}

fn prepared(
    lines: &[(&str, &str)],
    forwarded: Forwarded,
    injected: &[(&'static str, &'static str)],
) -> HeaderMap {
    let mut headers = map(lines);
    let values: Vec<_> = injected
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    let injection = Injection {
        names: &names(),
        headers: Some(&IdentityLines::new(&values)),
        cookies: &OwnCookies::new("_oauth2_proxy"),
        forwarded,
        other_method: true,
        stranger: false,
    };
    prepare(&mut headers, &injection, PEER, None);
    headers
}

const UNTRUSTED: Forwarded = Forwarded::Replace { https: false, host: None };

#[test]
fn identity_headers_of_the_client_are_taken_out_by_folded_name() {
    let headers = prepared(
        &[
            ("X-Forwarded-User", "admin"),
            ("x_forwarded_user", "admin"),
            ("X-Forwarded_Email", "admin"),
            ("x.auth.request.groups", "admin"),
            ("x-custom_identity", "admin"),
            ("x~forwarded!user", "admin"),
            ("X+Forwarded|Groups", "admin"),
            ("Authorization", "Basic x"),
            ("Gap-Auth", "admin"),
            ("X-Custom", "kept"),
        ],
        Forwarded::Keep,
        &[],
    );
    assert_eq!(headers, map(&[("x-custom", "kept"), ("x-forwarded-for", "192.0.2.7")]));
}

#[test]
fn connection_removes_what_it_names_but_never_what_is_injected() {
    let headers = prepared(
        &[
            ("Connection", "close, X-Secret, X-Forwarded-User, Host"),
            ("Keep-Alive", "timeout=5"),
            ("X-Secret", "1"),
            ("Host", "app.example"),
            ("Upgrade", "websocket"),
        ],
        Forwarded::Keep,
        &[("x-forwarded-user", "ann")],
    );
    assert_eq!(
        headers,
        map(&[
            ("host", "app.example"),
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-user", "ann")
        ])
    );
}

#[test]
fn forwarded_headers_pass_from_a_trusted_peer_and_are_replaced_from_others() {
    let lines = [
        ("Host", "app.example"),
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-For", "198.51.100.4"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "https"),
        ("Forwarded", "for=203.0.113.9"),
        ("X-Client-Address", "203.0.113.9"),
    ];
    let kept = prepared(&lines, Forwarded::Keep, &[]);
    assert_eq!(kept["x-forwarded-for"], "203.0.113.9, 198.51.100.4, 192.0.2.7");
    assert_eq!(kept["x-forwarded-host"], "evil.example");
    assert!(kept.contains_key("forwarded"));
    let replaced = prepared(&lines, UNTRUSTED, &[]);
    assert_eq!(
        replaced,
        map(&[
            ("host", "app.example"),
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-host", "app.example"),
            ("x-forwarded-proto", "http"),
        ])
    );
}

#[test]
fn scheme_and_host_that_redirects_may_believe_are_told_and_nothing_else() {
    let lines = [
        ("Host", "pod.internal"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("X-Forwarded-Host", "whatever/@evil"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Client-Cert", "Subject=\"CN=admin\""),
        ("Client-Cert", ":MII:"),
        ("X-Real-IP", "10.0.0.1"),
    ];
    let host = Some(HeaderValue::from_static("app.example"));
    let headers = prepared(&lines, Forwarded::Replace { https: true, host }, &[]);
    let expected = [
        ("host", "pod.internal"),
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-host", "app.example"),
        ("x-forwarded-proto", "https"),
    ];
    assert_eq!(headers, map(&expected));
}

#[test]
fn another_target_passes_from_nobody_and_another_method_only_where_it_may() {
    let targets = ["X-Original-URL", "X-Rewrite-URL", "X_Rewrite_URL", "X-Override-URL"];
    for name in targets {
        assert!(!prepared(&[(name, "/admin")], Forwarded::Keep, &[]).contains_key(name), "{name}");
    }
    for name in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"] {
        assert_eq!(prepared(&[(name, "DELETE")], UNTRUSTED, &[])[name], "DELETE");
        let mut headers = map(&[(name, "DELETE")]);
        let injection = Injection {
            names: &names(),
            headers: None,
            cookies: &OwnCookies::new("_oauth2_proxy"),
            forwarded: Forwarded::Keep,
            other_method: false,
            stranger: true,
        };
        prepare(&mut headers, &injection, None, None);
        assert_eq!(headers, HeaderMap::new(), "{name}");
    }
}

#[test]
fn of_two_lines_where_a_proxy_tells_one_value_neither_passes() {
    let lines = [
        ("X-Real-IP", "203.0.113.9"),
        ("X-Real-IP", "198.51.100.4"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-For", "198.51.100.4"),
        ("Forwarded", "for=203.0.113.9"),
        ("Forwarded", "for=198.51.100.4"),
    ];
    let headers = prepared(&lines, Forwarded::Keep, &[]);
    let expected = [
        ("x-forwarded-for", "203.0.113.9, 198.51.100.4, 192.0.2.7"),
        ("forwarded", "for=203.0.113.9,for=198.51.100.4"),
    ];
    assert_eq!(headers, map(&expected));
}

#[test]
fn our_cookies_stay_here_and_several_cookie_lines_become_one() {
    let headers = prepared(
        &[("Cookie", "a=1; _oauth2_proxy=x"), ("Cookie", "_oauth2_proxy_1=y; b=2")],
        UNTRUSTED,
        &[],
    );
    assert_eq!(headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2"]);
    assert!(!prepared(&[("Cookie", "_oauth2_proxy=x")], UNTRUSTED, &[]).contains_key("cookie"));
}

#[test]
fn other_spellings_of_framing_and_of_what_proxies_tell_stay_here() {
    let lines = [
        ("Content-Length", "3"),
        ("Content_Length", "9"),
        ("Transfer_Encoding", "chunked"),
        ("transfer.encoding", "chunked"),
        ("Proxy_Authorization", "Basic x"),
        ("CF_Connecting_IP", "203.0.113.9"),
    ];
    let expected = map(&[("content-length", "3"), ("x-forwarded-for", "192.0.2.7")]);
    assert_eq!(prepared(&lines, Forwarded::Keep, &[]), expected);
    for name in [
        "CF-Connecting-IP",
        "X-Envoy-External-Address",
        "X-ProxyUser-IP",
        "X-Original-URI",
        "True-Client-IP",
        "X-Forwarded-Client-Cert",
    ] {
        let told = [(name, "203.0.113.9")];
        assert!(!prepared(&told, UNTRUSTED, &[]).contains_key(name), "{name}");
        assert_eq!(prepared(&told, Forwarded::Keep, &[])[name], "203.0.113.9");
    }
}

#[test]
fn several_lines_of_one_name_become_one_in_their_order() {
    let lines = [("X-Tag", "a"), ("Accept", "x/y"), ("X-Tag", "b"), ("X-Tag", "")];
    let headers = prepared(&lines, UNTRUSTED, &[]);
    assert_eq!(headers.get_all("x-tag").iter().collect::<Vec<_>>(), ["a,b,"]);
    assert_eq!(headers["accept"], "x/y");
}

#[test]
fn an_empty_user_agent_is_none() {
    assert!(!prepared(&[("User-Agent", "")], UNTRUSTED, &[]).contains_key("user-agent"));
    assert_eq!(prepared(&[("User-Agent", "x")], UNTRUSTED, &[])["user-agent"], "x");
}

#[test]
fn te_survives_only_as_trailers() {
    let headers =
        prepared(&[("TE", "gzip, trailers;q=0.5, Trailers"), ("Connection", "TE")], UNTRUSTED, &[]);
    assert_eq!(
        (&headers["te"], &headers["connection"]),
        (&"trailers".parse().unwrap(), &"te".parse().unwrap())
    );
    assert!(!prepared(&[("TE", "gzip")], UNTRUSTED, &[]).contains_key("te"));
}

#[test]
fn several_injected_values_of_one_name_all_arrive() {
    let headers = prepared(
        &[("X-Groups", "root")],
        UNTRUSTED,
        &[("x-groups", "a"), ("x-groups", "b"), ("host", "no")],
    );
    assert_eq!(headers.get_all("x-groups").iter().collect::<Vec<_>>(), ["a", "b"]);
    assert!(!headers.contains_key("host"));
}

#[test]
fn hop_by_hop_headers_of_an_answer_stay_here() {
    let mut headers = map(&[
        ("Connection", "X-Hop, content-length"),
        ("X-Hop", "1"),
        ("Content-Length", "3"),
        ("Keep-Alive", "x"),
    ]);
    clean_response(&mut headers);
    assert_eq!(headers, map(&[("content-length", "3")]));
}

#[test]
fn a_trailer_can_not_bring_an_identity_or_framing() {
    for name in [
        "x-forwarded-user",
        "x_forwarded_user",
        "transfer-encoding",
        "content-length",
        "host",
        "cookie",
        "authorization",
        "content-type",
        "set-cookie",
    ] {
        assert!(!trailer_may_pass(&names(), &HeaderName::from_static(name)), "{name}");
    }
    assert!(trailer_may_pass(&names(), &HeaderName::from_static("x-checksum")));
}

fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

fn spelling(name: &'static str) -> impl Strategy<Value = String> {
    proptest::collection::vec(0_u8..6, name.len()).prop_map(move |choices| {
        let spell = |(c, choice): (char, u8)| match (c, choice) {
            ('-', 0) => '_',
            ('-', 1) => '.',
            ('-', choice @ 2..5) => char::from(b"!~+"[usize::from(choice - 2)]),
            (c, 0..2) => c.to_ascii_uppercase(),
            (c, _) => c,
        };
        name.chars().zip(choices).map(spell).collect()
    })
}

proptest! {
    #[test]
    fn no_spelling_of_an_identity_header_gets_through(
        name in prop_oneof![
            spelling("x-forwarded-user"), spelling("x-forwarded-email"), spelling("x-forwarded-groups"),
            spelling("x-auth-request-user"), spelling("x-forwarded-access-token"), spelling("gap-auth"),
            spelling("x-custom-identity"), spelling("authorization"),
        ],
        others in proptest::collection::vec("[A-Za-z][A-Za-z0-9_.-]{0,40}", 0..12),
        connection in proptest::option::of("[a-zA-Z, -]{0,30}"),
    ) {
        let mut lines: Vec<(&str, &str)> = others.iter().map(|other| (other.as_str(), "other")).collect();
        lines.push((&name, "forged"));
        if let Some(connection) = &connection {
            lines.push(("Connection", connection));
        }
        let headers = prepared(&lines, UNTRUSTED, &[("x-forwarded-user", "ann")]);
        prop_assert!(headers.values().all(|value| value != "forged"));
        prop_assert_eq!(headers.get_all("x-forwarded-user").iter().collect::<Vec<_>>(), vec!["ann"]);
        let same = headers.keys().filter(|key| folded(key.as_str()) == "x-forwarded-user").count();
        prop_assert_eq!(same, 1);
    }
}

/// Names of every kind, and some that nobody knows.
fn any_name() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "host",
        "user-agent",
        "accept",
        "cookie",
        "authorization",
        "expect",
        "content-length",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "proxy-authorization",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-port",
        "forwarded",
        "x-real-ip",
        "x-client-address",
        "x-http-method-override",
        "x-forwarded-user",
        "x_forwarded_user",
        "x-custom-identity",
        "x-original-url",
        "user_agent",
        "x-set",
        "x-other",
    ];
    prop_oneof![4 => proptest::sample::select(KNOWN).prop_map(str::to_owned), 1 => "[a-z][a-z0-9_.-]{0,12}"]
}

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("trailers, gzip".to_owned()),
        Just("close, x-other, cookie, x-forwarded-for".to_owned()),
        Just("keep-alive, User-Agent, host".to_owned()),
        Just("a=1; _oauth2_proxy=x; b=2".to_owned()),
        Just("_oauth2_proxy_0=x".to_owned()),
        Just("NTLM abc".to_owned()),
        Just("100-continue".to_owned()),
        "[ -~]{0,12}".prop_map(|text| text.trim().to_owned()),
    ]
}

fn any_forwarded() -> impl Strategy<Value = Forwarded> {
    let host = proptest::option::of(Just(HeaderValue::from_static("told.example")));
    let replace = (any::<bool>(), host);
    prop_oneof![
        Just(Forwarded::Keep),
        replace.prop_map(|(https, host)| Forwarded::Replace { https, host })
    ]
}

/// What the model says of host and framing.
fn complete(headers: &mut HeaderMap, outgoing: &Outgoing<'_>) {
    if !outgoing.pass_host || !headers.contains_key("host") {
        headers.insert("host", outgoing.host.clone());
    }
    if !outgoing.has_body {
        if *outgoing.method == Method::POST {
            headers.entry("content-length").or_insert_with(|| 0.into());
        }
    } else if !headers.contains_key("content-length") {
        headers.insert("transfer-encoding", HeaderValue::from_static("chunked"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_head_that_is_written_has_what_the_rules_say_one_by_one(
        lines in proptest::collection::vec((any_name(), any_value()), 0..14),
        injected in proptest::sample::subsequence(vec![
            ("x-forwarded-user", "ann"), ("x-groups", "a"), ("x-groups", "b"), ("authorization", "Basic x"), ("x-set", "1"),
            ("x-forwarded-for", "set"), ("host", "no"),
        ], 0..5),
        forwarded in any_forwarded(),
        (other_method, pass_host, has_body, post) in any::<(bool, bool, bool, bool)>(),
        peer in proptest::option::of(Just(PEER.unwrap())),
        upgrade in proptest::option::of(Just(HeaderValue::from_static("websocket"))),
    ) {
        let lines: Vec<(&str, &str)> = lines.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let values: Vec<_> = injected
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let (names, cookies) = (names(), OwnCookies::new("_oauth2_proxy"));
        let ready = IdentityLines::new(&values);
        let injection = Injection {
            names: &names, headers: Some(&ready), cookies: &cookies, forwarded, other_method, stranger: false,
        };
        let mut request = Request::new(());
        *request.method_mut() = if post { Method::POST } else { Method::GET };
        *request.headers_mut() = map(&lines);
        let address = peer.map(|peer| peer.to_string());
        let outgoing = Outgoing {
            peer: address.as_deref(), upgrade: upgrade.as_ref(), pass_host, has_body, ..Outgoing::of(&request, &OWN_HOST)
        };
        let written = outgoing.write(&injection);
        let mut expected = request.headers().clone();
        let binds = model::prepare(&mut expected, (&injection, &values), peer, upgrade.clone());
        complete(&mut expected, &outgoing);
        let continues = expected.get("expect").is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        for value in expected.values_mut() {
            // Blanks at the end are no part of a value.
            *value = HeaderValue::from_bytes(value.as_bytes().trim_ascii_end()).unwrap();
        }
        prop_assert_eq!(read(&written), expected);
        prop_assert_eq!((written.binds, written.continues), (binds, continues));
    }
}
