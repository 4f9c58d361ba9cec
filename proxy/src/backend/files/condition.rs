//! Conditional requests (RFC 9110 section 13) for files, which have a time of modification and no entity tag.

use http::{HeaderMap, HeaderName, Method, header};
use std::fs::Metadata;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the conditions of a request say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Send the file.
    Send,
    /// The client has it.
    NotModified,
    /// 412.
    Failed,
}

/// Time of modification in whole seconds, as it is sent; nothing for a file that has none.
pub(super) fn modified(metadata: &Metadata) -> Option<SystemTime> {
    let since_epoch = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let seconds = since_epoch.as_secs();
    (seconds > 0).then(|| UNIX_EPOCH + Duration::from_secs(seconds))
}

/// Evaluates the conditions in the order of RFC 9110 section 13.2.2.
pub(super) fn check(method: &Method, headers: &HeaderMap, modified: Option<SystemTime>) -> Verdict {
    let reading = matches!(*method, Method::GET | Method::HEAD);
    if let Some(tags) = text(headers, header::IF_MATCH) {
        if tags.trim() != "*" {
            return Verdict::Failed;
        }
    } else if let Some((limit, modified)) = time(headers, header::IF_UNMODIFIED_SINCE).zip(modified)
        && modified > limit
    {
        return Verdict::Failed;
    }
    if let Some(tags) = text(headers, header::IF_NONE_MATCH) {
        return match tags.trim() {
            "*" if reading => Verdict::NotModified,
            "*" => Verdict::Failed,
            _ => Verdict::Send,
        };
    }
    match time(headers, header::IF_MODIFIED_SINCE).zip(modified) {
        Some((known, modified)) if reading && modified <= known => Verdict::NotModified,
        _ => Verdict::Send,
    }
}

pub(super) fn time(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(text(headers, name)?).ok()
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
