//! Files below a folder as an upstream: files with ranges and conditions, `index.html`
//! or a listing for folders.
//!
//! Nothing outside the folder is served: a path is taken apart at its slashes and each piece decoded once, pieces that are
//! more or less than one name are not found, and symbolic links are followed only to places inside. Only regular files
//! are opened, so a pipe can not hang us. Somebody who changes the folder while it is looked at could still swap a name
//! between the check and the opening: whoever may write there decides what is served, as with any file server.
//! All of it happens on threads that are there for it, never on the worker.

mod condition;
mod content;
mod listing;
mod range;

use crate::body::Body;
use crate::reply;
use crate::thread;
use condition::Verdict;
use content::FileBody;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use listing::listing;
use percent_encoding::percent_decode;
use range::{Range, Wanted};
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A folder that answers requests.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    root: PathBuf,
    /// The route's path, which stands for the folder, decoded; nothing if a rewrite has made the path already.
    prefix: String,
}

/// What was found under a path.
enum Entry {
    File {
        file: File,
        metadata: Metadata,
        content_type: HeaderValue,
    },
    Listing(String),
    /// Relative to the request's path.
    Moved(String),
    Missing,
}

impl Files {
    /// The folder of a `file` upstream; `None` for the other kinds.
    pub(crate) fn compile(upstream: &proxy_config::Upstream) -> Option<Self> {
        let proxy_config::Target::File { root } = &upstream.target else { return None };
        let prefix =
            if upstream.rewrite_target.is_some() { String::new() } else { upstream.path.clone() };
        Some(Self { root: root.clone(), prefix })
    }

    /// Answers a request for `target`, percent-encoded as it would go to a server. Any method counts as GET.
    pub(crate) async fn respond(
        &self,
        method: &Method,
        target: &PathAndQuery,
        headers: &HeaderMap,
    ) -> Response<Body> {
        let Some(path) = self.inside(target.path()) else { return reply::not_found() };
        let (root, name) = (self.root.clone(), target.path().to_owned());
        match off_the_worker(move || look_up(&root, &path, &name)).await {
            Ok(Entry::File { file, metadata, content_type }) => {
                send((file, &metadata), content_type, method, headers)
            }
            Ok(Entry::Listing(html)) => reply::html(StatusCode::OK, html),
            Ok(Entry::Moved(to)) => reply::moved(
                StatusCode::MOVED_PERMANENTLY,
                &target.query().map_or_else(|| to.clone(), |query| format!("{to}?{query}")),
            ),
            Ok(Entry::Missing) => reply::not_found(),
            Err(error) => refused(&error),
        }
    }

    /// The path below the folder, made of plain names.
    fn inside(&self, path: &str) -> Option<PathBuf> {
        let rest = behind(path.as_bytes(), &self.prefix)?;
        let mut inside = PathBuf::new();
        for segment in rest.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty()) {
            let name: Vec<u8> = percent_decode(segment).collect();
            if name == b"." || name == b".." || name.iter().any(|byte| matches!(byte, 0 | b'/')) {
                return None;
            }
            inside.push(OsStr::from_bytes(&name));
        }
        Some(inside)
    }
}

/// What `work` finds. A file system that does not answer holds up nobody but those who ask for files.
async fn off_the_worker<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    thread::in_turn(work)?.await.map_err(|_| thread::broken_off())?
}

/// What is left of a `path` with escapes behind a `prefix` without. A slash that is escaped ends no name.
fn behind<'a>(path: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    let mut rest = path;
    for wanted in prefix.bytes() {
        let escaped = rest.first() == Some(&b'%');
        let byte = percent_decode(rest).next()?;
        if byte != wanted || (escaped && byte == b'/') {
            return None;
        }
        rest = rest.get(if escaped { 3 } else { 1 }..)?;
    }
    Some(rest)
}

/// Finds and opens what `inside` names below `root`. Blocks.
fn look_up(root: &Path, inside: &Path, request: &str) -> io::Result<Entry> {
    let root = root.canonicalize()?;
    if !root.is_dir() {
        return Err(io::Error::other("the root of a file upstream is no folder"));
    }
    let Some(path) = resolve(&root, inside)? else { return Ok(Entry::Missing) };
    let metadata = fs::metadata(&path)?;
    let slash = request.is_empty() || request.ends_with('/') || inside.as_os_str().is_empty();
    if metadata.is_dir() {
        if !slash {
            return Ok(Entry::Moved(format!("{}/", last_segment(request))));
        }
        let index = resolve(&root, &inside.join("index.html"))?;
        return match index.filter(|index| index.is_file()) {
            Some(index) => open(&index),
            None => Ok(Entry::Listing(listing(&path)?)),
        };
    }
    if request.ends_with("/index.html") {
        return Ok(Entry::Moved("./".to_owned()));
    }
    if slash {
        return Ok(Entry::Moved(format!("../{}", last_segment(request.trim_end_matches('/')))));
    }
    if metadata.is_file() { open(&path) } else { Ok(Entry::Missing) }
}

/// The place that a path leads to, if it exists and is inside `root`, which has no links in it.
fn resolve(root: &Path, inside: &Path) -> io::Result<Option<PathBuf>> {
    match root.join(inside).canonicalize() {
        Ok(path) => Ok(path.starts_with(root).then_some(path)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn open(path: &Path) -> io::Result<Entry> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let content_type = content::content_type(path, &file)?;
    Ok(Entry::File { file, metadata, content_type })
}

fn is_missing(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound};
    /// Links that lead in a circle; on Linux, on every architecture. Its `ErrorKind` is not stable yet.
    const ELOOP: i32 = 40;
    matches!(error.kind(), NotFound | NotADirectory | InvalidFilename)
        || error.raw_os_error() == Some(ELOOP)
}

/// As it stands in the request: still encoded, so it can go into a `Location`.
fn last_segment(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn send(
    (file, metadata): (File, &Metadata),
    content_type: HeaderValue,
    method: &Method,
    headers: &HeaderMap,
) -> Response<Body> {
    let (size, modified) = (metadata.len(), condition::modified(metadata));
    let mut response = Response::new(Body::empty());
    let set = response.headers_mut();
    if let Some(value) =
        modified.and_then(|time| HeaderValue::try_from(httpdate::fmt_http_date(time)).ok())
    {
        set.insert(header::LAST_MODIFIED, value);
    }
    match condition::check(method, headers, modified) {
        Verdict::Send => {}
        Verdict::NotModified => return with_status(response, StatusCode::NOT_MODIFIED),
        Verdict::Failed => return with_status(response, StatusCode::PRECONDITION_FAILED),
    }
    set.insert(header::CONTENT_TYPE, content_type);
    set.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let (status, range) = match range::wanted(headers, size, modified) {
        Wanted::All => (StatusCode::OK, Range { first: 0, length: size }),
        Wanted::Part(range) => {
            let last = range.first + range.length - 1;
            set_text(set, format!("bytes {}-{last}/{size}", range.first));
            (StatusCode::PARTIAL_CONTENT, range)
        }
        Wanted::Nothing => {
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            let mut response = reply::plain(status, "range outside the file\n");
            set_text(response.headers_mut(), format!("bytes */{size}"));
            return response;
        }
    };
    set.insert(header::CONTENT_LENGTH, range.length.into());
    if method != Method::HEAD && range.length > 0 {
        *response.body_mut() = Body::stream(Box::pin(FileBody::new(file, range)));
    }
    with_status(response, status)
}

fn set_text(headers: &mut HeaderMap, content_range: String) {
    if let Ok(value) = HeaderValue::try_from(content_range) {
        headers.insert(header::CONTENT_RANGE, value);
    }
}

fn with_status(mut response: Response<Body>, status: StatusCode) -> Response<Body> {
    *response.status_mut() = status;
    response
}

fn refused(error: &io::Error) -> Response<Body> {
    tracing::warn!(%error, "file upstream");
    let (status, text) = match error.kind() {
        io::ErrorKind::PermissionDenied => (StatusCode::FORBIDDEN, "403 Forbidden\n"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "500 Internal Server Error\n"),
    };
    reply::plain(status, text)
}

#[cfg(test)]
mod tests;
