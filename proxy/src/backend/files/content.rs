//! The content of a file: its type, and its bytes in pieces.

use super::range::Range;
use crate::body::BodyError;
use crate::pace;
use crate::thread;
use bytes::Bytes;
use http::HeaderValue;
use http_body::{Body, Frame, SizeHint};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;

/// Bytes looked at to tell what a file without a known extension is.
const SAMPLE: u64 = 512;
/// Bytes read at a time.
const PIECE: usize = 64 * 1024;

/// By the extension, else by a look at the first bytes. Blocks.
pub(super) fn content_type(path: &Path, file: &File) -> io::Result<HeaderValue> {
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
    file.take(SAMPLE).read_to_end(&mut sample)?;
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
    file: Arc<File>,
    /// Where the next piece begins.
    at: u64,
    left: u64,
    /// The piece that is being read.
    reading: Option<oneshot::Receiver<io::Result<Vec<u8>>>>,
}

impl FileBody {
    pub(super) fn new(file: File, Range { first, length }: Range) -> Self {
        Self { file: Arc::new(file), at: first, left: length, reading: None }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let reading = match &mut self.reading {
            Some(reading) => reading,
            none => {
                let (file, at, most) = (Arc::clone(&self.file), self.at, PIECE.min(pace::share()));
                let size = usize::try_from(self.left).map_or(most, |left| left.min(most));
                none.insert(thread::in_turn(move || read_at(&file, at, size))?)
            }
        };
        let piece = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        let piece = piece.map_err(|_| thread::broken_off())??;
        if piece.is_empty() {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file became shorter",
            )));
        }
        self.at += piece.len() as u64;
        self.left -= piece.len() as u64;
        Poll::Ready(Ok(piece.into()))
    }
}

/// Up to so many bytes; none at the end of the file.
fn read_at(file: &File, at: u64, size: usize) -> io::Result<Vec<u8>> {
    let mut piece = vec![0; size];
    loop {
        match file.read_at(&mut piece, at) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => {
                piece.truncate(read?);
                return Ok(piece);
            }
        }
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
