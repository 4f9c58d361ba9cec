//! A running server and raw sockets: what goes over the wire is what counts.

mod drain;
mod framing;
mod http2;
mod idle;
mod memory;
pub(crate) mod secure;
pub(crate) mod support;

use crate::body::Body;
use crate::metrics::Event;
use futures_util::StreamExt;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use proxy_config::Limits;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::{Running, eventually};

async fn hello(request: Request<Incoming>) -> Response<Body> {
    assert_ne!(request.uri().path(), "/panic", "a defect");
    let body =
        request.into_body().collect().await.map(|body| body.to_bytes().len()).unwrap_or_default();
    Response::new(Body::full(format!("hello {body}\n")))
}

#[test]
fn a_connection_serves_one_request_after_the_other() {
    let running = Running::start(&Limits::default(), |_, _, request| hello(request));
    let mut client = running.connect();
    for body in ["", "four"] {
        let answer = client.ask(&format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, format!("hello {}\n", body.len()).as_str())
        );
        assert!(answer.header("date").is_some());
    }
}

#[test]
fn requests_sent_at_once_are_answered_in_order() {
    let running = Running::start(&Limits::default(), |_, _, request| hello(request));
    let mut client = running.connect();
    let post = |body: &str| {
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    client.send([post("a"), post("bb"), post("ccc")].concat().as_bytes());
    let bodies: Vec<String> = (0..3).map(|_| client.answer().body).collect();
    assert_eq!(bodies, ["hello 1\n", "hello 2\n", "hello 3\n"]);
}

#[test]
fn a_client_that_sends_all_before_it_reads_still_gets_the_answer_that_came_early() {
    const SIZE: usize = 12 << 20;
    let running = Running::start(&Limits::default(), |_, _, _| async move {
        Response::new(Body::full("no need"))
    });
    let length = format!("Content-Length: {SIZE}\r\n");
    for (head, status) in [
        (format!("POST / HTTP/1.1\r\nHost: a\r\n{length}\r\n"), 200),
        (format!("POST / HTTP/1.1\r\nHost: a\r\n{length}{length}\r\n"), 400),
        (format!("P@ST / HTTP/1.1\r\nHost: a\r\n{length}\r\n"), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: ".to_owned(), 431),
    ] {
        let mut client = running.connect();
        client.send(head.as_bytes());
        client.send(&vec![b'x'; SIZE]);
        assert_eq!(client.answer().status, status, "{head}");
        assert!(client.is_closed(), "{head}");
    }
}

#[test]
fn a_panic_costs_one_request() {
    let running = Running::start(&Limits::default(), |_, _, request| hello(request));
    let mut client = running.connect();
    let answer = client.ask("GET /panic HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((answer.status, answer.header("connection")), (500, Some("close")));
    assert!(client.is_closed());
    assert_eq!(running.connect().ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
    assert_eq!(running.counted(Event::Panicked), 1);
}

#[test]
fn connections_above_the_limit_wait_until_there_is_room_again() {
    let limits = Limits { max_connections: 2, workers: 1, ..Limits::default() };
    let running = Running::start(&limits, |_, _, request| hello(request));
    let (mut one, mut two) = (running.connect(), running.connect());
    assert_eq!(one.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
    assert_eq!(two.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
    let mut waiting = [(); 3].map(|()| running.connect());
    for client in &mut waiting {
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    // One at the door, the others behind it.
    eventually("one is told to wait", || running.counted(Event::ConnectionDelayed) == 1);
    assert_eq!(one.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
    assert_eq!(running.counted(Event::ConnectionOpened), 2);
    let mut leaves = two;
    for mut client in waiting {
        drop(leaves);
        assert_eq!(client.answer().status, 200);
        leaves = client;
    }
    drop(one);
    assert_eq!(running.connect().ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
}

#[test]
fn every_worker_gets_its_share_of_the_connections() {
    let limits = Limits { workers: 2, ..Limits::default() };
    let running = Running::start(&limits, |worker, _, _| async move {
        Response::new(Body::full(worker.index.to_string()))
    });
    let mut clients: Vec<_> = (0..20).map(|_| running.connect()).collect();
    let answers: Vec<_> = clients
        .iter_mut()
        .map(|client| client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").body)
        .collect();
    let first = answers.iter().filter(|index| *index == "0").count();
    assert!((8..=12).contains(&first), "{first} of 20 are on the first worker");
}

#[test]
fn a_request_body_is_handed_on_while_it_is_still_being_sent() {
    let running = Running::start(&Limits::default(), |_, _, request| async move {
        let mut body = request.into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        Response::new(Body::full(first))
    });
    let mut client = running.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nfirst");
    assert_eq!(client.answer().body, "first");
}

#[test]
fn a_slow_reader_holds_up_whoever_writes() {
    const CHUNK: usize = 64 * 1024;
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let running = Running::start(&Limits::default(), move |_, _, _| {
        let count = Arc::clone(&count);
        let frames = futures_util::stream::iter(0..1000).map(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(http_body::Frame::data(bytes::Bytes::from(vec![b'x'; CHUNK])))
        });
        let body = Body::stream(Box::pin(http_body_util::StreamBody::new(frames)));
        async move { Response::new(body) }
    });
    let mut client = running.connect();
    client.send(b"GET / HTTP/1.0\r\n\r\n");
    let mut some = [0; 100];
    client.stream.read_exact(&mut some).unwrap();
    // Socket buffers take some megabytes; then nothing more may be made until somebody reads.
    let mut last = usize::MAX;
    eventually("the writer stops", || {
        std::thread::sleep(Duration::from_millis(100));
        std::mem::replace(&mut last, made.load(Ordering::Relaxed)) == made.load(Ordering::Relaxed)
    });
    assert!(
        made.load(Ordering::Relaxed) < 500,
        "{} chunks were made for nobody",
        made.load(Ordering::Relaxed)
    );
    let mut rest = Vec::new();
    client.stream.read_to_end(&mut rest).unwrap();
    assert_eq!(made.load(Ordering::Relaxed), 1000);
    assert!(rest.len() > 999 * CHUNK);
}

#[test]
fn a_unix_socket_serves_like_any_other_and_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.sock");
    let running = Running::start_at(
        &format!("unix://{}", path.display()),
        &Limits::default(),
        |_, peer, _| async move { Response::new(Body::full(format!("{:?}", peer.address))) },
    );
    let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("None"), "{answer}");
    drop(running);
    assert!(!path.exists());
}
