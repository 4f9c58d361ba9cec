//! Where each request on an HTTP/1 connection begins and ends, read more strictly than the parser behind it, so that no
//! other reader in front of us or behind us can see a different boundary (RFC 9112 sections 2.2, 3.2, 5.1, 6.3, 11.2).
//!
//! It sees every byte before the parser does and changes none. What it has no opinion on, such as the characters of a
//! method or of a header's value, the parser refuses by itself.

mod partial;

use crate::wire::{CHUNK_LINE, TRAILER_LINES, TRAILERS, chunk_size, is_token, plain_number};
use memchr::memchr;
use partial::Partial;

/// No line that says how long a request is needs more.
const LONGEST_LENGTH: usize = 256;

/// Why a connection is closed with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub(crate) enum Violation {
    #[error("a line ends without carriage return")]
    BareLineFeed = 1,
    #[error("a header is folded over several lines")]
    Folded,
    #[error("a header line has no name, or space before its colon")]
    BadName,
    #[error("more than one Content-Length, or one that is no plain number")]
    Length,
    #[error(
        "a Transfer-Encoding that is not just chunked, or that comes with a Content-Length or HTTP/1.0"
    )]
    TransferEncoding,
    #[error("no Host or more than one")]
    Host,
    #[error("a chunk has no plain size or does not end where it says")]
    Chunk,
    #[error("the head of the request is too large")]
    TooLarge,
    #[error("the target has a fragment")]
    Fragment,
}

/// The reader of one connection.
#[derive(Debug)]
pub(crate) struct Framing {
    state: State,
    partial: Partial,
    max_head: usize,
    /// See [`Framing::whole`].
    whole: usize,
    /// See [`Framing::requests`].
    requests: u32,
    /// See [`Framing::asks`].
    asks: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Between requests. A client may send one empty line too many.
    Start {
        skipped: bool,
    },
    Head(RequestHead),
    Body(u64),
    ChunkSize,
    ChunkData(u64),
    /// The line break after a chunk; how much of it has come.
    ChunkEnd,
    Trailers {
        size: usize,
        lines: usize,
    },
}

#[derive(Clone, Copy, Debug)]
struct RequestHead {
    size: usize,
    http11: bool,
    host: bool,
    chunked: bool,
    length: Option<u64>,
    upgrade: bool,
}

impl Framing {
    /// A reader that takes heads of up to `max_head` bytes.
    pub(crate) fn new(max_head: usize) -> Self {
        Self {
            state: State::START,
            partial: Partial::default(),
            max_head,
            whole: 0,
            requests: 0,
            asks: false,
        }
    }

    /// No request has begun that has not also ended.
    pub(super) fn at_start(&self) -> bool {
        matches!(self.state, State::Start { .. }) && self.partial.is_empty()
    }

    /// How many requests have come whole; it wraps.
    pub(super) fn requests(&self) -> u32 {
        self.requests
    }

    /// The last request asks for another protocol. What follows is HTTP only if that is not granted, so nothing is read until
    /// [`Framing::go_on`].
    pub(crate) fn asks(&self) -> bool {
        self.asks
    }

    /// No other protocol was granted.
    pub(crate) fn go_on(&mut self) {
        self.asks = false;
    }

    /// A request's head has come, and its body is coming.
    pub(super) fn in_body(&self) -> bool {
        !matches!(self.state, State::Start { .. } | State::Head(_))
    }

    /// How many of the bytes that were fed last belong to requests that have ended.
    pub(super) fn whole(&self) -> usize {
        self.whole
    }

    /// Reads on, and tells how many of the bytes were read: all, but for what follows a request that [asks](Self::asks). After an
    /// error the connection is of no more use.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<usize, Violation> {
        let (all, mut bytes) = (bytes.len(), bytes);
        self.whole = 0;
        while !bytes.is_empty() && !self.asks {
            let under_way = !matches!(self.state, State::Start { .. });
            bytes =
                match self.state {
                    State::Body(left) => self.skip(bytes, left, |left| {
                        if left == 0 { State::START } else { State::Body(left) }
                    }),
                    State::ChunkData(left) => self.skip(bytes, left, |left| {
                        if left == 0 { State::ChunkEnd } else { State::ChunkData(left) }
                    }),
                    _ => self.line_of(bytes)?,
                };
            if self.at_start() {
                self.whole = all - bytes.len();
                self.requests = self.requests.wrapping_add(u32::from(under_way));
            }
        }
        Ok(all - bytes.len())
    }

    fn skip<'a>(&mut self, bytes: &'a [u8], left: u64, next: impl Fn(u64) -> State) -> &'a [u8] {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        self.state = next(left - count as u64);
        bytes.get(count..).unwrap_or_default()
    }

    /// Takes one line, or what there is of it, off `bytes`.
    fn line_of<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Violation> {
        let Some(end) = memchr(b'\n', bytes) else {
            self.bounded(bytes.len())?;
            // What is to be read in full is bounded more tightly.
            let in_head = matches!(self.state, State::Start { .. } | State::Head(_));
            self.partial.push(bytes, in_head);
            return Ok(&[]);
        };
        let (line, rest) = bytes.split_at_checked(end + 1).unwrap_or((bytes, &[]));
        self.bounded(line.len())?;
        if self.partial.is_empty() {
            self.line(line, line.len(), false)?;
        } else {
            let mut whole = std::mem::take(&mut self.partial);
            whole.end(line);
            self.line(whole.text(), whole.len(), whole.has_fragment())?;
        }
        Ok(rest)
    }

    fn bounded(&self, more: usize) -> Result<(), Violation> {
        let length = self.partial.len() + more;
        match self.state {
            State::Head(head) if head.size + length > self.max_head => Err(Violation::TooLarge),
            State::Start { .. } if length > self.max_head => Err(Violation::TooLarge),
            State::ChunkSize if length > CHUNK_LINE => Err(Violation::Chunk),
            State::ChunkEnd if length > 2 => Err(Violation::Chunk),
            State::Trailers { size, lines }
                if size + length > TRAILERS || lines > TRAILER_LINES =>
            {
                Err(Violation::TooLarge)
            }
            _ => Ok(()),
        }
    }

    /// `length`: of the line, of which less may be there; `fragment`: the part that is not there has one.
    fn line(&mut self, line: &[u8], length: usize, fragment: bool) -> Result<(), Violation> {
        let text = line.strip_suffix(b"\r\n").ok_or(Violation::BareLineFeed)?;
        self.state = match self.state {
            State::Start { skipped } => match (text.is_empty(), skipped) {
                (true, true) => return Err(Violation::BareLineFeed),
                (true, false) => State::Start { skipped: true },
                (false, _) if fragment => return Err(Violation::Fragment),
                (false, _) => State::Head(RequestHead::begin(text, length)?),
            },
            State::Head(head) if text.is_empty() => {
                let next = head.end()?;
                self.asks = head.http11 && head.upgrade && matches!(next, State::Start { .. });
                next
            }
            State::Head(head) => State::Head(head.line(text, length)?),
            State::ChunkSize => match chunk_size(text).ok_or(Violation::Chunk)? {
                0 => State::Trailers { size: 0, lines: 0 },
                size => State::ChunkData(size),
            },
            State::ChunkEnd if text.is_empty() => State::ChunkSize,
            State::ChunkEnd => return Err(Violation::Chunk),
            State::Trailers { .. } if text.is_empty() => State::START,
            State::Trailers { size, lines } => {
                trailer(text)?;
                State::Trailers { size: size + length, lines: lines + 1 }
            }
            state @ (State::Body(_) | State::ChunkData(_)) => state,
        };
        Ok(())
    }
}

impl State {
    const START: Self = Self::Start { skipped: false };
}

impl RequestHead {
    /// The parser would drop a fragment, and what others make of one nobody knows (RFC 9112 section 3.2 has none).
    fn begin(request_line: &[u8], size: usize) -> Result<Self, Violation> {
        let target = memchr(b' ', request_line).and_then(|at| request_line.get(at..));
        if target.is_some_and(|target| memchr(b'#', target).is_some()) {
            return Err(Violation::Fragment);
        }
        let http11 = !request_line.ends_with(b" HTTP/1.0");
        Ok(Self { size, http11, host: false, chunked: false, length: None, upgrade: false })
    }

    /// Only headers that decide where the request ends, what follows it, or whom it is for, are looked at.
    fn line(mut self, text: &[u8], size: usize) -> Result<Self, Violation> {
        self.size += size;
        match text.first() {
            Some(b'c' | b'C') => {
                if let Some(value) = value_of(text, b"content-length")? {
                    let length = plain_number(value).ok_or(Violation::Length)?;
                    if size > LONGEST_LENGTH || self.length.replace(length).is_some() {
                        return Err(Violation::Length);
                    }
                }
            }
            Some(b't' | b'T') => {
                if let Some(value) = value_of(text, b"transfer-encoding")? {
                    if size > LONGEST_LENGTH
                        || self.chunked
                        || !value.eq_ignore_ascii_case(b"chunked")
                    {
                        return Err(Violation::TransferEncoding);
                    }
                    self.chunked = true;
                }
            }
            Some(b'h' | b'H') => {
                if value_of(text, b"host")?.is_some() {
                    if self.host {
                        return Err(Violation::Host);
                    }
                    self.host = true;
                }
            }
            Some(b'u' | b'U') => self.upgrade |= value_of(text, b"upgrade")?.is_some(),
            _ => unfolded(text)?,
        }
        Ok(self)
    }

    fn end(self) -> Result<State, Violation> {
        if self.http11 && !self.host {
            return Err(Violation::Host);
        }
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Violation::TransferEncoding),
            (true, None) if !self.http11 => Err(Violation::TransferEncoding),
            (true, None) => Ok(State::ChunkSize),
            (false, None | Some(0)) => Ok(State::START),
            (false, Some(length)) => Ok(State::Body(length)),
        }
    }
}

fn unfolded(text: &[u8]) -> Result<(), Violation> {
    match text.first() {
        Some(b' ' | b'\t') => Err(Violation::Folded),
        Some(b':') => Err(Violation::BadName),
        _ => Ok(()),
    }
}

/// A field of a trailer. The parser would see what is wrong with it too, but only as a body that broke off, for which the
/// upstream would be blamed.
fn trailer(text: &[u8]) -> Result<(), Violation> {
    unfolded(text)?;
    let end = memchr(b':', text).ok_or(Violation::BadName)?;
    let (name, value) = text.split_at_checked(end).ok_or(Violation::BadName)?;
    let is_text = |byte: &u8| !byte.is_ascii_control() || *byte == b'\t';
    if name.iter().copied().all(is_token) && value.iter().all(is_text) {
        Ok(())
    } else {
        Err(Violation::BadName)
    }
}

/// The value, if this line is the header `name`; an error if it is so but for space before the colon.
fn value_of<'a>(text: &'a [u8], name: &[u8]) -> Result<Option<&'a [u8]>, Violation> {
    let Some((start, rest)) = text.split_at_checked(name.len()) else { return Ok(None) };
    if !start.eq_ignore_ascii_case(name) {
        return Ok(None);
    }
    match rest {
        [b':', value @ ..] => Ok(Some(value.trim_ascii())),
        [b' ' | b'\t', ..] | [] => Err(Violation::BadName),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
