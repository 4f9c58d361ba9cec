//! What health and status say of the identity provider.

use super::{PATIENCE, Volume, config, key_file, request};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};

/// Something that answers every request with this status and body. It ends with the process of the test.
fn answers(status: &'static str, body: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.set_read_timeout(Some(PATIENCE));
            let _ = stream.read(&mut [0; 4096]);
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
        }
    });
    address
}

#[test]
fn readiness_is_off_while_something_else_answers_in_the_providers_place() {
    let (_folder, key) = key_file();
    let other = r#"{"issuer": "https://other.example", "authorization_endpoint": "https://other.example/a",
        "token_endpoint": "https://other.example/t", "jwks_uri": "https://other.example/k"}"#;
    for (status, body, ready) in [
        ("404 Not Found", "", false),
        ("200 OK", other, false),
        ("200 OK", "<html>", false),
        ("503 Service Unavailable", "", true),
    ] {
        let mut config = config(&key, "/ping");
        config["providers"][0]["issuerUrl"] = format!("http://{}", answers(status, body)).into();
        let volume = Volume::new(&config);
        let proxy = volume.start(&[]);
        let (told, _) = proxy.until(|status| status["provider"]["error"].is_string());
        assert_eq!(told["provider"]["impossible"], !ready, "{told}");
        assert_eq!(told["provider"]["lastCall"]["outcome"], "unreachable", "{told}");
        let health = |listener, path| request(proxy.address(listener), "GET", path).unwrap().0;
        assert_eq!(health("http", "/ready"), if ready { 200 } else { 500 }, "{status} {body}");
        assert_eq!(health("admin", "/readyz"), if ready { 200 } else { 503 }, "{status} {body}");
        assert_eq!((health("admin", "/livez"), health("http", "/ping")), (200, 200));
    }
}

#[test]
fn a_provider_that_does_not_answer_leaves_readiness_on() {
    let (_folder, key) = key_file();
    // Takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = config(&key, "/ping");
    config["providers"][0]["issuerUrl"] = format!("http://{}", silent.local_addr().unwrap()).into();
    let volume = Volume::new(&config);
    let proxy = volume.start(&[]);
    assert_eq!((proxy.get("http", "/ready").0, proxy.get("admin", "/readyz").0), (200, 200));
    assert_eq!(proxy.status()["provider"]["impossible"], false);
}
