//! A request on its way out.

use super::Error;
use crate::upstream::request_body::{RequestBody, Sent};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use http::{Method, Request, Uri};
use http_body::Body;
use http_body_util::BodyExt;
use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// A request, as far as it has not been sent. Its head is written once and kept, so that it can be sent again.
pub(in crate::upstream) struct Upload {
    /// The head, and later what goes before the next piece of the body or after the last.
    front: Vec<u8>,
    /// A piece of the body.
    data: Bytes,
    /// What goes after it.
    back: &'static [u8],
    /// How many bytes of these three have been sent.
    written: usize,
    /// Anything at all has been sent.
    begun: bool,
    /// Where the rest of the body comes from.
    body: Option<RequestBody>,
    /// How long that is; unknown if chunked.
    left: Option<u64>,
    state: State,
    to_head: bool,
    repeatable: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Complete,
    Broken,
}

impl Upload {
    /// Writes the head. The body is chunked if there is a `Transfer-Encoding`, and else as long as `Content-Length` says.
    pub(in crate::upstream) fn new(request: Request<RequestBody>) -> Self {
        let (parts, body) = request.into_parts();
        let body = (!body.is_end_stream()).then_some(body);
        let chunked = parts.headers.contains_key(TRANSFER_ENCODING);
        Self {
            front: head(&parts.method, &parts.uri, &parts.headers),
            data: Bytes::new(),
            back: b"",
            written: 0,
            begun: false,
            left: (!chunked).then(|| length(&parts.headers)),
            state: State::Running,
            to_head: parts.method == Method::HEAD,
            // RFC 9110 section 9.2.2.
            repeatable: body.is_none() && parts.method.is_idempotent(),
            body,
        }
    }

    /// Tells when its last byte has been taken from the client.
    pub(in crate::upstream) fn sent(&self) -> Sent {
        self.body.as_ref().map(RequestBody::sent).unwrap_or_default()
    }

    /// It is a HEAD, whose answer has no body.
    pub(super) fn is_head(&self) -> bool {
        self.to_head
    }

    /// There is more to send.
    pub(super) fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// All of it is sent.
    pub(super) fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// The other side took no more.
    pub(super) fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    /// More of it may have been sent than was told.
    pub(super) fn set_begun(&mut self) {
        self.begun = true;
    }

    /// The other side took nothing of it.
    pub(super) fn is_unsent(&self) -> bool {
        self.is_broken() && !self.begun
    }

    /// Another try can do no harm: nothing has been sent, or the method may be repeated.
    pub(super) fn may_be_repeated(&self) -> bool {
        !self.begun || self.repeatable
    }

    /// The same request, not sent.
    pub(super) fn rewound(mut self) -> Self {
        (self.written, self.begun, self.state) = (0, false, State::Running);
        self
    }

    /// Throws away what the client still sends.
    pub(super) async fn discard(self) {
        let Some(mut body) = self.body else { return };
        while let Some(Ok(_)) = body.frame().await {}
    }

    /// Sends what can be sent. Ready when nothing will follow: all of it is sent, or the other side takes no more.
    ///
    /// # Errors
    /// The client did not send what it announced.
    pub(super) fn poll<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut W,
    ) -> Poll<Result<(), Error>> {
        while self.is_running() {
            let more = self.poll_more(cx)?;
            let sent = if self.unsent() > 0 {
                ready!(self.poll_write(cx, stream))
            } else {
                let flushed = ready!(Pin::new(&mut *stream).poll_flush(cx));
                if flushed.is_ok() {
                    ready!(more);
                    // A piece may have been empty: only the end of the body is the end.
                    if self.body.is_none() {
                        self.state = State::Complete;
                    }
                }
                flushed
            };
            if sent.is_err() {
                self.state = State::Broken;
                if self.begun {
                    // Nobody wants the rest, and whoever waits for its end need not.
                    self.body = None;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn unsent(&self) -> usize {
        self.front.len() + self.data.len() + self.back.len() - self.written
    }

    fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut W,
    ) -> Poll<io::Result<()>> {
        let mut sent = self.written;
        let slices = [&self.front, &self.data[..], self.back].map(|part| {
            let gone = sent.min(part.len());
            sent -= gone;
            IoSlice::new(part.get(gone..).unwrap_or_default())
        });
        let stream = Pin::new(stream);
        let count = if self.data.is_empty() && self.back.is_empty() {
            ready!(stream.poll_write(cx, &slices[0]))?
        } else {
            ready!(stream.poll_write_vectored(cx, &slices))?
        };
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.begun = true;
        self.written += count;
        Poll::Ready(Ok(()))
    }

    /// Takes the next piece of the body if there is place for it: the first goes along with the head. Pending: the client
    /// has not sent it.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let all_sent = self.unsent() == 0;
        let only_head = self.written == 0 && self.data.is_empty() && self.back.is_empty();
        let Some(body) = self.body.as_mut().filter(|_| all_sent || only_head) else {
            return Poll::Ready(self.check_end());
        };
        let frame =
            ready!(Pin::new(&mut *body).poll_frame(cx)).transpose().map_err(Error::Request)?;
        let last = body.is_end_stream();
        if all_sent {
            self.front.clear();
            (self.data, self.back, self.written) = (Bytes::new(), b"", 0);
        }
        match frame.map(http_body::Frame::into_data) {
            Some(Ok(data)) => self.put(data, last)?,
            Some(Err(frame)) => self.put_end(&frame.into_trailers().unwrap_or_default()),
            None => self.put_end(&HeaderMap::new()),
        }
        Poll::Ready(self.check_end())
    }

    fn put(&mut self, data: Bytes, last: bool) -> Result<(), Error> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(data.len() as u64).ok_or(Error::RequestLength)?;
            self.data = data;
        } else if !data.is_empty() {
            // Writing to a vector can not fail.
            let _ = write!(self.front, "{:x}\r\n", data.len());
            self.data = data;
            self.back = b"\r\n";
        }
        if last {
            if self.left.is_some() {
                self.body = None;
            } else if self.data.is_empty() {
                self.put_end(&HeaderMap::new());
            } else {
                self.back = b"\r\n0\r\n\r\n";
                self.body = None;
            }
        }
        Ok(())
    }

    fn put_end(&mut self, trailers: &HeaderMap) {
        self.body = None;
        if self.left.is_none() {
            self.front.extend_from_slice(b"0\r\n");
            lines(&mut self.front, trailers);
            self.front.extend_from_slice(b"\r\n");
        }
    }

    /// A body that ends before its length would leave the other side waiting, and then reading the next request as its rest.
    fn check_end(&self) -> Result<(), Error> {
        let short = self.body.is_none() && self.left.is_some_and(|left| left > 0);
        if short { Err(Error::RequestLength) } else { Ok(()) }
    }
}

fn length(headers: &HeaderMap) -> u64 {
    let length = headers.get(CONTENT_LENGTH);
    length.map_or(0, |length| {
        length.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX)
    })
}

/// The head of a request in origin form.
fn head(method: &Method, target: &Uri, headers: &HeaderMap) -> Vec<u8> {
    let target = target.path_and_query().map_or("/", |target| target.as_str());
    let lengths = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    let mut head =
        Vec::with_capacity(method.as_str().len() + target.len() + lengths.sum::<usize>() + 32);
    head.extend_from_slice(method.as_str().as_bytes());
    head.push(b' ');
    if target.starts_with('?') {
        head.push(b'/');
    }
    head.extend_from_slice(target.as_bytes());
    head.extend_from_slice(b" HTTP/1.1\r\n");
    lines(&mut head, headers);
    head.extend_from_slice(b"\r\n");
    head
}

fn lines(text: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests;
