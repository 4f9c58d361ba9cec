//! Requests through a running server to upstreams that do exactly what a test says, byte by byte.

mod bodies;
mod early;
mod leaving;
mod reuse;
mod secure;
mod streams;
mod switching;

use super::{
    self as upstream, Forwarded, IdentityLines, Injection, Names, Question, UpstreamError, http1,
};
use crate::body::Body;
use crate::cookie::OwnCookies;
use crate::metrics::Event;
use crate::peer::Peer;
use crate::server::tests::support::{Client, PATIENCE, Running};
use crate::worker::Worker;
use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use proxy_config::{Limits, Target, Upstream};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

const ASK: &str = "GET /x HTTP/1.1\r\nHost: app.example\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// One accepted connection of an upstream.
struct Side {
    stream: BufReader<TcpStream>,
}

impl Side {
    fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    /// The head of a request, as it came.
    fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let count = self.stream.read_line(&mut head).unwrap();
            assert!(count > 0, "closed after {head:?}");
        }
        head
    }

    fn exactly(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn write(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// Reads whatever comes until the other side closes.
    fn until_closed(&mut self) {
        while self.stream.read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
        assert!(self.is_closed());
    }

    fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0; 1]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

/// A running proxy in front of one upstream.
struct Setup {
    running: Running,
    listener: TcpListener,
}

fn target(uri: String) -> Target {
    Target::Http {
        uri,
        insecure_skip_tls_verify: false,
        pass_host_header: true,
        proxy_web_sockets: true,
        timeout: proxy_config::Duration::from_secs(30),
    }
}

fn setup() -> Setup {
    setup_with(target)
}

fn setup_with(make: impl FnOnce(String) -> Target) -> Setup {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = make(format!("http://{}/ignored?too", listener.local_addr().unwrap()));
    Setup { running: proxy_to(target), listener }
}

fn proxy_to(target: Target) -> Running {
    Running::start(&Limits { workers: 1, ..Limits::default() }, to(target))
}

/// Sends each request to `target`, and says in a 502 what went wrong.
fn to(
    target: Target,
) -> impl Fn(Arc<Worker>, Arc<Peer>, Request<Incoming>) -> BoxFuture<'static, Response<Body>> + Clone
{
    let reuse_after_body = true;
    let (id, path) = ("app".to_owned(), "/".to_owned());
    handler(&Upstream { id, path, rewrite_target: None, reuse_after_body, target }, false)
}

/// The same for any upstream. `stranger`: nobody has signed in.
fn handler(
    upstream: &Upstream,
    stranger: bool,
) -> impl Fn(Arc<Worker>, Arc<Peer>, Request<Incoming>) -> BoxFuture<'static, Response<Body>>
+ Clone
+ use<> {
    let server = Arc::new(
        upstream::Target::compile(upstream, Some(Duration::from_mins(1))).unwrap().unwrap(),
    );
    let names = Arc::new(Names::compile(["X-Forwarded-User"], None));
    move |worker, peer, request| {
        let (server, names) = (Arc::clone(&server), Arc::clone(&names));
        Box::pin(async move {
            let user =
                [(HeaderName::from_static("x-forwarded-user"), HeaderValue::from_static("ann"))];
            let user = IdentityLines::new(&user);
            let cookies = OwnCookies::new("_oauth2_proxy");
            let injection = Injection {
                names: &names,
                headers: Some(&user),
                cookies: &cookies,
                forwarded: Forwarded::Keep,
                other_method: true,
                stranger,
            };
            let (mut head, body) = request.into_parts();
            let question = Question { head: &mut head, body: Some(body) };
            server.forward(&worker, &peer, question, &injection).await.map_or_else(
                |error| {
                    let kind = match error {
                        UpstreamError::Connect(_) => "connect",
                        UpstreamError::Broken(http1::Error::Coding) => "coding",
                        UpstreamError::Broken(_) => "broken",
                        UpstreamError::Timeout(_) => "timeout",
                        UpstreamError::Upgrade => "upgrade",
                    };
                    let mut response = Response::new(Body::from(kind));
                    *response.status_mut() = StatusCode::BAD_GATEWAY;
                    response
                },
                |answer| answer.map(Body::from),
            )
        })
    }
}

fn failed(client: &mut Client) -> String {
    let answer = client.answer();
    assert_eq!(answer.status, 502);
    answer.body
}

#[test]
fn the_target_goes_out_as_it_came_and_the_upstreams_path_is_ignored() {
    let setup = setup();
    let mut client = setup.running.connect();
    let mut side = None;
    for target in ["/", "/a%2Fb/../c?", "/%zz", "/x?a=b&&c=%20+", "/a;b=c//d", "*"] {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: app.example\r\n\r\n").as_bytes());
        let side = side.get_or_insert_with(|| Side::accept(&setup.listener));
        assert_eq!(side.head().lines().next(), Some(format!("GET {target} HTTP/1.1").as_str()));
        side.write(OK);
        assert_eq!(client.answer().body, "ok");
    }
    assert_eq!(setup.running.counted(Event::UpstreamReused), 5);
}

#[test]
fn headers_are_cleaned_on_both_ways() {
    let setup = setup();
    let mut client = setup.running.connect();
    client.send(
        b"GET / HTTP/1.1\r\nHost: app.example\r\nx_forwarded_user: root\r\nCookie: a=1; _oauth2_proxy=s\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n",
    );
    let mut side = Side::accept(&setup.listener);
    let mut lines: Vec<String> = side.head().lines().skip(1).map(str::to_owned).collect();
    lines.sort();
    assert_eq!(
        lines,
        [
            "",
            "Cookie: a=1",
            "Host: app.example",
            "X-Forwarded-For: 127.0.0.1",
            "X-Forwarded-User: ann"
        ]
    );
    side.write(b"HTTP/1.1 299 Fancy\r\nContent-Length: 0\r\nConnection: X-Hop\r\nX-Hop: 1\r\nDate: then\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n");
    let answer = client.answer();
    assert_eq!(
        (answer.status, answer.header("x-hop"), answer.header("date")),
        (299, None, Some("then"))
    );
    assert_eq!(answer.head.matches("Set-Cookie").count(), 2);
    assert!(!answer.head.contains("Fancy"));
}

#[test]
fn host_is_the_upstreams_if_the_clients_is_not_passed_on() {
    let setup = setup_with(|uri| Target::Http {
        uri,
        insecure_skip_tls_verify: false,
        pass_host_header: false,
        proxy_web_sockets: true,
        timeout: proxy_config::Duration::ZERO,
    });
    let mut client = setup.running.connect();
    client.send(ASK.as_bytes());
    let head = Side::accept(&setup.listener).head();
    assert!(
        head.contains(&format!("Host: {}\r\n", setup.listener.local_addr().unwrap())),
        "{head}"
    );
}

#[test]
fn a_pooled_connection_that_was_closed_costs_no_request() {
    let setup = setup();
    let mut client = setup.running.connect();
    client.send(ASK.as_bytes());
    let mut side = Side::accept(&setup.listener);
    side.head();
    side.write(OK);
    assert_eq!(client.answer().status, 200);
    // It takes the next request and goes away without a word, as a server does whose idle time is over.
    client.send(ASK.as_bytes());
    let head = side.head();
    drop(side);
    let mut side = Side::accept(&setup.listener);
    assert_eq!(side.head(), head);
    side.write(OK);
    assert_eq!(client.answer().status, 200);
    assert_eq!(setup.running.counted(Event::UpstreamRetried), 1);
    // A new connection that breaks is no stale one.
    client.send(ASK.as_bytes());
    side.head();
    drop(side);
    drop(Side::accept(&setup.listener));
    assert_eq!(failed(&mut client), "broken");
}

#[test]
fn a_request_that_may_have_had_an_effect_is_not_sent_twice() {
    for request in [
        "POST / HTTP/1.1\r\nHost: a\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
    ] {
        let setup = setup();
        let mut client = setup.running.connect();
        client.send(ASK.as_bytes());
        let mut side = Side::accept(&setup.listener);
        side.head();
        side.write(OK);
        assert_eq!(client.answer().status, 200);
        client.send(request.as_bytes());
        side.head();
        drop(side);
        assert_eq!(failed(&mut client), "broken");
        assert_eq!(setup.running.counted(Event::UpstreamRetried), 0);
        setup.listener.set_nonblocking(true).unwrap();
        assert!(setup.listener.accept().is_err());
    }
}

#[test]
fn an_upstream_that_is_not_there_or_speaks_no_http_gives_an_error() {
    let setup = setup();
    let mut client = setup.running.connect();
    client.send(ASK.as_bytes());
    let mut side = Side::accept(&setup.listener);
    side.head();
    side.write(b"SSH-2.0-whatever\r\n");
    assert_eq!(failed(&mut client), "broken");
    drop(setup.listener);
    client.send(ASK.as_bytes());
    assert_eq!(failed(&mut client), "connect");
    assert_eq!(setup.running.counted(Event::UpstreamFailed), 2);
}

#[test]
fn the_upstreams_time_starts_when_it_has_the_whole_request() {
    let setup = setup_with(|uri| Target::Http {
        uri,
        insecure_skip_tls_verify: false,
        pass_host_header: true,
        proxy_web_sockets: true,
        timeout: Duration::from_millis(300).into(),
    });
    let mut client = setup.running.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
    let mut side = Side::accept(&setup.listener);
    side.head();
    for byte in [b"a", b"b", b"c", b"d"] {
        std::thread::sleep(Duration::from_millis(150));
        client.send(byte);
        assert_eq!(side.exactly(1), byte);
    }
    side.write(OK);
    assert_eq!(client.answer().status, 200);
    // The head had to go without its body.
    assert!(side.is_closed());
    client.send(ASK.as_bytes());
    let mut side = Side::accept(&setup.listener);
    side.head();
    assert_eq!(failed(&mut client), "timeout");
    assert!(side.is_closed());
}

#[test]
fn an_upstream_that_never_answers_is_given_up_in_time_though_no_timer_was_set_at_first() {
    let limit = Duration::from_millis(2500);
    let setup = setup_with(|uri| Target::Http {
        uri,
        insecure_skip_tls_verify: false,
        pass_host_header: true,
        proxy_web_sockets: true,
        timeout: limit.into(),
    });
    let mut client = setup.running.connect();
    client.send(ASK.as_bytes());
    let mut side = Side::accept(&setup.listener);
    side.head();
    let asked = tokio::time::Instant::now();
    assert_eq!(failed(&mut client), "timeout");
    assert!(asked.elapsed() > limit.mul_f32(0.9), "{:?}", asked.elapsed());
    assert!(side.is_closed());
}

#[test]
fn an_empty_post_has_a_length_and_a_plain_get_has_none() {
    let setup = setup();
    let mut client = setup.running.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut side = Side::accept(&setup.listener);
    assert!(side.head().contains("Content-Length: 0\r\n"));
    side.write(OK);
    client.answer();
    client.send(ASK.as_bytes());
    let head = side.head();
    assert!(!head.contains("Content-Length") && !head.contains("Transfer-Encoding"), "{head}");
}

#[test]
fn an_upstream_on_a_unix_socket_is_asked_for_localhost() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("app.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let running = proxy_to(Target::Unix {
        socket,
        pass_host_header: false,
        proxy_web_sockets: true,
        timeout: proxy_config::Duration::from_secs(30),
    });
    let mut client = running.connect();
    client.send(ASK.as_bytes());
    let mut stream = BufReader::new(listener.accept().unwrap().0);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        stream.read_line(&mut head).unwrap();
    }
    assert!(head.contains("Host: localhost\r\n"), "{head}");
    stream.get_mut().write_all(OK).unwrap();
    assert_eq!(client.answer().body, "ok");
}
