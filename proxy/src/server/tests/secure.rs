//! TLS with a real client.

use super::support::{Running, eventually};
use crate::body::Body;
use crate::metrics::Registry;
use crate::output::Writer;
use crate::peer::Peer;
use crate::server::checked::Checked;
use crate::server::conn::Conn;
use crate::server::load::Loads;
use crate::server::{Certificate, Framing};
use crate::stream::Stream;
use crate::worker::Worker;
use bytes::Bytes;
use http::Response;
use proxy_config::{Limits, TlsVersion};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore};
use rustls_pki_types::ServerName;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
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

/// A flush that had to wait and then went through leaves nothing behind: an idle connection would never be parked, and cut
/// as one that stands still.
#[tokio::test]
async fn a_flush_that_went_through_is_not_remembered_as_one_that_waits() {
    let pair = pair();
    let certificate = Certificate::new(pair.chain.as_bytes(), pair.key.as_bytes()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (registry, address) = (Registry::new(), listener.local_addr().unwrap());
    let connector = TlsConnector::from(Arc::new(config(&pair, rustls::ALL_VERSIONS, &[])));
    let client = tokio::spawn(async move {
        let stream = TcpStream::connect(address).await.unwrap();
        connector.connect(ServerName::try_from("proxy.example").unwrap(), stream).await.unwrap()
    });
    let accepted = listener.accept().await.unwrap().0;
    let acceptor = certificate.acceptor(TlsVersion::Tls12).unwrap();
    let stream = acceptor.accept(accepted).await.unwrap();
    let worker = Arc::new(Worker {
        index: 0,
        shard: registry.shard(),
        log: Writer::new(Vec::new(), &registry).log(),
        busy: Arc::default(),
    });
    let slot = Loads::new(1, 1).enter(0).unwrap();
    let conn = Conn::new(&worker, Peer::new(None, true), slot, false);
    let stream = Stream::Tls(Box::new(stream.into()));
    let mut checked = Checked::new(stream, Framing::new(4096), Arc::clone(&conn), Bytes::new());
    let mut client = client.await.unwrap();
    let chunk = [0; 1024];
    while poll_fn(|cx| {
        assert!(Pin::new(&mut checked).poll_write(cx, &chunk).is_ready());
        Poll::Ready(Pin::new(&mut checked).poll_flush(cx).is_ready())
    })
    .await
    {}
    assert!(conn.is_sending());
    let reading = tokio::spawn(async move {
        let mut sink = vec![0; 65536];
        while client.read(&mut sink).await.is_ok_and(|count| count > 0) {}
    });
    checked.flush().await.unwrap();
    assert!(!conn.is_sending());
    reading.abort();
}
