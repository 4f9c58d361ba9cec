//! The chunked transfer coding of an answer (RFC 9112 section 7.1).

use super::{Error, take};
use crate::wire::{CHUNK_LINE, TRAILER_LINES, TRAILERS, chunk_size, end_of_block};
use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::{memchr, memchr_iter};

/// Where in the body the reader is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Chunked {
    #[default]
    Size,
    Data(u64),
    /// The line break after a chunk.
    DataEnd,
    Trailers,
    End,
}

/// What could be made of the bytes that have come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Data(Bytes),
    Trailers(HeaderMap),
    End,
    /// More bytes are needed.
    More,
}

impl Chunked {
    /// Takes the next piece of the body off `buffer`.
    pub(super) fn step(&mut self, buffer: &mut BytesMut) -> Result<Step, Error> {
        loop {
            *self = match *self {
                Self::Size => match size(buffer)? {
                    None => return Ok(Step::More),
                    Some(0) => Self::Trailers,
                    Some(size) => Self::Data(size),
                },
                Self::Data(_) if buffer.is_empty() => return Ok(Step::More),
                Self::Data(left) => {
                    let data = take(buffer, left);
                    let left = left - data.len() as u64;
                    *self = if left == 0 { Self::DataEnd } else { Self::Data(left) };
                    return Ok(Step::Data(data));
                }
                Self::DataEnd => match buffer.get(..2) {
                    None => return Ok(Step::More),
                    Some(b"\r\n") => {
                        buffer.advance(2);
                        Self::Size
                    }
                    Some(_) => return Err(Error::Chunk),
                },
                Self::Trailers => {
                    let Some(trailers) = trailers(buffer)? else { return Ok(Step::More) };
                    *self = Self::End;
                    if !trailers.is_empty() {
                        return Ok(Step::Trailers(trailers));
                    }
                    Self::End
                }
                Self::End => return Ok(Step::End),
            };
        }
    }
}

/// The size of a chunk, once its line is there. Some servers fill the line up with spaces.
fn size(buffer: &mut BytesMut) -> Result<Option<u64>, Error> {
    let end = memchr(b'\n', buffer);
    if end.unwrap_or(buffer.len()) > CHUNK_LINE {
        return Err(Error::Chunk);
    }
    let Some(end) = end else { return Ok(None) };
    let line = buffer.split_to(end + 1);
    let mut text = line.strip_suffix(b"\r\n").ok_or(Error::Chunk)?;
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    chunk_size(text).map(Some).ok_or(Error::Chunk)
}

/// The trailers, most often none, once they are there to their last line.
fn trailers(buffer: &mut BytesMut) -> Result<Option<HeaderMap>, Error> {
    match buffer.get(..) {
        None | Some([] | [b'\r']) => return Ok(None),
        Some([b'\r', b'\n', ..]) => {
            buffer.advance(2);
            return Ok(Some(HeaderMap::new()));
        }
        // Whoever ends lines so means the end, where others read on.
        Some([b'\n', ..]) => return Err(Error::Chunk),
        Some(_) => {}
    }
    let end = end_of_block(buffer, &mut 0);
    if end.unwrap_or(buffer.len()) > TRAILERS {
        return Err(Error::TooLarge);
    }
    let Some(end) = end else { return Ok(None) };
    let block = buffer.split_to(end);
    // Others look for whole line breaks only, and would read on.
    if memchr_iter(b'\n', &block)
        .any(|at| !block.get(..at).is_some_and(|line| line.ends_with(b"\r")))
    {
        return Err(Error::Chunk);
    }
    let mut lines = [httparse::EMPTY_HEADER; TRAILER_LINES];
    let Ok(httparse::Status::Complete((length, lines))) =
        httparse::parse_headers(&block, &mut lines)
    else {
        return Err(Error::Chunk);
    };
    // Two readers, one end.
    if length != block.len() {
        return Err(Error::Chunk);
    }
    let mut trailers = HeaderMap::with_capacity(lines.len());
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| Error::Chunk)?;
        let value = HeaderValue::from_bytes(line.value).map_err(|_| Error::Chunk)?;
        trailers.append(name, value);
    }
    Ok(Some(trailers))
}

#[cfg(test)]
mod tests;
