use super::Rules;
use super::escape::{bare, json, quoted};
use super::redact::redact;
use crate::body::Body;
use crate::entry::Entry;
use crate::request_id::RequestId;
use crate::server::tests::support::Running;
use http::{HeaderValue, Response};
use jiff::Timestamp;
use proptest::prelude::*;
use proxy_config::{Http, Limits, LogFormat, Logging};
use std::sync::Arc;

fn rules(format: LogFormat) -> Rules {
    let exclude_paths = vec!["/hush".to_owned(), "/a b".to_owned()];
    let logging = Logging { format, exclude_paths, silence_ping: true, ..Logging::default() };
    Rules::compile(&logging, &Http::default())
}

fn logged(format: LogFormat, requests: &[&str]) -> String {
    let rules = Arc::new(rules(format));
    let running = Running::start(
        &Limits { workers: 1, ..Limits::default() },
        move |worker, peer, request| {
            let mut entry = Entry::begin(&worker, &peer, &request, &rules, Timestamp::now());
            let id = request.headers().get("x-request-id").cloned().unwrap();
            entry.set_request_id(RequestId::Given(id));
            entry.set_user(HeaderValue::from_static("ann@app.example"));
            entry.set_upstream(&Arc::from("un"));
            let answered = entry.finish(Response::new(Body::from("0123456789")));
            async { answered }
        },
    );
    for request in requests {
        let mut client = running.connect();
        client.send(request.as_bytes());
        assert!(client.until(b"\r\n\r\n").starts_with(b"HTTP/1."));
    }
    running.logged()
}

#[test]
fn a_text_line_has_the_form_of_the_peers_default() {
    let text = logged(
        LogFormat::Text,
        &[
            "GET /x?a=1&b=%22q%22 HTTP/1.1\r\nHost: app.example:4180\r\nX-Request-Id: id-1\r\nUser-Agent: vec/1.0 \"quoted\" \\ back\r\n\r\n",
        ],
    );
    let line = regex::Regex::new(concat!(
        r"^127\.0\.0\.1:[0-9]+ - id-1 - ann@app\.example \[[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\] ",
        r#"app\.example:4180 GET un "/x\?a=1&b=%22q%22" HTTP/1\.1 "vec/1\.0 \\"quoted\\" \\\\ back" 200 10 0\.[0-9]{3}"#,
        "\n$"
    ));
    assert!(line.unwrap().is_match(&text), "{text}");
}

#[test]
fn an_answer_to_head_counts_as_what_it_tells_of() {
    let text = logged(LogFormat::Text, &["HEAD / HTTP/1.0\r\nX-Request-Id: i\r\n\r\n"]);
    assert!(text.contains(" HTTP/1.0 \"\" 200 10 "), "{text}");
}

#[test]
fn a_json_line_has_all_its_fields_in_order() {
    let text = logged(
        LogFormat::Json,
        &["GET /x?code=secret HTTP/1.0\r\nX-Request-Id: id-1\r\nUser-Agent: ün\t\r\n\r\n"],
    );
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    let names: Vec<&String> = line.as_object().unwrap().keys().collect();
    let mut expected = vec![
        "time",
        "kind",
        "client",
        "request_id",
        "user",
        "host",
        "method",
        "upstream",
        "uri",
        "protocol",
        "user_agent",
        "status",
        "response_bytes",
        "duration_seconds",
        "broken",
    ];
    if !text.is_empty() {
        let at = |name: &str| text.find(&format!("\"{name}\":")).unwrap();
        assert!(expected.iter().map(|name| at(name)).is_sorted());
    }
    expected.sort_unstable();
    let mut found: Vec<&str> = names.into_iter().map(String::as_str).collect();
    found.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(line["uri"], "/x?code=***");
    assert_eq!(
        (&line["status"], &line["response_bytes"], &line["host"]),
        (&200.into(), &10.into(), &"".into())
    );
    line["time"].as_str().unwrap().parse::<Timestamp>().unwrap();
}

#[test]
fn excluded_paths_and_health_checks_have_no_line() {
    let request = |path| format!("GET {path} HTTP/1.0\r\nX-Request-Id: i\r\n\r\n");
    let requests: Vec<String> = ["/hush", "/a%20b", "/hush?x", "/ping", "/ready", "/hush/"]
        .into_iter()
        .map(request)
        .collect();
    let text = logged(LogFormat::Text, &requests.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("\"/hush/\""));
}

#[test]
fn no_header_can_forge_a_field_or_a_line() {
    let text = logged(
        LogFormat::Text,
        &[
            "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: i - root [now] x\t\u{85}\\\r\nUser-Agent: \u{9b}[2J\" 200\r\n\r\n",
        ],
    );
    assert!(
        text.contains(r"- i\x20-\x20root\x20[now]\x20x\t\u0085\\ - ann@app.example ["),
        "{text}"
    );
    assert!(text.contains(r#""\u009b[2J\" 200""#), "{text}");
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn values_of_secret_parameters_are_not_logged() {
    for (target, expected) in [
        ("/oauth2/callback?code=abc&state=x%3D&iss=i", "/oauth2/callback?code=***&state=***&iss=i"),
        ("/?c%6fde=abc;TOKEN=x&token", "/?c%6fde=***;TOKEN=***&token"),
        ("/?code=a?b=c&&=x&id_token_hint=", "/?code=***&&=x&id_token_hint=***"),
        ("/start?rd=%2Fcb%3Fcode%3Dabc&x=1", "/start?rd=%2Fcb***&x=1"),
        ("/start?rd=/cb%3fx%3D1%26state%3Dabc", "/start?rd=/cb***"),
        ("/start?rd=/cb?code=abc", "/start?rd=/cb***"),
        ("/start?rd=%2Fa%23id_token%3Dx", "/start?rd=%2Fa***"),
        ("/start?rd=%2Fs%3Frd%3D%252Fcb%253Fcode%253Dx", "/start?rd=%2Fs***"),
        ("/start?rd=%2Fcb%3Fcodes%3Dabc", "/start?rd=%2Fcb%3Fcodes%3Dabc"),
        ("/code=abc?codes=1", "/code=abc?codes=1"),
        ("/x?", "/x?"),
    ] {
        assert_eq!(redact(target).as_ref(), expected.as_bytes(), "{target}");
    }
}

#[test]
fn text_is_quoted_as_go_does() {
    for (text, expected) in [
        (&b"plain"[..], r#""plain""#),
        (b"a\"b\\c", r#""a\"b\\c""#),
        (b"\x07\x08\x0c\n\r\t\x0b\x00\x1b\x7f", r#""\a\b\f\n\r\t\v\x00\x1b\x7f""#),
        ("ünï 日本".as_bytes(), "\"ünï 日本\""),
        (
            "\u{85}\u{a0}\u{200b}\u{2028}\u{202e}\u{feff}".as_bytes(),
            r#""\u0085\u00a0\u200b\u2028\u202e\ufeff""#,
        ),
        (b"\xff\xc3", r#""\xff\xc3""#),
    ] {
        let mut out = Vec::new();
        quoted(&mut out, text);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

#[test]
fn one_bad_byte_is_seen_wherever_it_stands() {
    for length in 1..70 {
        for at in 0..length {
            let mut text = vec![b'x'; length];
            let (mut plain, mut escaped) = (Vec::new(), Vec::new());
            bare(&mut plain, &text);
            assert_eq!(plain, text);
            text[at] = b'\n';
            bare(&mut escaped, &text);
            quoted(&mut escaped, &text);
            json(&mut escaped, &text);
            assert!(!escaped.contains(&b'\n'), "{at} of {length}");
        }
    }
}

proptest! {
    #[test]
    fn whatever_comes_in_a_field_stays_one_field(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let mut out = Vec::new();
        bare(&mut out, &bytes);
        let text = String::from_utf8(out).unwrap();
        prop_assert!(!text.chars().any(|c| c.is_control() || c.is_whitespace()));
        let mut out = Vec::new();
        quoted(&mut out, &bytes);
        let text = String::from_utf8(out).unwrap();
        prop_assert!(!text.chars().any(char::is_control));
        let inner = text.replace("\\\\", "").replace("\\\"", "");
        prop_assert_eq!(inner.matches('"').count(), 2);
        let mut out = Vec::new();
        json(&mut out, &bytes);
        let text = String::from_utf8(out).unwrap();
        prop_assert!(!text.chars().any(char::is_control));
        let read: String = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(read, String::from_utf8_lossy(&bytes));
    }
}
