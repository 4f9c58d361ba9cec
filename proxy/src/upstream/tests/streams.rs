//! Bodies in both directions.

use super::{ASK, OK, Side, failed, setup, target, to};
use crate::metrics::Event;
use crate::server::Certificate;
use crate::server::tests::secure;
use crate::server::tests::support::{PATIENCE, Running};
use bytes::Bytes;
use http::Request;
use http_body::Frame;
use http_body_util::StreamBody;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::io::{Read, Write};
use std::time::Duration;

#[test]
fn a_request_streams_up_while_its_answer_streams_down() {
    let setup = setup();
    let mut client = setup.running.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut side = Side::accept(&setup.listener);
    assert!(side.head().contains("Transfer-Encoding: chunked\r\n"));
    side.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.until(b"\r\n\r\n");
    for round in 0..3 {
        let chunk = format!("3\r\nr={round}\r\n");
        client.send(chunk.as_bytes());
        assert_eq!(side.exactly(chunk.len()), chunk.as_bytes());
        side.write(chunk.as_bytes());
        assert_eq!(client.exactly(chunk.len()), chunk.as_bytes());
    }
    client.send(b"0\r\n\r\n");
    side.write(b"0\r\n\r\n");
    assert_eq!(client.exactly(5), b"0\r\n\r\n");
}

#[test]
fn an_answer_that_comes_before_the_request_is_complete_is_passed_on() {
    let setup = setup();
    let mut client = setup.running.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nstart");
    let mut side = Side::accept(&setup.listener);
    side.head();
    side.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nno!\n");
    let answer = client.answer();
    assert_eq!((answer.status, answer.body.as_str()), (413, "no!\n"));
}

#[test]
fn a_client_that_leaves_takes_the_upstreams_connection_along() {
    let setup = setup();
    let mut waiting = setup.running.connect();
    waiting.send(ASK.as_bytes());
    let mut side = Side::accept(&setup.listener);
    side.head();
    drop(waiting);
    assert!(side.is_closed());
    let mut reading = setup.running.connect();
    reading.send(ASK.as_bytes());
    let mut side = Side::accept(&setup.listener);
    side.head();
    side.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nstart");
    reading.until(b"start");
    drop(reading);
    assert!(side.is_closed());
}

#[test]
fn an_answer_that_breaks_off_breaks_off_for_the_client_too() {
    let setup = setup();
    let mut client = setup.running.connect();
    client.send(ASK.as_bytes());
    let mut side = Side::accept(&setup.listener);
    side.head();
    side.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nstart");
    client.until(b"start");
    drop(side);
    assert!(client.is_closed());
}

#[test]
fn what_came_before_an_answer_broke_off_reaches_the_client() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nstart",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nstart\r\nnonsense\r\n",
    ] {
        let setup = setup();
        let mut client = setup.running.connect();
        client.send(ASK.as_bytes());
        let mut side = Side::accept(&setup.listener);
        side.head();
        side.write(answer.as_bytes());
        drop(side);
        client.until(b"start");
        assert!(client.is_closed());
    }
}

#[test]
fn a_slow_client_holds_up_the_upstream() {
    const SIZE: usize = 64 << 20;
    let setup = setup();
    let mut client = setup.running.connect();
    client.send(ASK.as_bytes());
    let mut side = Side::accept(&setup.listener);
    side.head();
    side.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes());
    side.stream.get_mut().set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let block = vec![b'x'; 64 * 1024];
    let mut written = 0;
    while written < SIZE {
        match side.stream.get_mut().write(&block[..block.len().min(SIZE - written)]) {
            Ok(count) => written += count,
            Err(_) => break,
        }
    }
    assert!(written < SIZE / 2, "{written} bytes were taken for a client that reads none");
    side.stream.get_mut().set_write_timeout(None).unwrap();
    let writer = std::thread::spawn(move || {
        while written < SIZE {
            written +=
                side.stream.get_mut().write(&block[..block.len().min(SIZE - written)]).unwrap();
        }
    });
    client.until(b"\r\n\r\n");
    let mut left = SIZE;
    let mut buffer = vec![0; 256 * 1024];
    // The head's last read may have brought the first bytes of the body.
    left -= client.rest().len();
    while left > 0 {
        let count = client.stream.read(&mut buffer).unwrap();
        assert!(count > 0);
        left -= count;
    }
    writer.join().unwrap();
}

#[test]
fn no_more_trailers_pass_than_a_head_may_announce() {
    let setup = setup();
    let mut client = setup.running.connect();
    let names: Vec<String> = (0..101).map(|number| format!("X-{number}")).collect();
    let sent = [&names[99], &names[100]].map(|name| format!("{name}: 1\r\n")).concat();
    client.send(
        format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTrailer: {}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n0\r\n{sent}\r\n",
            names.join(", ")
        )
        .as_bytes(),
    );
    let mut side = Side::accept(&setup.listener);
    side.head();
    let expected = "1\r\n{\r\n0\r\nX-99: 1\r\n\r\n";
    assert_eq!(String::from_utf8(side.exactly(expected.len())).unwrap(), expected);
    side.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.answer().body, "ok");
}

#[test]
fn trailers_pass_but_for_those_that_say_who_is_there() {
    let setup = setup();
    let mut client = setup.running.connect();
    client.send(
        b"POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\nTrailer: X-Sum, X-Forwarded-User\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\nX-Sum: 1\r\nX-Forwarded-User: root\r\n\r\n",
    );
    let mut side = Side::accept(&setup.listener);
    let head = side.head();
    assert!(head.contains("Te: trailers\r\n"), "{head}");
    let body = String::from_utf8(side.exactly(b"1\r\n{\r\n0\r\nX-Sum: 1\r\n\r\n".len())).unwrap();
    assert_eq!(body, "1\r\n{\r\n0\r\nX-Sum: 1\r\n\r\n");
    side.write(b"HTTP/1.1 200 OK\r\nTrailer: X-Done\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Done: yes\r\n\r\n");
    let answer = client.answer();
    assert_eq!(
        (answer.body.as_str(), answer.header("x-done")),
        ("ok", Some("yes")),
        "{}",
        answer.head
    );
}

#[test]
fn a_request_that_expects_100_continue_gets_it_when_the_upstream_wants_the_body() {
    let setup = setup();
    let mut client = setup.running.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    let mut side = Side::accept(&setup.listener);
    let head = side.head();
    assert!(head.contains("Expect: 100-continue\r\n"), "{head}");
    // Nothing is known of the body yet.
    assert!(head.contains("Connection: close\r\n"), "{head}");
    client.stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(client.stream.read(&mut [0; 1]).is_err(), "it was asked for the body too soon");
    client.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    side.write(b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(client.until(b"\r\n\r\n"), b"HTTP/1.1 100 Continue\r\n\r\n");
    client.send(b"hi");
    assert_eq!(side.exactly(2), b"hi");
    side.write(OK);
    assert_eq!(client.answer().status, 200);
}

#[test]
fn a_body_that_the_upstream_does_not_want_is_not_asked_for() {
    let setup = setup();
    let mut client = setup.running.connect();
    client.send(
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 20000000\r\n\r\n",
    );
    let mut side = Side::accept(&setup.listener);
    side.head();
    side.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nno!\n");
    let answer = client.answer();
    assert_eq!((answer.status, answer.body.as_str()), (413, "no!\n"));
    assert!(side.is_closed());
    assert!(client.is_closed());
}

#[test]
fn a_silent_upstream_gets_the_body_all_the_same() {
    let setup = setup();
    let mut client = setup.running.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    let mut side = Side::accept(&setup.listener);
    side.head();
    assert_eq!(client.until(b"\r\n\r\n"), b"HTTP/1.1 100 Continue\r\n\r\n");
    client.send(b"hi");
    assert_eq!(side.exactly(2), b"hi");
    side.write(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
    side.write(OK);
    assert_eq!(client.answer().status, 200);
}

#[test]
fn answers_without_a_body_end_at_once_and_the_connection_is_used_again() {
    let setup = setup();
    let mut client = setup.running.connect();
    client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut side = Side::accept(&setup.listener);
    side.head();
    side.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    let head = String::from_utf8(client.until(b"\r\n\r\n")).unwrap();
    assert!(head.contains("Content-Length: 1000\r\n"), "{head}");
    for (code, status) in [(204, "204 No Content"), (304, "304 Not Modified")] {
        client.send(ASK.as_bytes());
        side.head();
        side.write(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes());
        assert_eq!(client.answer().status, code);
    }
}

#[test]
fn a_length_beside_chunks_is_not_passed_on() {
    let setup = setup();
    for head in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: CHUNKED\r\nContent-Length: 0\r\n",
    ] {
        let mut client = setup.running.connect();
        client.send(ASK.as_bytes());
        let mut side = Side::accept(&setup.listener);
        side.head();
        side.write(format!("HTTP/1.1 200 OK\r\n{head}\r\n2\r\nok\r\n0\r\n\r\n").as_bytes());
        drop(side);
        let answer = client.answer();
        assert_eq!((answer.body.as_str(), answer.header("content-length")), ("ok", None), "{head}");
    }
}

#[test]
fn an_answer_in_another_transfer_coding_is_an_error() {
    for head in [
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: 2\r\n",
    ] {
        let setup = setup();
        let mut client = setup.running.connect();
        client.send(ASK.as_bytes());
        let mut side = Side::accept(&setup.listener);
        side.head();
        side.write(format!("HTTP/1.1 200 OK\r\n{head}\r\n2\r\nok\r\n0\r\n\r\n").as_bytes());
        assert_eq!(failed(&mut client), "coding", "{head}");
        assert_eq!(setup.running.counted(Event::UpstreamFailed), 1);
        assert!(side.is_closed(), "{head}");
    }
}

#[test]
fn a_body_without_a_length_is_passed_on_whatever_the_method() {
    let setup = setup();
    let mut client = setup.running.connect();
    let mut side = None;
    for method in ["QUERY", "PROPFIND", "GET"] {
        client.send(
            format!("{method} / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n<a>\r\n0\r\n\r\n")
                .as_bytes(),
        );
        let side = side.get_or_insert_with(|| Side::accept(&setup.listener));
        let head = side.head();
        assert!(head.contains("Transfer-Encoding: chunked\r\n"), "{head}");
        assert_eq!(side.exactly(13), b"3\r\n<a>\r\n0\r\n\r\n", "{method}");
        side.write(b"HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(client.answer().status, 204);
    }
}

#[tokio::test]
async fn a_body_without_a_length_is_passed_on_from_http_2_too() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let pair = secure::pair();
    let running = Running::start_tls(
        &Certificate::new(pair.chain.as_bytes(), pair.key.as_bytes()).unwrap(),
        proxy_config::TlsVersion::Tls12,
        &proxy_config::Limits::default(),
        to(target(format!("http://{}", listener.local_addr().unwrap()))),
    );
    let client = secure::config(&pair, rustls::ALL_VERSIONS, &["h2"]);
    let stream = TokioIo::new(secure::connect(&running, client).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let upstream = tokio::task::spawn_blocking(move || {
        let mut side = Side::accept(&listener);
        let head = side.head();
        assert!(head.contains("Transfer-Encoding: chunked\r\n"), "{head}");
        assert!(!head.contains("Trailer"), "{head}");
        // Trailers that the head did not announce do not follow.
        assert_eq!(side.exactly(13), b"3\r\nabc\r\n0\r\n\r\n");
        side.write(OK);
    });
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-sum", "1".parse().unwrap());
    let frames =
        [Frame::data(Bytes::from("abc")), Frame::trailers(trailers)].map(Ok::<_, Infallible>);
    let request = Request::get("https://proxy.example/").header("Trailer", "x-sum");
    let request = request.body(StreamBody::new(futures_util::stream::iter(frames))).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
    upstream.await.unwrap();
}

#[tokio::test]
async fn a_body_that_a_client_announces_over_http_2_and_does_not_send_ends_its_stream() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let pair = secure::pair();
    let limits = proxy_config::Limits {
        stall_timeout: Duration::from_millis(200).into(),
        ..proxy_config::Limits::default()
    };
    let running = Running::start_tls(
        &Certificate::new(pair.chain.as_bytes(), pair.key.as_bytes()).unwrap(),
        proxy_config::TlsVersion::Tls12,
        &limits,
        to(target(format!("http://{}", listener.local_addr().unwrap()))),
    );
    let client = secure::config(&pair, rustls::ALL_VERSIONS, &["h2"]);
    let stream = TokioIo::new(secure::connect(&running, client).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let frame = Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"begun")));
    let frames = futures_util::stream::once(std::future::ready(frame));
    let body =
        StreamBody::new(futures_util::StreamExt::chain(frames, futures_util::stream::pending()));
    let request = Request::post("https://proxy.example/").body(Box::pin(body)).unwrap();
    let answer = tokio::time::timeout(PATIENCE, sender.send_request(request)).await;
    assert!(answer.expect("it ends").is_err());
    sender.ready().await.expect("the connection stays");
}
