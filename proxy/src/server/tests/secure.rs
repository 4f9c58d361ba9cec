//! TLS, and HTTP/2 over it, with a real client.

use super::support::{PATIENCE, Running, eventually};
use crate::body::{Body, BodyError};
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
use futures_util::{StreamExt, stream};
use http::{Request, Response, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use proxy_config::{Limits, TlsVersion};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore};
use rustls_pki_types::ServerName;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;
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
async fn http_2_requests_look_like_any_other_to_the_handler() {
    let pair = pair();
    let (running, _) = serve(&pair, TlsVersion::Tls12);
    let stream =
        connect(&running, config(&pair, rustls::ALL_VERSIONS, &["h2", "http/1.1"])).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request =
        Request::get("https://proxy.example/x?y").header("cookie", "a=1").header("cookie", "b=2");
    let answer = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_2);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "true proxy.example /x?y 1");
    let request = Request::get("https://proxy.example/").header("host", "other.example");
    let answer = sender.send_request(request.body(Empty::new()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 400);
    drop(sender);
    tokio::time::timeout(PATIENCE, connection).await.unwrap().unwrap().unwrap();
}

/// An HTTP/2 connection to `running`, which drives itself.
async fn http_2<B>(running: &Running, pair: &Pair) -> http2::SendRequest<B>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = connect(running, config(pair, rustls::ALL_VERSIONS, &["h2"])).await.unwrap();
    let (sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

#[tokio::test]
async fn over_http_2_the_answer_to_head_has_a_length_and_no_body() {
    let pair = pair();
    let (running, _) = serve(&pair, TlsVersion::Tls12);
    let mut sender = http_2(&running, &pair).await;
    for (method, size) in [("GET", 22), ("HEAD", 0)] {
        let request = Request::builder().method(method).uri("https://proxy.example/");
        let answer =
            sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
        assert_eq!(answer.headers()["content-length"], "22", "{method}");
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes().len(), size, "{method}");
    }
}

#[tokio::test]
async fn over_http_2_two_lengths_are_refused_even_if_they_are_equal() {
    let pair = pair();
    let (running, _) = serve(&pair, TlsVersion::Tls12);
    let mut sender = http_2(&running, &pair).await;
    for (lengths, status) in [(1, 200), (2, 400)] {
        let mut request = Request::post("https://proxy.example/");
        for _ in 0..lengths {
            request = request.header("content-length", "2");
        }
        let body = Full::new(Bytes::from_static(b"ok"));
        let answer = sender.send_request(request.body(body).unwrap()).await.unwrap();
        assert_eq!(answer.status(), status, "{lengths}");
    }
}

#[tokio::test]
async fn http_2_streams_that_stand_still_end_with_their_connection() {
    let pair = pair();
    let limits =
        Limits { stream_idle_timeout: Duration::from_millis(1500).into(), ..Limits::default() };
    let certificate = Certificate::new(pair.chain.as_bytes(), pair.key.as_bytes()).unwrap();
    let running =
        Running::start_tls(&certificate, TlsVersion::Tls12, &limits, |_, _, request| async move {
            let body = request.into_body().map_err(BodyError::from);
            Response::new(Body::stream(Box::pin(body)))
        });
    // For longer than the limit something moves every now and then, and then nothing any more.
    let piece = |_| async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x")))
    };
    let frames = stream::iter(0..5).then(piece).chain(stream::pending());
    let mut sender = http_2(&running, &pair).await;
    let body = StreamBody::new(Box::pin(frames));
    let request = Request::post("https://proxy.example/").body(body).unwrap();
    let mut answer = sender.send_request(request).await.unwrap().into_body();
    for _ in 0..5 {
        assert!(answer.frame().await.unwrap().is_ok());
    }
    let end = tokio::time::timeout(PATIENCE, answer.frame()).await.unwrap();
    assert!(!matches!(end, Some(Ok(_))), "{end:?}");
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

/// Has the handler see a request, and resets it then.
async fn reset(sender: &mut http2::SendRequest<Empty<Bytes>>, seen: &tokio::sync::Notify) -> bool {
    let request = Request::get("https://proxy.example/slow").body(Empty::new()).unwrap();
    let answer = sender.send_request(request);
    tokio::select! {
        _ = answer => false,
        () = seen.notified() => true,
    }
}

#[tokio::test]
async fn a_client_that_resets_stream_after_stream_has_to_go_and_others_are_served() {
    let pair = pair();
    let certificate = Certificate::new(pair.chain.as_bytes(), pair.key.as_bytes()).unwrap();
    let (seen, count) = (Arc::new(tokio::sync::Notify::new()), Arc::new(AtomicUsize::new(0)));
    let (told, counted) = (Arc::clone(&seen), Arc::clone(&count));
    let running = Running::start_tls(
        &certificate,
        TlsVersion::Tls12,
        &Limits::default(),
        move |_, _, request| {
            let (told, counted) = (Arc::clone(&told), Arc::clone(&counted));
            async move {
                if request.uri().path() == "/slow" {
                    counted.fetch_add(1, Ordering::Relaxed);
                    told.notify_one();
                    std::future::pending::<()>().await;
                }
                Response::new(Body::from("here"))
            }
        },
    );
    let fine = Request::get("https://proxy.example/").body(Empty::<Bytes>::new()).unwrap();
    // What a person may do who leaves one page after the other.
    let mut person = http_2(&running, &pair).await;
    for _ in 0..80 {
        assert!(reset(&mut person, &seen).await);
    }
    assert_eq!(person.send_request(fine.clone()).await.unwrap().status(), 200);
    let before = count.load(Ordering::Relaxed);
    let mut stranger = http_2(&running, &pair).await;
    let mut tries = 0;
    while tries < 2000 && reset(&mut stranger, &seen).await {
        tries += 1;
    }
    let caused = count.load(Ordering::Relaxed) - before;
    assert!((100..150).contains(&caused), "{caused} requests reached the handler");
    tokio::time::timeout(PATIENCE, async {
        while stranger.ready().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the connection ends");
    assert_eq!(person.send_request(fine).await.unwrap().status(), 200);
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
    let conn = Conn::new(&worker, Peer::new(None, true), slot);
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

#[tokio::test]
async fn over_http_2_one_stream_that_moves_keeps_no_other_that_stands_still() {
    let pair = pair();
    let limits = Limits { stall_timeout: Duration::from_millis(300).into(), ..Limits::default() };
    let certificate = Certificate::new(pair.chain.as_bytes(), pair.key.as_bytes()).unwrap();
    let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (begins, ends) = (Arc::clone(&begun), Arc::clone(&ended));
    let running =
        Running::start_tls(&certificate, TlsVersion::Tls12, &limits, move |_, _, request| {
            let left = Left(Arc::clone(&ends));
            begins.fetch_add(1, Ordering::Relaxed);
            let much = request.uri().path() == "/much";
            async move {
                // Pieces without end, or one every now and then.
                let frames = stream::unfold(left, move |left| async move {
                    if !much {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    let size = if much { 65536 } else { 1 };
                    Some((Ok::<_, BodyError>(Frame::data(Bytes::from(vec![0; size]))), left))
                });
                Response::new(Body::stream(Box::pin(StreamBody::new(frames))))
            }
        });
    let mut sender = http_2(&running, &pair).await;
    let mut ask = |path: &str| {
        let uri = format!("https://proxy.example{path}");
        sender.send_request(Request::get(uri).body(Empty::<Bytes>::new()).unwrap())
    };
    let mut moving = ask("/little").await.unwrap().into_body();
    let standing = [ask("/much").await.unwrap(), ask("/much").await.unwrap()];
    let gone = async {
        while ended.load(Ordering::Relaxed) < 2 {
            assert!(moving.frame().await.unwrap().is_ok());
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("what nobody takes has an end");
    assert!(moving.frame().await.unwrap().is_ok());
    assert_eq!((begun.load(Ordering::Relaxed), ended.load(Ordering::Relaxed)), (3, 2));
    drop(standing);
}

/// Counts when it is dropped.
struct Left(Arc<AtomicUsize>);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
