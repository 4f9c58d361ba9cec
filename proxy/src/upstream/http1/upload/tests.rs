use super::super::request_head::RequestHead;
use super::Upload;
use crate::upstream::request_body::RequestBody;
use bytes::Bytes;
use http::Request;
use http::header::CONTENT_LENGTH;
use http::request::Builder;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::io::AsyncWrite;

fn upload(request: Builder) -> Upload {
    Upload::plain(&request.body(()).unwrap())
}

impl Upload {
    /// A request without a body, whose headers go out as they are.
    pub(in crate::upstream::http1) fn plain<B>(request: &Request<B>) -> Self {
        let target = request.uri().path_and_query();
        let mut head = RequestHead::begin(request.method(), target, 0);
        for (name, value) in request.headers() {
            head.line(name, value.as_bytes());
        }
        let length = request.headers().get(CONTENT_LENGTH);
        head.set_length(length.map_or(Some(0), |length| length.to_str().unwrap().parse().ok()));
        head.begin_hop();
        head.end();
        Self::new(head, RequestBody::Empty)
    }
}

fn send(upload: &mut Upload) -> (Poll<Result<(), super::Error>>, String) {
    let mut sent = Vec::new();
    let poll = upload.poll(&mut Context::from_waker(Waker::noop()), &mut sent);
    (poll, String::from_utf8(sent).unwrap())
}

#[test]
fn a_request_goes_out_in_origin_form() {
    for (target, line) in [
        ("/", "GET / HTTP/1.1"),
        ("/a//b?c=%zz", "GET /a//b?c=%zz HTTP/1.1"),
        ("http://a.example?x", "GET /?x HTTP/1.1"),
        ("http://a.example", "GET / HTTP/1.1"),
        ("*", "GET * HTTP/1.1"),
    ] {
        let (poll, sent) =
            send(&mut upload(Request::get(target).header("A", "1").header("A", "2")));
        assert!(matches!(poll, Poll::Ready(Ok(()))));
        assert_eq!(sent, format!("{line}\r\nA: 1\r\nA: 2\r\n\r\n"));
    }
}

#[test]
fn only_what_does_no_harm_is_sent_twice() {
    for (method, again) in [("GET", true), ("PUT", true), ("POST", false), ("PATCH", false)] {
        let mut request = upload(Request::builder().method(method));
        assert!(request.is_running() && !request.is_complete());
        let sent = send(&mut request).1;
        assert!(!request.is_running() && request.is_complete());
        assert_eq!(request.may_be_repeated(), again, "{method}");
        assert_eq!(send(&mut request.rewound()).1, sent);
        assert!(upload(Request::builder().method(method)).may_be_repeated(), "nothing was sent");
    }
}

#[test]
fn a_request_that_is_shorter_than_it_says_is_not_sent() {
    let (poll, sent) = send(&mut upload(Request::post("/").header("Content-Length", "5")));
    assert!(matches!(poll, Poll::Ready(Err(super::Error::RequestLength))));
    assert_eq!(sent, "");
}

/// Takes a few bytes at a time.
struct Narrow(Vec<u8>, usize);

impl AsyncWrite for Narrow {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = bytes.len().min(self.1);
        self.0.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_piece_goes_out_whole_however_little_is_taken_at_a_time() {
    let whole = "POST / HTTP/1.1\r\n\r\nhello\r\n0\r\n\r\n";
    for taken in 1..=whole.len() {
        let mut request = upload(Request::post("/"));
        (request.data, request.back) = (Bytes::from_static(b"hello"), b"\r\n0\r\n\r\n");
        let mut stream = Narrow(Vec::new(), taken);
        let poll = request.poll(&mut Context::from_waker(Waker::noop()), &mut stream);
        assert!(matches!(poll, Poll::Ready(Ok(()))) && request.is_complete());
        assert_eq!(String::from_utf8(stream.0).unwrap(), whole, "{taken}");
    }
}

#[test]
fn the_next_piece_is_not_taken_before_this_one_is_gone() {
    let mut request = upload(Request::post("/"));
    (request.left, request.body) = (None, Some(RequestBody::Empty));
    (request.data, request.back) = (Bytes::from_static(b"hello"), b"\r\n");
    let (poll, sent) = send(&mut request);
    assert!(matches!(poll, Poll::Ready(Ok(()))));
    assert_eq!(sent, "POST / HTTP/1.1\r\n\r\nhello\r\n0\r\n\r\n");
}

#[test]
fn a_request_of_which_something_may_have_gone_out_counts_as_begun() {
    let mut request = upload(Request::post("/"));
    assert!(!request.has_begun() && request.may_be_repeated());
    request.set_begun();
    assert!(request.has_begun() && !request.may_be_repeated());
}

#[test]
fn nothing_follows_a_request_that_the_other_side_did_not_take() {
    let (mut stream, other) = tokio::io::duplex(64);
    let mut request = upload(Request::get("/"));
    assert!(request.may_be_followed());
    drop(other);
    let poll = request.poll(&mut Context::from_waker(Waker::noop()), &mut stream);
    assert!(matches!(poll, Poll::Ready(Ok(()))));
    assert!(request.is_broken() && !request.is_complete() && !request.has_begun());
    assert!(!request.may_be_followed());
}
