//! The content of a file: its type, and its bytes in pieces.

use super::range::Range;
use crate::body::BodyError;
use crate::pace;
use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use http_body::{Body, Frame, SizeHint};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};

/// Bytes looked at to tell what a file without a known extension is.
const SAMPLE: u64 = 512;
/// Bytes read at a time.
const PIECE: usize = 64 * 1024;

/// By the extension, else by a look at the first bytes. Leaves the file at its start. Blocks.
pub(super) fn content_type(path: &Path, file: &mut File) -> io::Result<HeaderValue> {
    if let Some(name) = path.extension().and_then(OsStr::to_str).and_then(type_of) {
        // Its old name (RFC 9239).
        let script = name == "application/javascript";
        let name = if script { "text/javascript" } else { name };
        let suffix = if name.starts_with("text/") { "; charset=utf-8" } else { "" };
        if let Ok(value) = HeaderValue::try_from(format!("{name}{suffix}")) {
            return Ok(value);
        }
    }
    let mut sample = Vec::new();
    Read::by_ref(file).take(SAMPLE).read_to_end(&mut sample)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(HeaderValue::from_static(sniffed(&sample)))
}

/// The type of files with this extension.
fn type_of(extension: &str) -> Option<&'static str> {
    /// Lines of an extension and a type; one text, which needs no relocation.
    const TYPES: &str = include_str!(concat!(env!("OUT_DIR"), "/types.txt"));
    let mut lines = TYPES.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(known, _)| known.eq_ignore_ascii_case(extension)).map(|(_, name)| name)
}

/// HTML, other text, or neither.
fn sniffed(sample: &[u8]) -> &'static str {
    let start = sample.trim_ascii_start();
    let begins =
        |tag: &[u8]| start.get(..tag.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(tag));
    if begins(b"<!doctype html") || begins(b"<html") {
        return "text/html; charset=utf-8";
    }
    let text = |byte: &u8| !matches!(byte, 0..=8 | 11 | 14..=26 | 28..=31);
    if sample.iter().all(text) { "text/plain; charset=utf-8" } else { "application/octet-stream" }
}

/// A part of an open file as a body of known length. Read off the worker, a piece at a time and only when asked for.
pub(super) struct FileBody {
    file: tokio::fs::File,
    /// Where to begin; `None` once we are there.
    start: Option<u64>,
    seeking: bool,
    left: u64,
    buffer: BytesMut,
}

impl FileBody {
    pub(super) fn new(file: File, Range { first, length }: Range) -> Self {
        let mut file = tokio::fs::File::from_std(file);
        file.set_max_buf_size(PIECE);
        Self {
            file,
            start: (first > 0).then_some(first),
            seeking: false,
            left: length,
            buffer: BytesMut::new(),
        }
    }

    fn poll_start(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(start) = self.start else { return Poll::Ready(Ok(())) };
        if !self.seeking {
            Pin::new(&mut self.file).start_seek(SeekFrom::Start(start))?;
            self.seeking = true;
        }
        ready!(Pin::new(&mut self.file).poll_complete(cx))?;
        self.start = None;
        Poll::Ready(Ok(()))
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        ready!(self.poll_start(cx))?;
        if self.buffer.is_empty() {
            let most = PIECE.min(pace::share());
            let size = usize::try_from(self.left).map_or(most, |left| left.min(most));
            self.buffer = BytesMut::zeroed(size);
        }
        let mut target = ReadBuf::new(&mut self.buffer);
        ready!(Pin::new(&mut self.file).poll_read(cx, &mut target))?;
        let read = target.filled().len();
        if read == 0 {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file became shorter",
            )));
        }
        self.left -= read as u64;
        let mut piece = std::mem::take(&mut self.buffer);
        piece.truncate(read);
        Poll::Ready(Ok(piece.freeze()))
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let piece = ready!(self.poll_piece(cx));
        Poll::Ready(Some(piece.map(Frame::data).map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::type_of;

    #[test]
    fn the_extension_tells_the_type_in_any_case() {
        for (extension, name) in [
            ("html", Some("text/html")),
            ("SVG", Some("image/svg+xml")),
            ("js", Some("text/javascript")),
            ("wasm", Some("application/wasm")),
            ("123", Some("application/vnd.lotus-1-2-3")),
            ("", None),
            ("html text", None),
            ("nosuch", None),
        ] {
            assert_eq!(type_of(extension), name, "{extension}");
        }
    }
}
