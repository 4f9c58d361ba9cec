//! The framing of requests against the reader behind it, for [`crate::fuzzing`].

use super::framing::Framing;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The first byte says how many bytes come at once. However they come, the verdict is the same; and where the framing is
/// accepted, hyper finds no request that does not begin where the framing says that one begins.
pub(crate) fn request(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let (starts, verdict) = starts(bytes, 1);
    let whole = self::starts(bytes, bytes.len().max(1)).1;
    let some = self::starts(bytes, usize::from(*size).max(1)).1;
    assert_eq!((verdict, verdict), (whole, some), "the verdict depends on how the bytes come");
    // Up to here everything was accepted and every request is whole.
    let end = starts.last().copied().unwrap_or(0);
    let accepted = bytes.get(..end).unwrap_or_default();
    let ends = starts.iter().skip(1);
    let ours: Vec<_> =
        starts.iter().zip(ends).filter_map(|(from, to)| line(bytes.get(*from..*to)?)).collect();
    let theirs = oracle(accepted);
    assert!(theirs.len() <= ours.len(), "hyper reads {theirs:?}, the framing {ours:?}");
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs, "hyper reads another request line");
    }
}

/// Offsets at which no request is under way, from 0, and whether all bytes are accepted.
fn starts(bytes: &[u8], size: usize) -> (Vec<usize>, bool) {
    let (mut framing, mut starts, mut at) = (Framing::new(16 * 1024), vec![0], 0);
    for piece in bytes.chunks(size) {
        let (mut piece, mut began) = (piece, framing.at_start());
        while !piece.is_empty() {
            let Ok(count) = framing.feed(piece) else { return (starts, false) };
            // No other protocol is granted, so that all of it is HTTP.
            framing.go_on();
            at += count;
            piece = piece.get(count..).unwrap_or_default();
            // The empty line that may stand before a request begins none.
            if framing.at_start() && !(began && size == 1) {
                starts.push(at);
            }
            began = framing.at_start();
        }
    }
    (starts, true)
}

/// Method and target of the request that begins here.
fn line(request: &[u8]) -> Option<(String, String)> {
    let request = request.strip_prefix(b"\r\n").unwrap_or(request);
    let line = request.split(|byte| *byte == b'\r').next()?;
    let mut words =
        line.split(|byte| *byte == b' ').map(|word| String::from_utf8_lossy(word).into_owned());
    Some((words.next()?, words.next()?))
}

/// The requests that hyper reads to their end.
fn oracle(bytes: &[u8]) -> Vec<(String, String)> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let seen = Rc::clone(&seen);
        async move {
            let line = (request.method().to_string(), request.uri().to_string());
            if request.into_body().collect().await.is_ok() {
                seen.borrow_mut().push(line);
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let io = TokioIo::new(Script { rest: bytes });
    let mut connection = pin!(http1::Builder::new().serve_connection(io, service));
    // Everything is there, so each turn makes progress or none is left to make.
    for _ in 0..=bytes.len() {
        if connection.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            break;
        }
    }
    seen.take()
}

/// A client that has said all that it will say and takes every answer.
struct Script<'a> {
    rest: &'a [u8],
}

impl AsyncRead for Script<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (now, rest) = self.rest.split_at(self.rest.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.rest = rest;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
