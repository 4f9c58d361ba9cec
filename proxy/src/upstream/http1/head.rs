//! The head of an answer, and where its body ends.

use super::Error;
use super::chunked::Chunked;
use crate::upstream::headers::{has_token, tokens};
use crate::wire::{end_of_block, plain_number};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::{
    AGE, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE, ETAG,
    EXPIRES, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED, LOCATION, SERVER, SET_COOKIE,
    TRANSFER_ENCODING, VARY,
};
use httparse::{Header, ParserConfig, Response, Status};
use std::borrow::Cow;
use std::mem::MaybeUninit;
use std::time::Duration;

/// Largest head.
pub(super) const MOST_BYTES: usize = 256 * 1024;
/// Most header lines.
pub(super) const MOST_LINES: usize = 1000;
/// Lines for which there is room without asking for memory.
const USUAL_LINES: usize = 64;
/// Lines that we most often add, for which the answer's headers need not grow.
const OURS: usize = 2;

pub(super) struct Head {
    pub(super) status: StatusCode,
    /// Of equal lengths only one is left, and none beside a coding: the next reader may not choose as we do.
    pub(super) headers: HeaderMap,
    pub(super) coding: Coding,
    /// The connection can be used again when the body has ended.
    pub(super) keep_alive: bool,
    /// How long it may be idle, by what `Keep-Alive` says, less the time for a request to arrive.
    pub(super) kept_for: Option<Duration>,
}

/// How the end of a body is found (RFC 9112 section 6.3).
pub(super) enum Coding {
    /// So many bytes are left.
    Length(u64),
    Chunked(Chunked),
    /// It ends when the connection does.
    UntilClose,
}

impl Head {
    pub(super) fn is_final(&self) -> bool {
        !self.status.is_informational() || self.status == StatusCode::SWITCHING_PROTOCOLS
    }
}

/// Takes a head off the bytes if all of it has come. `scanned`: how many of them are known to end none. `to_head`: the
/// request was a HEAD.
pub(super) fn take(
    buffer: &mut BytesMut,
    scanned: &mut usize,
    to_head: bool,
) -> Result<Option<Head>, Error> {
    // What can not become an answer is not waited for.
    if buffer.iter().zip(b"HTTP/1.").any(|(byte, expected)| byte != expected) {
        return Err(Error::Foreign);
    }
    let end = end_of_block(buffer, scanned);
    if end.unwrap_or(buffer.len()) > MOST_BYTES {
        return Err(Error::TooLarge);
    }
    let Some(end) = end else { return Ok(None) };
    *scanned = 0;
    parse(&buffer.split_to(end).freeze(), to_head).map(Some)
}

fn parse(bytes: &Bytes, to_head: bool) -> Result<Head, Error> {
    let mut lines = [const { MaybeUninit::uninit() }; USUAL_LINES];
    match parse_into(bytes, &mut lines, to_head) {
        Err(Error::NotHttp(httparse::Error::TooManyHeaders)) => {
            match parse_into(bytes, &mut vec![MaybeUninit::uninit(); MOST_LINES], to_head) {
                Err(Error::NotHttp(httparse::Error::TooManyHeaders)) => Err(Error::TooLarge),
                other => other,
            }
        }
        other => other,
    }
}

fn parse_into<'b>(
    bytes: &'b Bytes,
    lines: &mut [MaybeUninit<Header<'b>>],
    to_head: bool,
) -> Result<Head, Error> {
    let mut response = Response::new(&mut []);
    // Both are the proxy's to put right (RFC 9112 sections 5.1 and 5.2), before anything is judged by these lines.
    let parsed = ParserConfig::default()
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .parse_response_with_uninit_headers(&mut response, bytes, lines)
        .map_err(Error::NotHttp)?;
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let (Status::Complete(length), Some(status)) = (parsed, status) else {
        return Err(Error::NotHttp(httparse::Error::Status));
    };
    if length != bytes.len() {
        return Err(Error::NotHttp(httparse::Error::NewLine));
    }
    let mut headers = HeaderMap::with_capacity(response.headers.len() + OURS);
    let (mut kept_for, mut met) = (None, Met::default());
    for line in response.headers.iter() {
        if line.name.eq_ignore_ascii_case("keep-alive") {
            kept_for = idle_time(line.value).or(kept_for);
        }
        let name = name(line)?;
        met.note(&name);
        headers.append(name, value(bytes, line.value)?);
    }

    let http11 = response.version == Some(1);
    let (coding, unclear) = coding(&mut headers, &met, http11)?;
    if status == StatusCode::NO_CONTENT {
        // RFC 9110 section 8.6.
        headers.remove(CONTENT_LENGTH);
    }
    let bodiless = to_head
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    Ok(Head {
        status,
        keep_alive: http11
            && !unclear
            && !(met.connection && has_token(&headers, CONNECTION, b"close")),
        kept_for,
        coding: if bodiless { Coding::Length(0) } else { coding },
        headers,
    })
}

/// Which of the lines that are asked for came, so that nobody looks for one that did not.
#[derive(Default)]
struct Met {
    connection: bool,
    coding: bool,
    length: bool,
}

impl Met {
    fn note(&mut self, name: &HeaderName) {
        match *name {
            CONNECTION => self.connection = true,
            TRANSFER_ENCODING => self.coding = true,
            CONTENT_LENGTH => self.length = true,
            _ => {}
        }
    }
}

fn name(line: &Header<'_>) -> Result<HeaderName, Error> {
    usual(line.name).map_or_else(
        || {
            HeaderName::from_bytes(line.name.as_bytes())
                .map_err(|_| Error::NotHttp(httparse::Error::HeaderName))
        },
        Ok,
    )
}

/// What most answers have, as most servers write it: a comparison of the whole costs less than a look at each letter.
fn usual(name: &str) -> Option<HeaderName> {
    Some(match name {
        "Age" => AGE,
        "Cache-Control" => CACHE_CONTROL,
        "Connection" => CONNECTION,
        "Content-Encoding" => CONTENT_ENCODING,
        "Content-Length" => CONTENT_LENGTH,
        "Content-Type" => CONTENT_TYPE,
        "Date" => DATE,
        "ETag" | "Etag" => ETAG,
        "Expires" => EXPIRES,
        "Last-Modified" => LAST_MODIFIED,
        "Location" => LOCATION,
        "Server" => SERVER,
        "Set-Cookie" => SET_COOKIE,
        "Transfer-Encoding" => TRANSFER_ENCODING,
        "Vary" => VARY,
        _ => return None,
    })
}

/// A value that shares the bytes it was read into, unless it was folded over several lines.
fn value(bytes: &Bytes, value: &[u8]) -> Result<HeaderValue, Error> {
    let value = match unfolded(value) {
        Cow::Borrowed(value) => HeaderValue::from_maybe_shared(bytes.slice_ref(value)),
        Cow::Owned(value) => HeaderValue::from_maybe_shared(Bytes::from(value)),
    };
    value.map_err(|_| Error::NotHttp(httparse::Error::HeaderValue))
}

/// A line break and the blanks around it are one blank (RFC 9112 section 5.2).
fn unfolded(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    let lines: Vec<&[u8]> = value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).collect();
    Cow::Owned(lines.join(&b' '))
}

/// `timeout=5`, less a second for a request that is on its way when the time is over.
fn idle_time(value: &[u8]) -> Option<Duration> {
    let mut parameters = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let seconds = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_at_checked(b"timeout=".len())?;
        if name.eq_ignore_ascii_case(b"timeout=") { plain_number(value) } else { None }
    })?;
    let told = Duration::from_secs(seconds);
    Some(told.saturating_sub(Duration::from_secs(1)).max(told / 2))
}

/// Decides where the body ends, and leaves nothing in the headers by which others could decide differently.
/// Also tells whether it could have been decided differently: who tells two lengths may mean either (RFC 9112 section 6.1).
fn coding(headers: &mut HeaderMap, met: &Met, http11: bool) -> Result<(Coding, bool), Error> {
    if met.coding {
        let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
        let chunked =
            |coding: &HeaderValue| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
        if !http11 || !codings.next().is_some_and(chunked) || codings.next().is_some() {
            return Err(Error::Coding);
        }
        let unclear = headers.remove(CONTENT_LENGTH).is_some();
        return Ok((Coding::Chunked(Chunked::default()), unclear));
    }
    if !met.length {
        return Ok((Coding::UntilClose, false));
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let first = lengths.next().and_then(|first| plain_number(first.as_bytes()));
    if let Some(length) = first
        && lengths.next().is_none()
    {
        return Ok((Coding::Length(length), false));
    }
    let length = length_of_several(headers).ok_or(Error::Length)?;
    headers.insert(CONTENT_LENGTH, length.into());
    Ok((Coding::Length(length), false))
}

/// A length that was told several times, if each time the same.
fn length_of_several(headers: &HeaderMap) -> Option<u64> {
    let values = headers.get_all(CONTENT_LENGTH).iter();
    let mut lengths = values.flat_map(tokens).map(plain_number);
    let first = lengths.next()??;
    lengths.all(|length| length == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests;
