//! HTTP/1.1 as its client side speaks it (RFC 9112): one exchange at a time on a connection, no task and no channel of its
//! own. The request's future writes and reads the socket, and the answer's body takes the socket along.
//!
//! It is read strictly where two readers could disagree on where an answer ends, because a connection is used again: what
//! is left over after an answer, a length that is none, or a coding other than chunked ends the connection.

mod chunked;
mod download;
mod early;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod head;
mod request_head;
mod upload;

pub(crate) use download::Download;
pub(crate) use early::Early;
pub(super) use request_head::{RequestHead, line};
pub(super) use upload::Upload;

use super::known::Known;
use crate::stream::Stream;
use bytes::{Buf, Bytes, BytesMut};
use head::Head;
use http::{HeaderMap, StatusCode};
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::Instant;

/// Space for one read: most answers fit with their heads.
const ROOM: usize = 8 * 1024;

/// Why there is no answer, or no more of it. No variant carries anything that the client or the upstream sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Before the first byte of an answer, as an idle connection does whose time is over.
    #[error("the connection ended before an answer came: {0}")]
    Closed(#[source] io::Error),
    #[error("the connection ended within the answer: {0}")]
    Broken(#[source] io::Error),
    /// Not even the beginning of an answer.
    #[error("what came is no HTTP")]
    Foreign,
    #[error("the answer is no HTTP: {0}")]
    NotHttp(#[source] httparse::Error),
    #[error("the head of the answer is larger than {} KiB or {} lines", head::MOST_BYTES / 1024, head::MOST_LINES)]
    TooLarge,
    #[error("the answer's Content-Length is no plain number, or there are several")]
    Length,
    #[error("the answer has a transfer coding that is not just chunked")]
    Coding,
    #[error("a chunk of the answer has no plain size or does not end where it says")]
    Chunk,
    #[error("the request broke off: {0}")]
    Request(#[source] hyper::Error),
    #[error("the request is not as long as it says")]
    RequestLength,
}

/// A connection, and what has been read from it and not been used.
pub(crate) struct Connection<S = Stream> {
    stream: S,
    buffer: BytesMut,
    /// The buffer has been larger than an idle connection should keep.
    large: bool,
    past: Past,
}

/// What decides whether a connection may be used again.
struct Past {
    origin: Arc<Known>,
    /// A request with a body went out on it, which the other side may have left unread.
    body: bool,
    /// How long the other side keeps it while it is idle, as far as it has said.
    kept_for: Option<Duration>,
}

/// What became of a connection while it was idle.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Silence {
    Kept,
    /// Closed, or given up with a 408.
    Ended,
    /// Something came that nobody had asked for.
    Broken,
}

impl Connection {
    pub(super) fn new(stream: Stream, origin: Arc<Known>) -> Self {
        let past = Past { origin, body: false, kept_for: None };
        Self { stream, buffer: BytesMut::new(), large: false, past }
    }

    /// Keeps no more than it needs to wait.
    fn rest(&mut self) {
        if self.large {
            (self.buffer, self.large) = (BytesMut::new(), false);
        }
    }

    /// Roughly what it costs to keep it, the system's part aside.
    pub(super) fn weight(&self) -> usize {
        /// The state of a TLS session with its keys and buffers.
        const TLS: usize = 24 * 1024;
        let tls = if self.stream.is_tls() { TLS } else { 0 };
        512 + tls + self.buffer.capacity()
    }

    /// The other side has said that it will be closed about now.
    pub(super) fn has_expired(&self, idle_since: Instant) -> bool {
        self.past.kept_for.is_some_and(|kept| idle_since.elapsed() >= kept)
    }

    /// It carried a body, and the other side is known to leave them unread.
    pub(super) fn is_suspect(&self) -> bool {
        self.past.body && self.past.origin.ignores_bodies()
    }

    /// Says goodbye where that is more than closing.
    pub(super) fn close(mut self) {
        if self.stream.is_tls() {
            let shutdown =
                Pin::new(&mut self.stream).poll_shutdown(&mut Context::from_waker(Waker::noop()));
            // Who does not take it now learns it from the end of the connection.
            drop(shutdown);
        }
    }

    /// Whether nobody has closed it, and nothing has come that was not asked for. Costs no system call unless something has
    /// come.
    ///
    /// An answer to nothing on a connection that carried a body is most likely one to that body: the other side left it unread,
    /// and took it for a request.
    pub(super) fn silence(&mut self) -> Silence {
        /// Enough for the status.
        const LOOK: usize = 12;
        let mut bytes = [0; LOOK];
        // A task that has used up its turn must not be told that nothing came.
        let read = pin!(tokio::task::unconstrained(self.stream.read(&mut bytes)));
        let count = match read.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending if self.buffer.is_empty() => return Silence::Kept,
            Poll::Pending => 0,
            Poll::Ready(Ok(0) | Err(_)) => return Silence::Ended,
            Poll::Ready(Ok(count)) => count,
        };
        // So do some servers announce that they close an idle connection.
        if bytes.get(..count).is_some_and(|bytes| bytes.ends_with(b" 408")) {
            return Silence::Ended;
        }
        if self.past.body {
            self.past.origin.note_ignored_body();
        }
        Silence::Broken
    }

    /// Takes the head of the final answer off what is read; interim ones are skipped, as they are hints that may get lost.
    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        reading: &mut Reading,
        to_head: bool,
    ) -> Poll<Result<Head, Error>> {
        loop {
            let before = self.buffer.len();
            match head::take(&mut self.buffer, &mut reading.scanned, to_head) {
                Ok(Some(head)) if head.is_final() => return Poll::Ready(Ok(head)),
                Ok(Some(head)) => {
                    reading.go_on |= head.status == StatusCode::CONTINUE;
                    reading.interim += before - self.buffer.len();
                    if reading.interim > head::MOST_BYTES {
                        return Poll::Ready(Err(Error::TooLarge));
                    }
                    continue;
                }
                Ok(None) => {}
                Err(Error::Foreign) if reading.interim > 0 => {
                    return Poll::Ready(Err(Error::NotHttp(httparse::Error::Version)));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
            let end = match ready!(self.poll_fill(cx, ROOM)) {
                Ok(0) => io::ErrorKind::UnexpectedEof.into(),
                Ok(_) => continue,
                Err(error) => error,
            };
            let begun = reading.interim > 0 || !self.buffer.is_empty();
            return Poll::Ready(Err(if begun { Error::Broken(end) } else { Error::Closed(end) }));
        }
    }
}

impl<S: AsyncRead + Unpin> Connection<S> {
    /// Reads on, with space for at least `room` bytes; 0 is the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        self.buffer.reserve(room);
        self.large |= self.buffer.capacity() > 2 * ROOM;
        pin!(self.stream.read_buf(&mut self.buffer)).poll(cx)
    }
}

/// Takes at most `most` bytes off what was read. A short piece of a large buffer is copied, because whoever holds it would
/// keep all of the buffer: a client that is slow to read could have many.
fn take(buffer: &mut BytesMut, most: u64) -> Bytes {
    let count = usize::try_from(most).unwrap_or(usize::MAX).min(buffer.len());
    if count * 8 > buffer.capacity() {
        return buffer.split_to(count).freeze();
    }
    let piece = Bytes::copy_from_slice(buffer.get(..count).unwrap_or_default());
    buffer.advance(count);
    piece
}

/// How far the wait for a head has come.
#[derive(Default)]
struct Reading {
    /// Bytes in which no head ends.
    scanned: usize,
    /// Bytes of interim answers that have come.
    interim: usize,
    /// The body is wanted.
    go_on: bool,
}

/// The head of an answer, and the connection from which the rest will come.
pub(super) struct Answer {
    head: Head,
    connection: Box<Connection>,
    upload: Box<Upload>,
}

/// A connection after a switch of protocols.
pub(super) struct Switched {
    pub(super) stream: Stream,
    /// What came along with the answer.
    pub(super) early: Bytes,
}

/// A request to which no answer came.
pub(super) struct Unanswered {
    error: Error,
    upload: Box<Upload>,
}

/// Sends a request and waits for its answer, which may come before all of the request is sent.
pub(super) async fn ask(
    mut connection: Box<Connection>,
    mut upload: Box<Upload>,
) -> Result<Answer, Box<Unanswered>> {
    connection.past.body |= upload.has_body();
    let mut reading = Reading::default();
    let head = poll_fn(|cx| {
        loop {
            // An upstream that takes no more may still have said why.
            if let Poll::Ready(Err(error)) = upload.poll(cx, &mut connection.stream) {
                return Poll::Ready(Err(error));
            }
            let head = connection.poll_head(cx, &mut reading, upload.is_head());
            if head.is_pending() && reading.go_on && upload.is_waiting() {
                upload.go_on();
                continue;
            }
            return head;
        }
    });
    let head = head.await;
    if upload.is_broken() && connection.stream.is_tls() {
        // It may have sent a part before it failed to send another.
        upload.set_begun();
    }
    match head {
        Ok(head) => Ok(Answer { head, connection, upload }),
        Err(error) => Err(Box::new(Unanswered { error, upload })),
    }
}

impl Answer {
    /// Something of the request was sent. If not, the answer is to nothing, like the 408 with which some give up an idle
    /// connection.
    pub(super) fn was_asked_for(&self) -> bool {
        self.upload.has_begun()
    }

    /// The request once more.
    pub(super) fn into_request(self) -> Box<Upload> {
        Box::new(self.upload.rewound())
    }

    pub(super) fn status(&self) -> StatusCode {
        self.head.status
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The whole request was sent before it came.
    pub(super) fn is_to_all(&self) -> bool {
        self.upload.is_complete()
    }

    /// The headers, and the connection that is no HTTP any more.
    pub(super) fn into_switched(self) -> (HeaderMap, Switched) {
        let Connection { stream, buffer, .. } = *self.connection;
        (self.head.headers, Switched { stream, early: buffer.freeze() })
    }

    /// The headers, the body, and the request if it is still being sent.
    pub(super) fn into_parts(self) -> (HeaderMap, Download, Option<Box<Upload>>) {
        let Head { headers, coding, keep_alive, kept_for, .. } = self.head;
        let mut connection = self.connection;
        connection.past.kept_for = kept_for.or(connection.past.kept_for);
        let keep_alive = keep_alive && self.upload.may_be_followed();
        // A body that was never asked for is not read.
        let upload = Some(self.upload).filter(|upload| upload.is_running() && !upload.is_waiting());
        (headers, Download::new(connection, coding, keep_alive), upload)
    }
}

impl Unanswered {
    /// The request once more, if sending it again can do no harm and the connection was closed, as idle ones are, or brought
    /// what is no answer, but perhaps the rest of an earlier one.
    pub(super) fn again(self) -> Result<Box<Upload>, Error> {
        match self.error {
            Error::Closed(_) | Error::Foreign if self.upload.may_be_repeated() => {
                Ok(Box::new(self.upload.rewound()))
            }
            error => Err(error),
        }
    }

    pub(super) fn error(&self) -> &Error {
        &self.error
    }

    pub(super) fn into_error(self) -> Error {
        self.error
    }
}

#[cfg(test)]
mod tests;
