//! The small answers that we make ourselves, whoever asks: a text, a status, JSON, the way to another place.

use crate::body::Body;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, EXPIRES, LOCATION, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// What [`no_cache`] says.
pub(crate) const NEVER: HeaderValue =
    HeaderValue::from_static("no-cache, no-store, must-revalidate, max-age=0");
const X_ACCEL_EXPIRES: HeaderName = HeaderName::from_static("x-accel-expires");

/// This content, of this type.
pub(crate) fn with(status: StatusCode, content_type: HeaderValue, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// A short text.
pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    with(status, PLAIN, Body::full(text.into()))
}

/// A short text that no browser takes for anything else.
pub(crate) fn plain(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    let mut response = with(status, PLAIN, Body::full(text.into()));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The name of a status as text.
pub(crate) fn plain_status(status: StatusCode) -> Response<Body> {
    plain(status, format!("{}\n", status.canonical_reason().unwrap_or_default()))
}

/// Nothing answers this path.
pub(crate) fn not_found() -> Response<Body> {
    plain(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// A page.
pub(crate) fn html(status: StatusCode, html: String) -> Response<Body> {
    with(status, HTML, Body::full(html))
}

/// JSON text.
pub(crate) fn json(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    with(status, JSON, Body::full(text.into()))
}

/// A status and nothing else.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Sends the client elsewhere, without a body.
pub(crate) fn moved(status: StatusCode, location: &str) -> Response<Body> {
    let mut response = empty(status);
    response.headers_mut().insert(LOCATION, header(location));
    response
}

/// Sends the client elsewhere, with a link for those who do not follow.
pub(crate) fn redirect(method: &Method, status: StatusCode, location: &str) -> Response<Body> {
    let mut response = moved(status, location);
    if matches!(*method, Method::GET | Method::HEAD) {
        response.headers_mut().insert(CONTENT_TYPE, HTML);
        let reason = status.canonical_reason().unwrap_or_default();
        *response.body_mut() =
            Body::full(["<a href=\"", &escaped(location), "\">", reason, "</a>.\n\n"].concat());
    }
    response
}

/// Forbids everybody to keep the response.
pub(crate) fn no_cache(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, NEVER);
    headers.insert(EXPIRES, HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 UTC"));
    headers.insert(X_ACCEL_EXPIRES, HeaderValue::from_static("0"));
}

fn header(location: &str) -> HeaderValue {
    HeaderValue::try_from(location).unwrap_or(HeaderValue::from_static("/"))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some((at, escape)) =
        rest.bytes().enumerate().find_map(|(at, byte)| Some((at, escape(byte)?)))
    {
        let (plain, tail) = rest.split_at(at);
        out.push_str(plain);
        out.push_str(escape);
        rest = tail.get(1..).unwrap_or_default();
    }
    out + rest
}

fn escape(byte: u8) -> Option<&'static str> {
    Some(match byte {
        b'&' => "&amp;",
        b'<' => "&lt;",
        b'>' => "&gt;",
        b'"' => "&#34;",
        b'\'' => "&#39;",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_the_attribute_that_it_is_in() {
        for (text, shown) in [
            ("", ""),
            ("/a?b=c", "/a?b=c"),
            ("<a href=\"x\">'&'</a>", "&lt;a href=&#34;x&#34;&gt;&#39;&amp;&#39;&lt;/a&gt;"),
            ("é&é", "é&amp;é"),
        ] {
            assert_eq!(escaped(text), shown);
        }
    }
}
