//! A bound on what a Redis server may make us keep: replies pass by here on their way to the library, which collects a
//! whole reply before anybody sees it. Only the lengths that a reply announces are read (RESP2).

use super::MAX_RECORD;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Longest line: a status, an error, a number.
const MAX_LINE: usize = 16 << 10;
/// Most members of an array. None of our commands is answered by one.
const MAX_MEMBERS: usize = 16;
/// How the error begins by which whoever waits for the reply knows it again.
pub(super) const TOO_LONG: &str = "a reply of Redis is longer than";

/// A connection whose replies are bounded. One that is longer breaks it: the rest would have to be read.
pub(super) struct Guard<S> {
    inner: S,
    state: State,
}

/// Where in a reply the next byte is.
#[derive(Clone, Copy)]
enum State {
    /// At its beginning.
    Start,
    /// In its first line: its kind, the length of the line so far, and the number in it.
    Line { kind: u8, length: usize, number: Option<usize> },
    /// In the text after that line; so many bytes are to come.
    Body(usize),
}

impl<S> Guard<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, state: State::Start }
    }
}

impl State {
    /// The state after more bytes of replies.
    ///
    /// # Errors
    /// A reply is too long, or none of the protocol.
    fn after(mut self, mut bytes: &[u8]) -> io::Result<Self> {
        while let Some((&byte, rest)) = bytes.split_first() {
            self = match self {
                Self::Body(left) => {
                    let taken = left.min(bytes.len());
                    bytes = bytes.get(taken..).unwrap_or_default();
                    self = if left == taken { Self::Start } else { Self::Body(left - taken) };
                    continue;
                }
                Self::Start if b"+-:$*".contains(&byte) => {
                    Self::Line { kind: byte, length: 0, number: Some(0) }
                }
                Self::Start => return Err(malformed("an unknown kind of reply")),
                Self::Line { kind, number, .. } if byte == b'\n' => after_line(kind, number)?,
                Self::Line { length: MAX_LINE.., .. } => {
                    return Err(malformed("a line without end"));
                }
                Self::Line { kind, length, number } => Self::Line {
                    kind,
                    length: length + 1,
                    number: match byte {
                        b'0'..=b'9' => number
                            .map(|n| n.saturating_mul(10).saturating_add(usize::from(byte - b'0'))),
                        b'\r' => number,
                        // -1: there is nothing.
                        _ => None,
                    },
                },
            };
            bytes = rest;
        }
        Ok(self)
    }
}

fn after_line(kind: u8, number: Option<usize>) -> io::Result<State> {
    match (kind, number) {
        (b'$', Some(length)) if length > MAX_RECORD => {
            let text = format!("{TOO_LONG} {MAX_RECORD} bytes");
            Err(io::Error::new(io::ErrorKind::InvalidData, text))
        }
        (b'$', Some(length)) => Ok(State::Body(length + 2)),
        (b'*', Some(MAX_MEMBERS..)) => Err(malformed("a long array")),
        _ => Ok(State::Start),
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("Redis answers with {what}"))
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        self.state = self.state.after(buffer.filled().get(before..).unwrap_or_default())?;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(bytes: &[u8]) -> Result<State, String> {
        State::Start.after(bytes).map_err(|error| error.to_string())
    }

    #[test]
    fn replies_of_the_protocol_pass_however_they_are_cut() {
        let replies = b"+OK\r\n-ERR no\r\n:17\r\n$-1\r\n$0\r\n\r\n$5\r\n+$*\r\n\r\n*2\r\n$1\r\na\r\n:1\r\n*-1\r\n";
        assert!(matches!(state(replies), Ok(State::Start)));
        for cut in 0..replies.len() {
            let (first, second) = replies.split_at(cut);
            let after = state(first).unwrap().after(second);
            assert!(matches!(after, Ok(State::Start)), "{cut}");
        }
    }

    #[test]
    fn a_reply_that_announces_too_much_is_refused_before_it_comes() {
        let (most, more) = (format!("${MAX_RECORD}\r\n"), format!("${}\r\n", MAX_RECORD + 1));
        assert!(matches!(state(most.as_bytes()), Ok(State::Body(_))));
        assert!(state(more.as_bytes()).err().unwrap().starts_with(TOO_LONG));
        assert!(state(b"$99999999999999999999999999\r\n").is_err());
        assert!(state(b"*1000\r\n").is_err());
        assert!(state(b"HTTP/1.1 400 Bad Request\r\n").is_err());
        assert!(state(&[&b"+"[..], &vec![b'x'; 2 * MAX_LINE]].concat()).is_err());
    }
}
