//! Requests whose end could be read in two ways: 400, and the connection closed, whatever the parser would have made of
//! them.

use super::hello;
use super::support::Running;
use crate::body::Body;
use crate::metrics::Event;
use http::Response;
use proxy_config::Limits;
use std::io::Read;

/// A request that must never be served stands behind each of these; were it answered, it was smuggled.
const BEHIND: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

fn refused(request: &str, status: &str) {
    let running = Running::start(&Limits { workers: 1, ..Limits::default() }, |_, _, request| {
        assert_ne!(request.uri().path(), "/smuggled");
        hello(request)
    });
    let mut client = running.connect();
    client.send(format!("{request}{BEHIND}").as_bytes());
    let mut answer = Vec::new();
    // Closing with unread bytes resets the connection, so the end may be an error.
    let _ = client.stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{request:?} was answered {answer:?}"
    );
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{request:?} was answered {answer:?}");
    assert_eq!(running.counted(Event::Panicked), 0, "{request:?}");
}

#[test]
fn ambiguous_heads_are_refused_and_the_connection_closed() {
    for head in [
        "Host: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
        "Host: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
        "Host: a\r\nContent-Length: 1,1\r\n",
        "Host: a\r\nContent-Length: +1\r\n",
        "Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n",
        "Host: a\r\nTransfer-Encoding: gzip, chunked\r\n",
        "Host: a\r\nTransfer-Encoding: chunked, chunked\r\n",
        "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Host: a\r\nTransfer-Encoding : chunked\r\n",
        "Host: a\r\nTransfer-Encoding: \x0bchunked\r\n",
        "Host: a\nX: y\r\n",
        "Host: a\r\nX: y\n",
        "Host: a\r\nX: y\r\n folded\r\n",
        "Host: a\r\n X: y\r\n",
        "Host: a\r\nX : y\r\n",
        "Host: a\r\nX\r\n",
        "Host: a\r\n: y\r\n",
        "Host: a\r\nX: a\rb\r\n",
        "Host: a\r\nX: a\0b\r\n",
        "Host: a\r\nX\0Y: b\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nHost: b\r\n",
        "Host: a, b\r\n",
        "Host: u@a\r\n",
        "Host:\r\n",
        "X: y\r\n",
    ] {
        refused(&format!("POST / HTTP/1.1\r\n{head}\r\n"), "400");
    }
}

#[test]
fn ambiguous_request_lines_are_refused_and_the_connection_closed() {
    for line in [
        "GET / HTTP/1.1\n",
        "GET  / HTTP/1.1\r\n",
        "GET / HTTP/1.1 \r\n",
        "GET /a b HTTP/1.1\r\n",
        "GET\t/ HTTP/1.1\r\n",
        "GET /\r\n",
        "G@T / HTTP/1.1\r\n",
        "GET http://b/ HTTP/1.1\r\n",
        "GET http://a:81/ HTTP/1.1\r\n",
        "GET /health#/../admin HTTP/1.1\r\n",
        "GET http://u@a/ HTTP/1.1\r\n",
        "GET / HTTP/1.2\r\n",
        "GET / HTTP/2.0\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\n",
        "\nGET / HTTP/1.1\r\n",
    ] {
        refused(&format!("{line}Host: a\r\n\r\n"), "400");
    }
}

#[test]
fn ambiguous_chunks_are_refused_and_the_connection_closed() {
    for body in [
        "1\nx\r\n0\r\n\r\n",
        "1\r\nx\n0\r\n\r\n",
        "1 \r\nx\r\n0\r\n\r\n",
        "0x1\r\nx\r\n0\r\n\r\n",
        "1\r\nxy\r\n0\r\n\r\n",
        "ffffffffffffffff1\r\nx\r\n",
        "0\r\nX: y\n\r\n",
        "0\r\nX : y\r\n\r\n",
        "0\r\nX\r\n\r\n",
        "0\r\n\n",
    ] {
        refused(
            &format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}"),
            "400",
        );
    }
}

#[test]
fn a_connect_request_is_refused() {
    refused("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "405");
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let running =
        Running::start(&Limits { max_header_bytes: 4096, ..Limits::default() }, |_, _, request| {
            hello(request)
        });
    let ask = |size| {
        running
            .connect()
            .ask(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(size)))
    };
    assert_eq!(ask(3000).status, 200);
    assert_eq!(ask(5000).status, 431);
}

#[test]
fn a_refused_request_is_counted() {
    let running = Running::start(&Limits::default(), |_, _, request| hello(request));
    assert_eq!(running.connect().ask("GET / HTTP/1.1\r\n\r\n").status, 400);
    assert_eq!(running.counted(Event::FramingRefused), 1);
}

#[test]
fn a_request_without_host_is_fine_in_http_1_0() {
    let running = Running::start(&Limits::default(), |_, _, request| hello(request));
    assert_eq!(running.connect().ask("GET / HTTP/1.0\r\n\r\n").status, 200);
}

#[test]
fn a_head_may_have_a_hundred_lines() {
    let running = Running::start(&Limits::default(), |_, _, request| hello(request));
    let ask = |count| {
        let lines = "X: y\r\n".repeat(count);
        running.connect().ask(&format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")).status
    };
    assert_eq!((ask(99), ask(100)), (200, 431));
}

#[test]
fn what_came_whole_before_a_broken_request_is_answered_first() {
    let running = Running::start(&Limits { workers: 1, ..Limits::default() }, |_, _, request| {
        assert!(!request.uri().path().starts_with("/broken"));
        hello(request)
    });
    let good = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for broken in [
        "GET /broken HTTP/1.1\n",
        "garbage\n\n",
        "POST /broken HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    ] {
        let mut client = running.connect();
        client.send(format!("{good}{good}{broken}").as_bytes());
        let statuses = [(); 3].map(|()| client.answer().status);
        assert_eq!(statuses, [200, 200, 400], "{broken:?}");
        assert!(client.is_closed());
    }
}

#[test]
fn a_refusal_never_stands_in_the_middle_of_an_answer() {
    // More than the buffers of both sides hold, so that the parser still has some of it when the next request comes.
    const SIZE: usize = 16 << 20;
    let running = Running::start(&Limits { workers: 1, ..Limits::default() }, |_, _, _| async {
        Response::new(Body::full(vec![b'a'; SIZE]))
    });
    let good = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for at_once in [true, false] {
        let mut client = running.connect();
        if at_once {
            client.send(format!("{good}garbage\n\n").as_bytes());
        } else {
            client.send(good.as_bytes());
            client.until(b"\r\n\r\n");
            client.send(b"garbage\n\n");
            // Until it has been seen, so that what is in flight meets it.
            super::support::eventually("it is refused", || {
                running.counted(Event::FramingRefused) == 2
            });
        }
        if at_once {
            client.until(b"\r\n\r\n");
        }
        let body = client.exactly(SIZE);
        assert!(body.iter().all(|byte| *byte == b'a'), "at once: {at_once}");
        assert!(client.until(b"\r\n").starts_with(b"HTTP/1.1 400 "));
    }
}
