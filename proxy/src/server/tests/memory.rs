//! What strangers can make us keep over HTTP/2.

use super::support::{Client, PATIENCE, Running, eventually};
use crate::body::{Body, BodyError};
use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use proxy_config::Limits;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Barrier;

const HEADERS: u8 = 1;
const END_OF_HEADERS: u8 = 4;
const END_OF_BOTH: u8 = 5;

/// A frame of HTTP/2 (RFC 9113 section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A line of a head as it is (RFC 7541 section 6.2), and with `kept` to be named by a number later.
fn line(kept: bool, name: &str, value: &str) -> Vec<u8> {
    let mut line = vec![if kept { 0x40 } else { 0 }];
    for text in [name, value] {
        if let Some(rest) = text.len().checked_sub(127) {
            line.extend([
                127,
                u8::try_from(rest % 128).unwrap() | 128,
                u8::try_from(rest / 128).unwrap(),
            ]);
        } else {
            line.push(u8::try_from(text.len()).unwrap());
        }
        line.extend(text.as_bytes());
    }
    line
}

/// The line that was kept last, which has the number 62.
const AGAIN: u8 = 0xbe;

fn get() -> Vec<u8> {
    [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")]
        .map(|(name, value)| line(false, name, value))
        .concat()
}

/// A client with windows as large as there are.
fn client(running: &Running) -> Client {
    let mut client = running.connect();
    let window = (i32::MAX as u32).to_be_bytes();
    let more = (i32::MAX as u32 - 65_535).to_be_bytes();
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    client.send(&frame(4, 0, 0, &[&[0, 4], &window[..]].concat()));
    client.send(&frame(8, 0, 0, &more));
    client
}

/// Reads frames until so many heads of answers have come.
fn heads(client: &mut Client, count: usize) {
    let mut seen = 0;
    while seen < count {
        let head = client.exactly(9);
        client
            .exactly(usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]));
        seen += usize::from(head[3] == HEADERS);
    }
}

#[test]
fn heads_that_are_large_by_compression_only_are_taken_a_few_at_a_time() {
    let reached = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reached);
    let running = Running::start_plain("127.0.0.1:0", true, &Limits::default(), move |_, _, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<Response<Body>>()
    });
    let mut client = client(&running);
    let cookie = format!("a={}", "b".repeat(3950));
    let first = [get(), line(true, "cookie", &cookie)].concat();
    client.send(&frame(HEADERS, END_OF_HEADERS, 1, &first));
    let again = [get(), vec![AGAIN; 31]].concat();
    for index in 1..100 {
        client.send(&frame(HEADERS, END_OF_BOTH, 2 * index + 1, &again));
    }
    // 123 KB each, of which four have room; the first is small.
    eventually("some are served", || reached.load(Ordering::Relaxed) == 5);
    heads(&mut client, 95);
    assert_eq!(reached.load(Ordering::Relaxed), 5);
    drop(client);
    eventually("the room is given back", || {
        running.server.as_ref().unwrap().workers().iter().all(|worker| worker.busy.count() == 0)
    });
}

#[tokio::test]
async fn over_http_2_large_cookies_that_are_sent_in_full_pass_all_at_once() {
    let together = Arc::new(Barrier::new(100));
    let running = Running::start_plain("127.0.0.1:0", true, &Limits::default(), move |_, _, _| {
        let together = Arc::clone(&together);
        async move {
            together.wait().await;
            Response::new(Body::empty())
        }
    });
    let stream = TokioIo::new(TcpStream::connect(running.address.unwrap()).await.unwrap());
    let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let asked = (0..100).map(|index| {
        let mut request = Request::get("http://a/");
        for part in 0..10 {
            request = request.header("cookie", format!("s_{part}={index:x>4000}"));
        }
        let mut sender = sender.clone();
        async move {
            sender.ready().await.unwrap();
            sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap()
        }
    });
    let answers = tokio::time::timeout(PATIENCE, futures_util::future::join_all(asked));
    assert!(answers.await.unwrap().iter().all(|answer| answer.status() == 200));
}

#[tokio::test]
async fn over_http_2_a_head_may_have_a_hundred_lines_and_any_number_of_cookies() {
    let running =
        Running::start_plain("127.0.0.1:0", true, &Limits::default(), |_, _, request| async move {
            Response::new(Body::full(
                request.headers().get_all("cookie").iter().count().to_string(),
            ))
        });
    let stream = TokioIo::new(TcpStream::connect(running.address.unwrap()).await.unwrap());
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    for (lines, cookies, status) in [(99, 180, 200), (100, 0, 200), (100, 1, 431), (101, 0, 431)] {
        let mut request = Request::get("http://a/");
        for index in 0..lines {
            request = request.header("x", index);
        }
        for index in 0..cookies {
            request = request.header("cookie", format!("a{index}=b"));
        }
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), status, "{lines} lines, {cookies} cookies");
        if status == 200 {
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, cookies.min(1).to_string());
        }
    }
}

#[test]
fn answers_over_http_2_that_nobody_takes_are_not_made() {
    const PIECE: usize = 16 * 1024;
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let running = Running::start_plain("127.0.0.1:0", true, &Limits::default(), move |_, _, _| {
        let frames = stream::unfold(Arc::clone(&count), |count| async move {
            count.fetch_add(PIECE, Ordering::Relaxed);
            Some((Ok::<_, BodyError>(Frame::data(Bytes::from(vec![b'x'; PIECE]))), count))
        });
        let body = Body::stream(Box::pin(StreamBody::new(Box::pin(frames))));
        async move { Response::new(body) }
    });
    let mut client = client(&running);
    for index in 0..100 {
        client.send(&frame(HEADERS, END_OF_BOTH, 2 * index + 1, &get()));
    }
    let mut last = 0;
    eventually("the writers stop", || {
        std::thread::sleep(Duration::from_millis(300));
        let before = std::mem::replace(&mut last, made.load(Ordering::Relaxed));
        before == last && last > 0
    });
    // Some megabytes are in the system's buffers.
    assert!(last < 16 << 20, "{last} bytes were made for nobody");
    client.exactly(1 << 20);
}
