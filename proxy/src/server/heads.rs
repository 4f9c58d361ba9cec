//! Heads of HTTP/2 requests in flight. Compression names a header that was sent once with one byte (RFC 7541 section 2), as
//! often as it likes, so that a few kilobytes become a hundred heads of the largest size. A connection has in memory what it has
//! sent, and not much more.

use http::header::COOKIE;
use http::{HeaderMap, StatusCode};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What heads may take above what was sent for them: a hundred that differ in their targets only, with a cookie of 4 KB.
const FREE: usize = 512 * 1024;
/// As over HTTP/1, where the parser counts them.
const MAX_LINES: usize = 100;
/// What a line costs beside its text (RFC 9113 section 6.5.2).
const LINE: usize = 32;

/// The heads of one connection.
#[derive(Debug, Default)]
pub(super) struct Heads {
    held: AtomicUsize,
    /// Bytes that came since there was none.
    sent: AtomicUsize,
}

impl Heads {
    pub(super) fn note_sent(&self, count: usize) {
        self.sent.fetch_add(count, Ordering::Relaxed);
    }

    /// Takes room for a head, which somebody has to [give back](Self::give_back). `Err`: there is none.
    pub(super) fn take(&self, headers: &HeaderMap) -> Result<usize, StatusCode> {
        let size = measure(headers)?;
        let held = self.held.load(Ordering::Relaxed);
        // No character takes less than five bits, so that text becomes no longer than by this.
        let sent = self.sent.load(Ordering::Relaxed) / 5 * 8;
        if held > 0 && held + size > FREE + sent {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        self.held.store(held + size, Ordering::Relaxed);
        Ok(size)
    }

    pub(super) fn give_back(&self, size: usize) {
        if size > 0 && self.held.fetch_sub(size, Ordering::Relaxed) == size {
            self.sent.store(0, Ordering::Relaxed);
        }
    }
}

/// How large a head is. Pieces of the cookie header, of which browsers make one for each cookie, are one line.
fn measure(headers: &HeaderMap) -> Result<usize, StatusCode> {
    let (mut size, mut lines) = (0, 0);
    for (name, value) in headers {
        size += name.as_str().len() + value.len() + LINE;
        lines += usize::from(name != COOKIE);
    }
    if lines + usize::from(headers.contains_key(COOKIE)) > MAX_LINES {
        return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn head(size: usize) -> HeaderMap {
        let value = "x".repeat(size - COOKIE.as_str().len() - LINE);
        HeaderMap::from_iter([(COOKIE, HeaderValue::try_from(value).unwrap())])
    }

    #[test]
    fn heads_may_take_what_was_sent_and_a_little_more() {
        let heads = Heads::default();
        let large = head(FREE + 1);
        assert_eq!(heads.take(&large), Ok(FREE + 1), "whatever one alone may be");
        assert_eq!(heads.take(&head(100)), Err(StatusCode::SERVICE_UNAVAILABLE));
        heads.note_sent((FREE + 140) / 8 * 5);
        assert_eq!(heads.take(&head(FREE)), Ok(FREE));
        assert_eq!(heads.take(&head(100)), Ok(100));
        assert_eq!(heads.take(&head(100)), Err(StatusCode::SERVICE_UNAVAILABLE));
        for size in [FREE + 1, FREE, 100] {
            heads.give_back(size);
        }
        // What was sent for those that are over counts no more.
        assert_eq!(heads.take(&head(FREE)), Ok(FREE));
        assert_eq!(heads.take(&head(100)), Err(StatusCode::SERVICE_UNAVAILABLE));
    }
}
