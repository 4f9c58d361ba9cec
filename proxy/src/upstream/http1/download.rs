//! The body of an answer on its way in.

use super::chunked::{Chunked, Step};
use super::head::Coding;
use super::{Connection, Error, ROOM, take};
use crate::pace;
use crate::stream::Stream;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncRead;

/// Space for one read of a long body: the fewer reads, the cheaper it is.
const LARGEST_ROOM: usize = 256 * 1024;

/// Reads a body off the connection, no faster than it is asked for.
pub(crate) struct Download<S = Stream> {
    connection: Box<Connection<S>>,
    coding: Coding,
    keep_alive: bool,
    room: usize,
}

impl Download {
    pub(super) fn new(connection: Box<Connection>, coding: Coding, keep_alive: bool) -> Self {
        Self { connection, coding, keep_alive, room: ROOM }
    }

    /// Nobody else may use the connection afterwards.
    pub(in crate::upstream) fn be_last(&mut self) {
        self.keep_alive = false;
    }

    /// All of the body, if it came with the head.
    pub(crate) fn take_whole(&mut self) -> Option<Bytes> {
        let Coding::Length(left) = &mut self.coding else { return None };
        let length = usize::try_from(*left).ok()?;
        if length > self.connection.buffer.len() {
            return None;
        }
        *left = 0;
        Some(self.connection.buffer.split_to(length).freeze())
    }

    /// The connection, if the body has ended and others may use it.
    pub(crate) fn into_idle(mut self) -> Option<Box<Connection>> {
        if self.keep_alive && self.coding.has_ended() && self.connection.buffer.is_empty() {
            self.connection.rest();
            return Some(self.connection);
        }
        self.connection.close();
        None
    }

    /// Lets the connection be written to while it is read here.
    pub(super) fn split(
        self,
    ) -> (Download<tokio::io::ReadHalf<Stream>>, tokio::io::WriteHalf<Stream>) {
        let Self { connection, coding, keep_alive, room } = self;
        let Connection { stream, buffer, large, past } = *connection;
        let (stream, writer) = tokio::io::split(stream);
        let connection = Box::new(Connection { stream, buffer, large, past });
        (Download { connection, coding, keep_alive, room }, writer)
    }
}

impl Coding {
    fn has_ended(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunked::End))
    }
}

impl<S: AsyncRead + Unpin> Download<S> {
    /// Reads more of a body that must not end here.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(match ready!(self.poll_fill(cx)) {
            Ok(0) => Err(Error::Broken(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => Ok(()),
            Err(error) => Err(Error::Broken(error)),
        })
    }

    /// Grows the space as long as it is filled.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let room = match self.coding {
            Coding::Length(left) => {
                usize::try_from(left).unwrap_or(usize::MAX).clamp(ROOM, self.room.max(64 * 1024))
            }
            _ => self.room,
        };
        let room = room.min(pace::share());
        let count = ready!(self.connection.poll_fill(cx, room));
        if matches!(count, Ok(count) if count >= room) {
            self.room = (room * 2).min(LARGEST_ROOM);
        }
        Poll::Ready(count)
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<Step, Error>> {
        loop {
            let Coding::Chunked(chunked) = &mut self.coding else {
                return Poll::Ready(Ok(Step::End));
            };
            match chunked.step(&mut self.connection.buffer)? {
                Step::More => ready!(self.poll_more(cx))?,
                step => return Poll::Ready(Ok(step)),
            }
        }
    }
}

impl<S: AsyncRead + Unpin> Body for Download<S> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let frame = match this.coding {
            Coding::Length(0) => None,
            Coding::Length(left) => {
                if this.connection.buffer.is_empty() {
                    ready!(this.poll_more(cx))?;
                }
                let data = take(&mut this.connection.buffer, left);
                this.coding = Coding::Length(left - data.len() as u64);
                Some(Frame::data(data))
            }
            Coding::Chunked(_) => match ready!(this.poll_step(cx))? {
                Step::Data(data) => Some(Frame::data(data)),
                Step::Trailers(trailers) => Some(Frame::trailers(trailers)),
                Step::End | Step::More => None,
            },
            Coding::UntilClose => {
                if this.connection.buffer.is_empty() {
                    ready!(this.poll_fill(cx)).map_err(Error::Broken)?;
                }
                let data = take(&mut this.connection.buffer, u64::MAX);
                (!data.is_empty()).then(|| Frame::data(data))
            }
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.coding.has_ended()
    }

    fn size_hint(&self) -> SizeHint {
        match self.coding {
            Coding::Length(left) => SizeHint::with_exact(left),
            _ => SizeHint::default(),
        }
    }
}
