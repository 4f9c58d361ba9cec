//! The reader of answers against another one, for [`crate::fuzzing`].

use super::chunked::{Chunked, Step};
use super::head::{self, Coding};
use super::{Error, take};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A whole answer as a reader understands it.
#[derive(Debug, PartialEq, Eq)]
struct Understood {
    status: u16,
    body: Vec<u8>,
    /// The connection may be used for another request.
    reusable: bool,
}

/// The first byte chooses GET or HEAD, the rest is what the upstream sends before it falls silent. An answer that ends here
/// ends there, with the same status and the same body; and a connection is used again only if hyper would as well.
pub(crate) fn answer(bytes: &[u8]) {
    let Some((method, bytes)) = bytes.split_first() else { return };
    let to_head = *method == b'H';
    if let Ok(Some(ours)) = read(bytes, to_head) {
        compare(&ours, bytes, to_head);
    }
}

/// The first byte says how many bytes come at once, the rest is a body in chunks. However they come, it is the same body with
/// the same trailers and the same end, and hyper reads that too.
pub(crate) fn chunks(bytes: &[u8]) {
    let Some((size, coded)) = bytes.split_first() else { return };
    let ours = dechunked(coded, coded.len());
    assert_eq!(ours, dechunked(coded, usize::from(*size)), "it depends on how the bytes come");
    let Some(Dechunked { end: Some(_), .. }) = ours else { return };
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    answer(&[b"G", &head[..], coded].concat());
}

fn compare(ours: &Understood, bytes: &[u8], to_head: bool) {
    match oracle(bytes, to_head) {
        Some(theirs) => {
            assert_eq!((ours.status, &ours.body), (theirs.status, &theirs.body));
            assert!(
                !ours.reusable || theirs.reusable,
                "only we use the connection again: {ours:?}"
            );
        }
        None => assert!(!ours.reusable, "only we find the end of it: {ours:?}"),
    }
}

/// What has been read of a body in chunks.
#[derive(Debug, Default, PartialEq, Eq)]
struct Dechunked {
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
    /// How many bytes it took, once it is whole.
    end: Option<usize>,
}

/// `None`: it is refused.
fn dechunked(bytes: &[u8], size: usize) -> Option<Dechunked> {
    let (mut chunked, mut buffer) = (Chunked::default(), BytesMut::new());
    let (mut read, mut fed) = (Dechunked::default(), 0);
    for piece in bytes.chunks(size.max(1)) {
        buffer.extend_from_slice(piece);
        fed += piece.len();
        loop {
            match chunked.step(&mut buffer).ok()? {
                Step::Data(data) => read.body.extend_from_slice(&data),
                Step::Trailers(trailers) => read.trailers = Some(trailers),
                Step::More => break,
                Step::End => {
                    read.end = Some(fed - buffer.len());
                    return Some(read);
                }
            }
        }
    }
    Some(read)
}

/// `None`: more bytes are needed.
fn read(bytes: &[u8], to_head: bool) -> Result<Option<Understood>, Error> {
    let mut buffer = BytesMut::from(bytes);
    let head = loop {
        match head::take(&mut buffer, &mut 0, to_head)? {
            Some(head) if head.is_final() => break head,
            Some(_) => {}
            None => return Ok(None),
        }
    };
    let status = head.status.as_u16();
    if status == 101 {
        return Ok(None);
    }
    let body = match head.coding {
        Coding::Length(length) if length > buffer.len() as u64 => return Ok(None),
        Coding::Length(length) => take(&mut buffer, length).to_vec(),
        Coding::UntilClose => return Ok(None),
        Coding::Chunked(mut chunked) => {
            let mut body = Vec::new();
            loop {
                match chunked.step(&mut buffer)? {
                    Step::Data(data) => body.extend_from_slice(&data),
                    Step::Trailers(_) => {}
                    Step::End => break body,
                    Step::More => return Ok(None),
                }
            }
        }
    };
    Ok(Some(Understood { status, body, reusable: head.keep_alive && buffer.is_empty() }))
}

/// What hyper's client makes of it.
fn oracle(bytes: &[u8], to_head: bool) -> Option<Understood> {
    let method = if to_head { http::Method::HEAD } else { http::Method::GET };
    let request = Request::builder().method(method).uri("/").header("host", "x");
    let request = request.body(Empty::<Bytes>::new()).expect("a plain request");
    let mut context = Context::from_waker(Waker::noop());
    let io = TokioIo::new(Silent { rest: bytes.to_vec(), asked: false });
    let mut builder = http1::Builder::new();
    builder
        .max_headers(head::MOST_LINES)
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true);
    let mut handshake = pin!(builder.handshake(io));
    let Poll::Ready(Ok((mut sender, mut connection))) = handshake.as_mut().poll(&mut context)
    else {
        return None;
    };
    let mut exchange = pin!(async {
        let response = sender.send_request(request).await.ok()?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.ok()?.to_bytes().to_vec();
        Some((status, body))
    });
    let mut whole = None;
    for _ in 0..bytes.len() + 8 {
        let over = Pin::new(&mut connection).poll(&mut context).is_ready();
        if let Poll::Ready(end) = exchange.as_mut().poll(&mut context) {
            whole = Some(end?);
            break;
        }
        if over {
            // What was read before the connection ended is still on its way through the channel.
            if let Poll::Ready(end) = exchange.as_mut().poll(&mut context) {
                whole = Some(end?);
            }
            break;
        }
    }
    let (status, body) = whole?;
    let alive = (0..8).all(|_| Pin::new(&mut connection).poll(&mut context).is_pending());
    Some(Understood { status, body, reusable: alive })
}

/// An upstream that answers once it was asked, and then says nothing more.
struct Silent {
    rest: Vec<u8>,
    asked: bool,
}

impl AsyncRead for Silent {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.asked || self.rest.is_empty() {
            return Poll::Pending;
        }
        let count = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest.drain(..count).collect::<Vec<_>>());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Silent {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.asked = true;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
