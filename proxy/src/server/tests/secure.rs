//! TLS, and HTTP/2 over it, with a real client.

use super::support::{PATIENCE, Running, eventually};
use crate::body::Body;
use crate::server::Certificate;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use proxy_config::{Limits, TlsVersion};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore};
use rustls_pki_types::ServerName;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A certificate of its own authority.
pub(crate) struct Pair {
    pub(crate) chain: String,
    pub(crate) key: String,
    root: rustls_pki_types::CertificateDer<'static>,
}

pub(crate) fn pair() -> Pair {
    let made = rcgen::generate_simple_self_signed(["proxy.example".to_owned()]).unwrap();
    Pair {
        chain: made.cert.pem(),
        key: made.signing_key.serialize_pem(),
        root: made.cert.der().clone(),
    }
}

pub(crate) fn config(
    root: &Pair,
    versions: &[&'static rustls::SupportedProtocolVersion],
    alpn: &[&str],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(root.root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

/// A client's connection.
pub(crate) async fn connect(
    running: &Running,
    config: ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(running.address.unwrap()).await?;
    let name = ServerName::try_from("proxy.example").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

fn serve(pair: &Pair, oldest: TlsVersion) -> (Running, Certificate) {
    let certificate = Certificate::new(pair.chain.as_bytes(), pair.key.as_bytes()).unwrap();
    let running = Running::start_tls(
        &certificate,
        oldest,
        &Limits::default(),
        |_, peer, request| async move {
            let host = request.headers()["host"].to_str().unwrap().to_owned();
            let cookies = request.headers().get_all("cookie").iter().count();
            Response::new(Body::full(format!("{} {host} {} {cookies}", peer.tls, request.uri())))
        },
    );
    (running, certificate)
}

async fn ask(stream: &mut TlsStream<TcpStream>) -> String {
    stream.write_all(b"GET /x HTTP/1.1\r\nHost: proxy.example\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b" 0") {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0);
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn http_1_over_tls_is_served_and_parked() {
    let pair = pair();
    let (running, _) = serve(&pair, TlsVersion::Tls12);
    let workers = running.server.as_ref().unwrap().workers();
    let mut stream =
        connect(&running, config(&pair, rustls::ALL_VERSIONS, &["http/1.1"])).await.unwrap();
    assert_eq!(stream.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    for _ in 0..2 {
        assert!(ask(&mut stream).await.ends_with("true proxy.example /x 0"));
        eventually("the connection is parked", || {
            workers.iter().all(|worker| worker.busy.count() == 0)
        });
    }
}

#[tokio::test]
async fn http_2_requests_look_like_any_other_to_the_handler() {
    let pair = pair();
    let (running, _) = serve(&pair, TlsVersion::Tls12);
    let stream =
        connect(&running, config(&pair, rustls::ALL_VERSIONS, &["h2", "http/1.1"])).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    let request =
        Request::get("https://proxy.example/x?y").header("cookie", "a=1").header("cookie", "b=2");
    let answer =
        sender.send_request(request.body(Empty::<bytes::Bytes>::new()).unwrap()).await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_2);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "true proxy.example /x?y 1");
    let request = Request::get("https://proxy.example/").header("host", "other.example");
    let answer = sender.send_request(request.body(Empty::new()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 400);
    drop(sender);
    tokio::time::timeout(PATIENCE, connection).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_replaced_certificate_is_served_to_the_next_client_and_old_connections_live_on() {
    let (first, second) = (pair(), pair());
    let (running, certificate) = serve(&first, TlsVersion::Tls12);
    let mut old = connect(&running, config(&first, rustls::ALL_VERSIONS, &[])).await.unwrap();
    certificate.replace(second.chain.as_bytes(), second.key.as_bytes()).unwrap();
    assert!(connect(&running, config(&first, rustls::ALL_VERSIONS, &[])).await.is_err());
    let mut new = connect(&running, config(&second, rustls::ALL_VERSIONS, &[])).await.unwrap();
    assert!(ask(&mut old).await.contains("200 OK"));
    assert!(ask(&mut new).await.contains("200 OK"));
}

#[tokio::test]
async fn the_oldest_version_is_kept_to() {
    let pair = pair();
    let only_12 = || config(&pair, &[&rustls::version::TLS12], &[]);
    let (strict, _) = serve(&pair, TlsVersion::Tls13);
    assert!(connect(&strict, only_12()).await.is_err());
    let (lenient, _) = serve(&pair, TlsVersion::Tls12);
    assert!(ask(&mut connect(&lenient, only_12()).await.unwrap()).await.contains("200 OK"));
}
