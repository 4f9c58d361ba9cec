//! A request on its way out.

use super::Error;
use super::request_head::{RequestHead, line};
use crate::upstream::request_body::{RequestBody, Sent};
use crate::wire::may_be_request;
use bytes::Bytes;
use http::HeaderMap;
use http_body::Body;
use http_body_util::BodyExt;
use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::AsyncWrite;
use tokio::time::{Sleep, sleep};

/// How long a head is held back for the first piece of its body, by which is judged whether the connection may be used again.
const TOGETHER: Duration = Duration::from_millis(100);
/// How long an upstream is given to say that it wants a body, before its client is asked for it anyway.
const SILENCE: Duration = Duration::from_secs(1);

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
    carries_body: bool,
    /// The connection may be used again after it.
    followed: bool,
    /// Where in the head the lines begin that concern the connection.
    hop: usize,
    /// The body is not taken from the client before the upstream has said that it wants it.
    waiting: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Complete,
    Broken,
}

impl Upload {
    /// A request with this head, which says how long the body is.
    pub(in crate::upstream) fn new(head: RequestHead, body: RequestBody) -> Self {
        let RequestHead { bytes, hop, length, to_head, idempotent } = head;
        let body = (!body.is_end_stream()).then_some(body);
        Self {
            front: bytes,
            data: Bytes::new(),
            back: b"",
            written: 0,
            begun: false,
            left: length,
            state: State::Running,
            to_head,
            repeatable: body.is_none() && idempotent,
            carries_body: body.is_some(),
            followed: true,
            hop,
            waiting: false,
            timer: None,
            body,
        }
    }

    /// Asks the other side to close the connection afterwards. Before anything is sent.
    pub(in crate::upstream) fn close_after(&mut self) {
        self.followed = false;
        self.front.truncate(self.hop);
        self.front.extend_from_slice(b"Connection: close\r\n\r\n");
    }

    /// Nothing may follow it on its connection, as this is bound to somebody.
    pub(in crate::upstream) fn be_last(&mut self) {
        self.followed = false;
    }

    /// Leaves the body with the client until the upstream has said that it wants it, or has said nothing for a while.
    pub(in crate::upstream) fn wait_for_continue(&mut self) {
        self.waiting = self.carries_body;
    }

    /// The upstream wants the body.
    pub(super) fn go_on(&mut self) {
        self.waiting = false;
        self.timer = None;
    }

    /// The client has not been asked for the body.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// It has, or had, a body.
    pub(super) fn has_body(&self) -> bool {
        self.carries_body
    }

    /// Others may use its connection after it.
    pub(super) fn may_be_followed(&self) -> bool {
        self.followed && !self.is_broken()
    }

    /// Another try is harmless whatever became of the first.
    pub(in crate::upstream) fn is_repeatable(&self) -> bool {
        self.repeatable
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

    /// Something of it was sent.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
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
            let more = if self.waiting { Poll::Pending } else { self.poll_more(cx)? };
            if self.holds_back(cx, more.is_pending()) {
                return Poll::Pending;
            }
            let sent = if self.unsent() > 0 {
                ready!(self.poll_write(cx, stream))
            } else {
                let flushed = ready!(Pin::new(&mut *stream).poll_flush(cx));
                if flushed.is_ok() {
                    if self.waiting {
                        ready!(self.poll_timer(cx, SILENCE));
                        self.waiting = false;
                        continue;
                    }
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

    /// Whether the head waits for the body's first bytes. A head that has to go without them asks for the connection to be
    /// closed, because nothing is known of what will follow.
    fn holds_back(&mut self, cx: &mut Context<'_>, nothing_came: bool) -> bool {
        if self.begun || !nothing_came || !self.followed {
            return false;
        }
        if !self.waiting && self.poll_timer(cx, TOGETHER).is_pending() {
            return true;
        }
        self.close_after();
        false
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>, time: Duration) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(time)));
        ready!(timer.as_mut().poll(cx));
        self.timer = None;
        Poll::Ready(())
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
            Some(Ok(data)) => {
                if !self.begun && self.followed && may_be_request(&data, last) {
                    self.close_after();
                }
                self.put(data, last)?;
            }
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
            for (name, value) in trailers {
                line(&mut self.front, name, value.as_bytes());
            }
            self.front.extend_from_slice(b"\r\n");
        }
    }

    /// A body that ends before its length would leave the other side waiting, and then reading the next request as its rest.
    fn check_end(&self) -> Result<(), Error> {
        let short = self.body.is_none() && self.left.is_some_and(|left| left > 0);
        if short { Err(Error::RequestLength) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
