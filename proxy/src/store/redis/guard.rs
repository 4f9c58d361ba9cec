//! A bound on what a Redis server may make us keep: replies pass by here on their way to the library, which collects a
//! whole reply before anybody sees it. Only the lengths that a reply announces are read (RESP2).

use super::MAX_RECORD;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Longest line: a status, an error, a number.
const MAX_LINE: usize = 16 << 10;
/// How the error begins by which whoever waits for the reply knows it again.
pub(super) const TOO_LONG: &str = "a reply of Redis is longer than";

/// A connection whose replies are bounded. One that is longer breaks it: the rest would have to be read.
pub(super) struct Guard<S> {
    inner: S,
    state: State,
}

/// Where in a reply the next byte is. Stricter than the library in what makes a line and a length: where this takes one for
/// ended that the library does not, a reply has no bound.
#[derive(Clone, Copy)]
pub(super) enum State {
    /// At its beginning.
    Start,
    /// In its first line.
    Line(FirstLine),
    /// That line must end with the next byte.
    End(FirstLine),
    /// In the text after that line; so many bytes are to come.
    Body(usize),
}

#[derive(Clone, Copy)]
pub(super) struct FirstLine {
    /// Its first byte.
    kind: u8,
    /// How much of it has come since.
    length: usize,
    /// The length of the text that follows; `None` in place of one that is less than nothing.
    number: Option<usize>,
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
    /// A reply is too long, or none of those that our commands have: an array, which no bound of its parts bounds, is none.
    pub(super) fn after(mut self, mut bytes: &[u8]) -> io::Result<Self> {
        while let Some((&byte, rest)) = bytes.split_first() {
            self = match self {
                Self::Body(left) => {
                    let taken = left.min(bytes.len());
                    bytes = bytes.get(taken..).unwrap_or_default();
                    self = if left == taken { Self::Start } else { Self::Body(left - taken) };
                    continue;
                }
                Self::Start if b"+-:$".contains(&byte) => {
                    Self::Line(FirstLine { kind: byte, length: 0, number: Some(0) })
                }
                Self::Start => return Err(malformed("an unknown kind of reply")),
                Self::Line(line) => line.with(byte)?,
                Self::End(line) if byte == b'\n' => line.end()?,
                Self::End(_) => return Err(malformed("half an end of a line")),
            };
            bytes = rest;
        }
        Ok(self)
    }
}

impl FirstLine {
    fn with(mut self, byte: u8) -> io::Result<State> {
        match byte {
            b'\r' => return Ok(State::End(self)),
            b'\n' => return Err(malformed("half an end of a line")),
            _ if self.length == MAX_LINE => return Err(malformed("a line without end")),
            _ => {}
        }
        if self.kind == b'$' {
            self.number = match (byte, self.number) {
                (b'0'..=b'9', Some(number)) => {
                    Some(number.saturating_mul(10).saturating_add(usize::from(byte - b'0')))
                }
                (b'-', Some(_)) if self.length == 0 => None,
                (b'1', None) if self.length == 1 => None,
                _ => return Err(malformed("a length that is none")),
            };
        }
        self.length += 1;
        Ok(State::Line(self))
    }

    fn end(self) -> io::Result<State> {
        match (self.kind, self.number, self.length) {
            (b'$', Some(_), 0) | (b'$', None, 1) => Err(malformed("a length that is none")),
            (b'$', Some(length), _) if length > MAX_RECORD => {
                let text = format!("{TOO_LONG} {MAX_RECORD} bytes");
                Err(io::Error::new(io::ErrorKind::InvalidData, text))
            }
            (b'$', Some(length), _) => Ok(State::Body(length + 2)),
            _ => Ok(State::Start),
        }
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
        let replies =
            b"+OK\r\n-ERR no\r\n:17\r\n$-1\r\n$0\r\n\r\n$5\r\n+$*\r\n\r\n+\r\n$05\r\nabcde\r\n";
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
        assert!(
            matches!(state(most.as_bytes()), Ok(State::Body(length)) if length == MAX_RECORD + 2)
        );
        assert!(state(more.as_bytes()).err().unwrap().starts_with(TOO_LONG));
        assert!(state(b"$99999999999999999999999999\r\n").is_err());
        assert!(state(b"HTTP/1.1 400 Bad Request\r\n").is_err());
        let line = [&b"+"[..], &vec![b'x'; MAX_LINE]].concat();
        assert!(matches!(state(&[&line[..], b"\r\n"].concat()), Ok(State::Start)));
        assert!(state(&[&line[..], b"x"].concat()).is_err());
    }

    /// The library reads on where another reader would take the line for ended, or a length for none: what comes then would
    /// be one reply for it and many for us.
    #[test]
    fn what_has_an_end_for_us_has_one_for_the_library() {
        for reply in [
            &b"+\n"[..],
            b"+a\rb\r\n",
            b"+\r\r\n",
            b":1\n",
            b"$5\n",
            b"$ 5\r\n",
            b"$+5\r\n",
            b"$5 \r\n",
            b"$\r\n",
            b"$-\r\n",
            b"$-0\r\n",
            b"$-11\r\n",
            b"$-2\r\n",
            b"$5-\r\n",
            b"*1\r\n",
            b"*-1\r\n",
            b"%1\r\n",
        ] {
            assert!(state(reply).is_err(), "{}", reply.escape_ascii());
        }
    }
}
