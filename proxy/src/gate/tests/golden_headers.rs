//! The headers that upstream and client get, against those recorded from oauth2-proxy v7.15.3; every difference is listed.

use super::proxy::{Proxy, cookie, session, upstream};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Recorded from oauth2-proxy v7.15.3; never edited.
const GOLDEN: &str = include_str!("../../../tests/golden/headers.json");

/// Options in recorded configurations that do not exist here yet; those configurations must be refused, by name.
const NOT_YET: [&str; 5] = [
    "--alpha-config",
    "--basic-auth-password",
    "--set-basic-auth",
    "--signature-key",
    "--skip-auth-strip-headers",
];

/// Headers that oauth2-proxy lets a client send to the upstream and we never do: they say who somebody is.
const NEVER_FROM_CLIENTS: [&str; 7] = [
    "x-forwarded-access-token",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-user",
    "x-auth-request-user",
    "x_forwarded_user",
];

/// Headers of the connection or the answer's framing, in which nothing is compared.
const TRANSPORT: [&str; 6] =
    ["connection", "content-length", "content-type", "date", "accept-encoding", "cache-control"];

type Headers = BTreeMap<String, Vec<String>>;

#[test]
fn recorded_headers_are_sent_but_for_what_is_unsafe() {
    let golden: Value = serde_json::from_str(GOLDEN).expect("JSON");
    let vectors = golden["vectors"].as_array().expect("a list");
    assert_eq!(vectors.len(), 69);
    let mut compared = 0;
    let mut refused = BTreeSet::new();
    for vector in vectors {
        let name = vector["name"].as_str().expect("a name");
        let list: Vec<(String, String)> =
            serde_json::from_value(vector["upstream_response_headers"].clone()).expect("pairs");
        let address = upstream(&list);
        let flags = flags(vector, &address.to_string());
        match Proxy::try_start(&flags) {
            Ok(proxy) => {
                compare(&proxy, vector, &golden, name);
                compared += 1;
            }
            Err(error) => {
                let named = |option: &&&str| {
                    flags.iter().any(|flag| flag.starts_with(**option))
                        && error.contains(option.trim_start_matches('-'))
                };
                let named: Vec<&str> = NOT_YET.iter().filter(named).copied().collect();
                assert!(!named.is_empty(), "{name}: {error}");
                refused.extend(named);
            }
        }
    }
    assert_eq!(refused, BTreeSet::from(NOT_YET));
    assert!(compared >= 12, "only {compared} configurations were compared");
}

/// The recorded flags without those that name the provider and the listener.
fn flags(vector: &Value, upstream: &str) -> Vec<String> {
    let ours = ["--provider", "--client-id", "--client-secret", "--cookie-secret"];
    let args = vector["args"].as_array().expect("a list").iter().filter_map(Value::as_str);
    args.filter(|arg| !ours.iter().any(|flag| arg.starts_with(flag)))
        .map(|arg| arg.replace("<upstream>", upstream))
        .collect()
}

fn compare(proxy: &Proxy, vector: &Value, golden: &Value, name: &str) {
    let spoofed: Vec<(String, String)> =
        serde_json::from_value(golden["requests"]["spoofed headers"].clone()).expect("pairs");
    let spoofed: Vec<(&str, &str)> =
        spoofed.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let cookie = cookie(&session());
    let with_session = vec![("Cookie", cookie.as_str())];
    let both: Vec<(&str, &str)> = with_session.iter().chain(&spoofed).copied().collect();
    for recorded in vector["proxied"].as_array().expect("a list") {
        let kind = recorded["request"].as_str().expect("a text");
        let (path, headers) = match kind {
            "session" => ("/some/page", &with_session),
            "session and spoofed headers" => ("/some/page", &both),
            "exempt path without a session, spoofed headers" => ("/open/page", &spoofed),
            "exempt path with a session" => ("/open/page", &with_session),
            other => panic!("{name}: {other}"),
        };
        let answer = proxy.get(path, headers);
        let context = format!("{name} {kind}: {answer:?}");
        assert_eq!(Some(u64::from(answer.status)), recorded["status"].as_u64(), "{context}");
        let received = answer.body.split("\r\n").skip(1).filter_map(|line| line.split_once(": "));
        let received = collected(received.filter(|(n, _)| !n.eq_ignore_ascii_case("host")));
        let mut expected = expected(&recorded["upstream_received"]);
        let host = expected.remove("host").expect("a host");
        let sent_host = answer
            .body
            .split("\r\n")
            .find_map(|l| l.strip_prefix("host: ").or_else(|| l.strip_prefix("Host: ")));
        assert_eq!(
            host[0] == "app.vectors.example",
            sent_host == Some("app.vectors.example"),
            "{context}"
        );
        // Our own cookie stays here, and a client's word on who it is does not count.
        expected.remove("cookie");
        let forged = |value: &String| value.starts_with("evil") || value == "root";
        expected.retain(|n, values| {
            !(NEVER_FROM_CLIENTS.contains(&n.as_str()) && values.iter().any(forged))
        });
        assert_eq!(received, expected, "{context}");
        let pairs = answer.headers.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        assert_eq!(collected(pairs), self::expected(&recorded["client_received"]), "{context}");
    }
    for recorded in vector["auth_endpoint"].as_array().expect("a list") {
        let kind = recorded["request"].as_str().expect("a text");
        let headers = match kind {
            "session" => with_session.clone(),
            "session and spoofed headers" => both.clone(),
            _ => Vec::new(),
        };
        let answer = proxy.get("/oauth2/auth", &headers);
        let context = format!("{name} auth {kind}: {answer:?}");
        assert_eq!(Some(u64::from(answer.status)), recorded["status"].as_u64(), "{context}");
        let pairs = answer.headers.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        let pairs = pairs.filter(|(n, _)| !n.eq_ignore_ascii_case("x-content-type-options"));
        assert_eq!(collected(pairs), expected(&recorded["headers"]), "{context}");
    }
}

fn collected<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in pairs {
        let name = name.to_ascii_lowercase();
        if !TRANSPORT.contains(&name.as_str()) {
            headers.entry(name).or_default().push(value.to_owned());
        }
    }
    headers
}

/// The recorded headers, with the one group whose comma would make two of it in our form.
fn expected(recorded: &Value) -> Headers {
    let recorded: BTreeMap<String, Vec<String>> =
        serde_json::from_value(recorded.clone()).expect("headers");
    let ours = |value: &String| value.replace("staff,ops/oncall,a,b", "staff,ops/oncall,a%2Cb");
    let entry = |(name, values): (&String, &Vec<String>)| {
        (name.to_ascii_lowercase(), values.iter().map(ours).collect())
    };
    recorded.iter().map(entry).filter(|(name, _)| !TRANSPORT.contains(&name.as_str())).collect()
}
