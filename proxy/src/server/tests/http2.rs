//! HTTP/2 with a real client, over TLS and without: what holds for the one holds for the other.

use super::secure::{Pair, config, connect, pair};
use super::support::{Client, PATIENCE, Running, eventually};
use crate::body::{Body, BodyError};
use crate::entry::Answered;
use crate::peer::Peer;
use crate::server::Certificate;
use crate::worker::Worker;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use proxy_config::{Limits, TlsVersion};
use rustls_pki_types::ServerName;
use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

/// A server, and how its clients come to HTTP/2.
struct Server {
    running: Running,
    /// None: without TLS.
    tls: Option<Pair>,
}

impl Server {
    /// One of each kind.
    fn both<A, F>(limits: &Limits, answer: &A) -> [Self; 2]
    where
        A: Fn(Arc<Worker>, Arc<Peer>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output: Into<Answered>> + Send + 'static,
    {
        [Self::secure(limits, answer.clone()), Self::plain(limits, answer.clone())]
    }

    fn secure<A, F>(limits: &Limits, answer: A) -> Self
    where
        A: Fn(Arc<Worker>, Arc<Peer>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output: Into<Answered>> + Send + 'static,
    {
        let pair = pair();
        let certificate = Certificate::new(pair.chain.as_bytes(), pair.key.as_bytes()).unwrap();
        let running = Running::start_tls(&certificate, TlsVersion::Tls12, limits, answer);
        Self { running, tls: Some(pair) }
    }

    fn plain<A, F>(limits: &Limits, answer: A) -> Self
    where
        A: Fn(Arc<Worker>, Arc<Peer>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output: Into<Answered>> + Send + 'static,
    {
        Self { running: Running::start_plain("127.0.0.1:0", true, limits, answer), tls: None }
    }

    fn uri(&self, path: &str) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://proxy.example{path}")
    }

    /// An HTTP/2 connection, which drives itself.
    async fn client<B>(&self) -> http2::SendRequest<B>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Some(pair) = &self.tls else {
            let stream = TcpStream::connect(self.running.address.unwrap()).await.unwrap();
            let stream = TokioIo::new(stream);
            let (sender, connection) =
                http2::handshake(TokioExecutor::new(), stream).await.unwrap();
            tokio::spawn(connection);
            return sender;
        };
        let stream =
            connect(&self.running, config(pair, rustls::ALL_VERSIONS, &["h2"])).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }
}

/// Tells what the handler sees.
fn told(peer: &Peer, request: &Request<Incoming>) -> Response<Body> {
    let host = request.headers()["host"].to_str().unwrap().to_owned();
    let cookies = request.headers().get_all("cookie").iter().count();
    Response::new(Body::full(format!("{} {host} {} {cookies}", peer.tls, request.uri())))
}

#[tokio::test]
async fn http_2_requests_look_like_any_other_to_the_handler() {
    for server in
        Server::both(&Limits::default(), &|_, peer, request| async move { told(&peer, &request) })
    {
        let tls = server.tls.is_some();
        let mut sender = server.client().await;
        let request =
            Request::get(server.uri("/x?y")).header("cookie", "a=1").header("cookie", "b=2");
        let answer =
            sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
        assert_eq!(answer.version(), Version::HTTP_2);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, format!("{tls} proxy.example /x?y 1"));
        let request = Request::get(server.uri("/")).header("host", "other.example");
        let answer = sender.send_request(request.body(Empty::new()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 400);
    }
}

#[tokio::test]
async fn over_http_2_the_answer_to_head_has_a_length_and_no_body() {
    for server in
        Server::both(&Limits::default(), &|_, peer, request| async move { told(&peer, &request) })
    {
        let size = format!("{} proxy.example / 0", server.tls.is_some()).len();
        let mut sender = server.client().await;
        for (method, body) in [("GET", size), ("HEAD", 0)] {
            let request = Request::builder().method(method).uri(server.uri("/"));
            let answer =
                sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
            assert_eq!(answer.headers()["content-length"], size.to_string(), "{method}");
            let got = answer.into_body().collect().await.unwrap().to_bytes().len();
            assert_eq!(got, body, "{method}");
        }
    }
}

/// A way to `server`, and what has come from there.
async fn relay(server: SocketAddr) -> (TcpStream, Arc<Mutex<Vec<u8>>>) {
    let (listener, came) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), Arc::<Mutex<Vec<u8>>>::default());
    let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (theirs, _) = listener.accept().await.unwrap();
    let seen = Arc::clone(&came);
    tokio::spawn(async move {
        let (mut asks, mut answers) = theirs.into_split();
        let (mut from, mut to) = TcpStream::connect(server).await.unwrap().into_split();
        tokio::spawn(async move { tokio::io::copy(&mut asks, &mut to).await });
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut piece).await {
            seen.lock().unwrap().extend_from_slice(&piece[..count]);
            answers.write_all(&piece[..count]).await.unwrap();
        }
    });
    (ours, came)
}

/// The lengths of TLS records.
fn records(mut bytes: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while let [_, 3, _, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        lengths.push(length);
        bytes = rest.get(length..).unwrap_or_default();
    }
    lengths
}

#[tokio::test]
async fn over_tls_the_head_of_a_frame_and_its_content_are_one_record() {
    const LENGTH: usize = 4000;
    /// Of a frame (RFC 9113 section 4.1), and what TLS 1.3 adds to a record: a tag and the kind of the content.
    const AROUND: usize = 9 + 16 + 1;
    let server = Server::secure(&Limits::default(), |_, _, _| async {
        Response::new(Body::full(vec![b'x'; LENGTH]))
    });
    let (stream, came) = relay(server.running.address.unwrap()).await;
    let config = config(server.tls.as_ref().unwrap(), &[&rustls::version::TLS13], &["h2"]);
    let name = ServerName::try_from("proxy.example").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(server.uri("/")).body(Empty::<Bytes>::new()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes().len(), LENGTH);
    let records = records(&came.lock().unwrap());
    assert!(records.iter().any(|length| *length >= LENGTH + AROUND), "{records:?}");
}

#[tokio::test]
async fn over_http_2_two_lengths_are_refused_even_if_they_are_equal() {
    for server in
        Server::both(&Limits::default(), &|_, peer, request| async move { told(&peer, &request) })
    {
        let mut sender = server.client().await;
        for (lengths, status) in [(1, 200), (2, 400)] {
            let mut request = Request::post(server.uri("/"));
            for _ in 0..lengths {
                request = request.header("content-length", "2");
            }
            let body = Full::new(Bytes::from_static(b"ok"));
            let answer = sender.send_request(request.body(body).unwrap()).await.unwrap();
            assert_eq!(answer.status(), status, "{lengths}");
        }
    }
}

#[tokio::test]
async fn http_2_streams_that_stand_still_end_with_their_connection() {
    let limits =
        Limits { stream_idle_timeout: Duration::from_millis(1500).into(), ..Limits::default() };
    let echo = |_, _, request: Request<Incoming>| async move {
        let body = request.into_body().map_err(BodyError::from);
        Response::new(Body::stream(Box::pin(body)))
    };
    futures_util::future::join_all(Server::both(&limits, &echo).map(|server| async move {
        // For longer than the limit something moves every now and then, and then nothing any more.
        let piece = |_| async {
            tokio::time::sleep(Duration::from_millis(400)).await;
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x")))
        };
        let frames = stream::iter(0..5).then(piece).chain(stream::pending());
        let mut sender = server.client().await;
        let body = StreamBody::new(Box::pin(frames));
        let request = Request::post(server.uri("/")).body(body).unwrap();
        let mut answer = sender.send_request(request).await.unwrap().into_body();
        for _ in 0..5 {
            assert!(answer.frame().await.unwrap().is_ok());
        }
        let end = tokio::time::timeout(PATIENCE, answer.frame()).await.unwrap();
        assert!(!matches!(end, Some(Ok(_))), "{end:?}");
    }))
    .await;
}

/// Has the handler see a request, and resets it then.
async fn reset(
    sender: &mut http2::SendRequest<Empty<Bytes>>,
    uri: String,
    seen: &tokio::sync::Notify,
) -> bool {
    let answer = sender.send_request(Request::get(uri).body(Empty::new()).unwrap());
    tokio::select! {
        _ = answer => false,
        () = seen.notified() => true,
    }
}

#[tokio::test]
async fn a_client_that_resets_stream_after_stream_has_to_go_and_others_are_served() {
    let (seen, count) = (Arc::new(tokio::sync::Notify::new()), Arc::new(AtomicUsize::new(0)));
    let (told, counted) = (Arc::clone(&seen), Arc::clone(&count));
    let answer = move |_, _, request: Request<Incoming>| {
        let (told, counted) = (Arc::clone(&told), Arc::clone(&counted));
        async move {
            if request.uri().path() == "/slow" {
                counted.fetch_add(1, Ordering::Relaxed);
                told.notify_one();
                std::future::pending::<()>().await;
            }
            Response::new(Body::from("here"))
        }
    };
    for server in Server::both(&Limits::default(), &answer) {
        let fine = Request::get(server.uri("/")).body(Empty::<Bytes>::new()).unwrap();
        // What a person may do who leaves one page after the other.
        let mut person = server.client().await;
        for _ in 0..80 {
            assert!(reset(&mut person, server.uri("/slow"), &seen).await);
        }
        assert_eq!(person.send_request(fine.clone()).await.unwrap().status(), 200);
        let before = count.load(Ordering::Relaxed);
        let mut stranger = server.client().await;
        let mut tries = 0;
        while tries < 2000 && reset(&mut stranger, server.uri("/slow"), &seen).await {
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
}

#[tokio::test]
async fn over_http_2_one_stream_that_moves_keeps_no_other_that_stands_still() {
    let limits = Limits { stall_timeout: Duration::from_millis(300).into(), ..Limits::default() };
    futures_util::future::join_all([true, false].map(|secure| {
        let limits = limits.clone();
        async move {
            let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let (begins, ends) = (Arc::clone(&begun), Arc::clone(&ended));
            let answer = move |_, _, request: Request<Incoming>| {
                begins.fetch_add(1, Ordering::Relaxed);
                let much = request.uri().path() == "/much";
                std::future::ready(endless(much, Left(Arc::clone(&ends))))
            };
            let server = if secure {
                Server::secure(&limits, answer)
            } else {
                Server::plain(&limits, answer)
            };
            let mut sender = server.client().await;
            let mut ask = |path: &str| {
                let uri = server.uri(path);
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
    }))
    .await;
}

/// An answer of pieces without end, large ones at once or small ones every now and then.
fn endless(much: bool, left: Left) -> Response<Body> {
    let frames = stream::unfold(left, move |left| async move {
        if !much {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let size = if much { 65536 } else { 1 };
        Some((Ok::<_, BodyError>(Frame::data(Bytes::from(vec![0; size]))), left))
    });
    Response::new(Body::stream(Box::pin(StreamBody::new(frames))))
}

/// Counts when it is dropped.
struct Left(Arc<AtomicUsize>);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";

/// The beginning of an answer over HTTP/2: the settings of the server.
fn is_http2(client: &mut Client) -> bool {
    client.exactly(9)[3..9] == [4, 0, 0, 0, 0, 0]
}

#[test]
fn a_plain_listener_tells_http_2_from_http_1_however_the_beginning_is_cut() {
    let server =
        Server::plain(&Limits::default(), |_, peer, request| async move { told(&peer, &request) });
    let requests: [&[u8]; 3] = [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        b"PRI /* HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    for cut in [0, 1, 2, 5, 23, 24] {
        let mut client = server.running.connect();
        for piece in [&PREFACE[..cut], &PREFACE[cut..], SETTINGS] {
            client.send(piece);
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(is_http2(&mut client), "cut at {cut}");
        for request in requests {
            let mut client = server.running.connect();
            client.send(&request[..cut.min(request.len())]);
            std::thread::sleep(Duration::from_millis(10));
            client.send(&request[cut.min(request.len())..]);
            let answer = client.answer();
            assert_eq!(answer.status, 200, "cut at {cut}: {request:?}");
            // The connection goes on as any other does.
            assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
            client.send(PREFACE);
            assert_eq!(client.answer().status, 400, "HTTP/2 is how a connection begins");
        }
    }
}

#[test]
fn a_listener_that_is_not_asked_to_refuses_http_2() {
    let running =
        Running::start(&Limits::default(), |_, peer, request| async move { told(&peer, &request) });
    let mut client = running.connect();
    client.send(PREFACE);
    assert_eq!(client.answer().status, 400);
    assert!(client.is_closed());
}

#[test]
fn a_stranger_that_does_not_tell_what_it_speaks_is_not_kept() {
    let limits = Limits { header_timeout: Duration::from_millis(400).into(), ..Limits::default() };
    let server = Server::plain(&limits, |_, peer, request| async move { told(&peer, &request) });
    let mut silent = server.running.connect();
    let mut trickling = server.running.connect();
    let mut begun = server.running.connect();
    begun.send(&PREFACE[..20]);
    // Longer than the time for a head, and never up to where it would be told.
    for byte in &PREFACE[..20] {
        // At some time nobody takes it any more.
        let _ = trickling.stream.write_all(&[*byte]);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(silent.is_closed() && begun.is_closed() && trickling.is_closed());
    assert_eq!(server.running.connect().ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
}

#[test]
fn a_client_that_leaves_while_it_is_unclear_what_it_speaks_leaves_nothing_behind() {
    let server =
        Server::plain(&Limits::default(), |_, peer, request| async move { told(&peer, &request) });
    for beginning in [&b""[..], b"P", &PREFACE[..23]] {
        let mut stream = server.running.connect().stream;
        stream.write_all(beginning).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400 "), "{answer:?}");
    }
    let workers = server.running.server.as_ref().unwrap().workers();
    eventually("nothing is under way", || workers.iter().all(|w| w.busy.count() == 0));
}
