//! Claims that a header names: a session that was written without one is refreshed, or its owner signs in again; it is never
//! taken for the session of somebody who has none.

use super::proxy::{Proxy, SECRET, cookie, upstream};
use crate::identity::Identity;
use crate::session::{Binding, Captured, Fingerprint, Session, Token};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A provider whose refreshes come without an ID token, and whose userinfo endpoint knows a department. Counts refreshes.
fn provider() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let refreshes = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&refreshes);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 8192];
            let length = stream.read(&mut request).unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let answer = match request.split(' ').nth(1) {
                Some("/token") => {
                    counter.fetch_add(1, Ordering::Relaxed);
                    json!({"access_token": "a-2", "token_type": "Bearer", "expires_in": 3600})
                }
                Some("/me") => json!({"sub": "kim", "department": ["it", "ops"]}),
                _ => json!({"keys": []}),
            }
            .to_string();
            let length = answer.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
                 Connection: close\r\n\r\n{answer}"
            );
        }
    });
    (address, refreshes)
}

/// A proxy whose upstream gets the header `X-Department`.
fn proxy(provider: SocketAddr, refresh: &str) -> Proxy {
    let files =
        ["config", "secret", "key"].map(|_| tempfile::NamedTempFile::new().expect("a file"));
    let [config, secret, key] = &files;
    std::fs::write(secret.path(), "s").expect("written");
    std::fs::write(key.path(), SECRET).expect("written");
    let at = |path: &str| format!("http://{provider}{path}");
    let text = json!({
        "version": "v1",
        "listeners": {"http": {"address": "127.0.0.1:0"}},
        "providers": [{
            "id": "main", "clientId": "app-7", "clientSecret": {"file": secret.path()}, "issuerUrl": at(""),
            "skipDiscovery": true,
            "endpoints": {
                "authorization": at("/auth"), "token": at("/token"), "jwks": at("/keys"), "userinfo": at("/me"),
            },
        }],
        "session": {
            "keys": [{"file": key.path()}], "refresh": refresh, "cookie": {"secure": false},
        },
        "access": {"emailDomains": ["*"]},
        "upstreams": [
            {"id": "app", "path": "/", "target": {"http": {"uri": format!("http://{}", upstream(&[]))}}},
        ],
        "requestHeaders": [
            {"name": "X-Forwarded-User", "values": [{"claim": "user"}]},
            {"name": "X-Department", "values": [{"claim": {"other": "department"}}]},
        ],
    });
    std::fs::write(config.path(), text.to_string()).expect("written");
    let argument = format!("--generated-config={}", config.path().display());
    Proxy::try_start_with(&[argument]).expect("it starts")
}

/// A session of now in which these claims were looked for and found.
fn session(provider: SocketAddr, asked: &[&str], values: &Value) -> Session {
    let issuer = Fingerprint::of(&format!("http://{provider}"));
    Session {
        binding: Some(Binding { id: [7; 16], issuer }),
        refresh_token: Some(Token::new("r-1")),
        identity: Identity {
            user: "kim".to_owned(),
            email: Some("kim@vectors.example".to_owned()),
            ..Identity::default()
        },
        claims: Captured {
            asked: asked.iter().map(|name| (*name).to_owned()).collect(),
            values: serde_json::from_value(values.clone()).expect("claims"),
        },
        ..Session::new("main", Timestamp::now())
    }
}

#[test]
fn a_session_that_knows_the_claim_carries_it_and_one_that_was_asked_in_vain_carries_none() {
    let (provider, refreshes) = provider();
    let proxy = proxy(provider, "0s");
    let knows = session(provider, &["department"], &json!({"department": ["it", "a,b"]}));
    let answer = proxy.get("/x", &[("Cookie", &cookie(&knows))]);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.to_lowercase().contains("x-department: it,a%2cb\r\n"), "{answer:?}");
    let without = session(provider, &["department"], &json!({}));
    let forged = [("Cookie", &*cookie(&without)), ("X-Department", "ops")];
    let answer = proxy.get("/x", &forged);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.contains("kim") && !answer.body.to_lowercase().contains("department"));
    assert_eq!(refreshes.load(Ordering::Relaxed), 0);
}

#[test]
fn a_session_that_was_never_asked_for_the_claim_is_refreshed_once_and_carries_it() {
    let (provider, refreshes) = provider();
    let proxy = proxy(provider, "1h");
    let never = session(provider, &["locale"], &json!({"locale": ["en"]}));
    let old = cookie(&never);
    let answer = proxy.get("/x", &[("Cookie", &old)]);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.to_lowercase().contains("x-department: it,ops\r\n"), "{answer:?}");
    let line = answer.header("set-cookie").to_owned();
    let renewed = line.split(';').next().expect("a cookie");
    assert!(renewed.len() > 20 && renewed != old, "{answer:?}");
    for _ in 0..3 {
        let again = proxy.get("/x", &[("Cookie", renewed)]);
        assert_eq!((again.status, again.header("set-cookie")), (200, ""), "{again:?}");
        assert!(again.body.to_lowercase().contains("x-department: it,ops\r\n"), "{again:?}");
    }
    assert_eq!(refreshes.load(Ordering::Relaxed), 1);
}

#[test]
fn a_session_that_was_never_asked_and_can_not_be_refreshed_signs_in_again() {
    let (provider, refreshes) = provider();
    let proxy = proxy(provider, "0s");
    let answer = proxy.get("/x", &[("Cookie", &cookie(&session(provider, &[], &json!({}))))]);
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(answer.body.contains("/oauth2/start"), "the sign-in page: {answer:?}");
    assert!(answer.header("set-cookie").starts_with("_oauth2_proxy=;"), "{answer:?}");
    assert_eq!(refreshes.load(Ordering::Relaxed), 0);
}
