//! HTTP/2 without TLS, up to an application that speaks HTTP/1.

use super::{PATIENCE, Volume, config, key_file};
use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;

/// A connection to a plain listener, which drives itself.
pub(super) async fn connect(address: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// An application that tells the first line of each request and the length of its body.
fn application() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || serve(&stream));
        }
    });
    address
}

/// Until the connection ends.
fn serve(mut stream: &TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            (reader.read_line(&mut head).ok()? > 0).then_some(())?;
        }
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()
        });
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
        let answer = format!("{} {}", head.lines().next()?, body.len());
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}", answer.len())
            .ok()?;
    }
}

#[tokio::test]
async fn http_2_without_tls_reaches_an_application_where_the_listener_is_asked_to() {
    let (_folder, key) = key_file();
    let mut config = config(&key, "/ping");
    config["listeners"]["http"]["h2c"] = true.into();
    config["access"]["skipAuth"] = serde_json::json!([{"path": "^/public/"}]);
    let uri = format!("http://{}", application());
    config["upstreams"] =
        serde_json::json!([{"id": "app", "path": "/", "target": {"http": {"uri": uri}}}]);
    let volume = Volume::new(&config);
    let proxy = volume.start(&[]);
    let address = proxy.address("http");
    let sender = connect(address).await;
    let requests = (0..50_usize).map(|count| {
        let mut sender = sender.clone();
        async move {
            let request = Request::post(format!("http://proxy.example/public/{count}"));
            let body = Full::new(Bytes::from(vec![b'x'; count * 1000]));
            let answer = sender.send_request(request.body(body).unwrap()).await.unwrap();
            assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
            let told = answer.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(told, format!("POST /public/{count} HTTP/1.1 {}", count * 1000));
        }
    });
    let all = futures_util::future::join_all(requests);
    tokio::time::timeout(PATIENCE, all).await.expect("all are answered");
    // What needs a session needs one over HTTP/2 too, and HTTP/1 is spoken as ever.
    let request = Request::get("http://proxy.example/private").body(Full::default()).unwrap();
    assert_eq!(sender.clone().send_request(request).await.unwrap().status(), 403);
    assert_eq!(proxy.get("http", "/public/x"), (200, "GET /public/x HTTP/1.1 0".to_owned()));
}

#[test]
fn http_2_without_tls_beside_tls_is_refused_with_both_names() {
    let (folder, key) = key_file();
    let output = Command::new(env!("CARGO_BIN_EXE_oauth2-proxy"))
        .args([
            "--h2c",
            "--client-id=app",
            "--client-secret=s",
            "--email-domain=*",
            "--provider=oidc",
        ])
        .arg("--oidc-issuer-url=http://127.0.0.1:1")
        .arg(format!("--cookie-secret-file={}", key.display()))
        .arg(format!("--tls-cert-file={}", folder.path().join("tls.crt").display()))
        .arg(format!("--tls-key-file={}", folder.path().join("tls.key").display()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("h2c") && text.contains("--tls-cert-file"), "{text}");
}
