//! The only place where a refusal becomes a response; and the small responses of our own
//! (`reference/endpoints.md` sections 3, 4 and 14).
//!
//! Bland by default: a response says what the person can do, the log says what happened.

use crate::body::Body;
use crate::gate::{Manner, Refusal, Visit};
use crate::page::{ErrorPage, Page, SignIn};
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, EXPIRES, LOCATION, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NEVER: HeaderValue =
    HeaderValue::from_static("no-cache, no-store, must-revalidate, max-age=0");
const X_ACCEL_EXPIRES: HeaderName = HeaderName::from_static("x-accel-expires");

/// The answer to a request that is refused.
pub(crate) fn refuse(visit: &Visit<'_>, refusal: &Refusal) -> Response<Body> {
    let manner = manner(visit, refusal);
    let status = refusal.status(manner);
    if status.is_server_error() {
        let id = visit.request_id.to_str().unwrap_or_default();
        tracing::error!(request_id = id, status = status.as_u16(), "{refusal}");
    }
    let mut response = match (refusal, manner) {
        (_, Manner::Json) => with(status, JSON, Body::from("{}")),
        (_, Manner::Plain) => plain_status(status),
        (Refusal::SignIn, Manner::Page) => sign_in(visit, status),
        (_, Manner::Page) => page(status, error_page(visit, refusal, status)),
    };
    if matches!(refusal, Refusal::SignIn if manner == Manner::Page)
        || status == StatusCode::SERVICE_UNAVAILABLE
    {
        no_cache(response.headers_mut());
    }
    // What is still to come of the request would be taken for the next one. HTTP/2 has no such header, and hyper drops it.
    if status == StatusCode::REQUEST_TIMEOUT {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The form in which this refusal is given: some are always for people, some never.
fn manner(visit: &Visit<'_>, refusal: &Refusal) -> Manner {
    match refusal {
        Refusal::Path(_) | Refusal::Restricted | Refusal::BadBearer => Manner::Plain,
        Refusal::Upstream(_) | Refusal::Rewrite(_) => Manner::Page,
        Refusal::Denied(_)
            if visit.manner == Manner::Json && !visit.site.config.access.force_json_errors =>
        {
            Manner::Page
        }
        _ => visit.manner,
    }
}

/// The sign-in page.
pub(crate) fn sign_in(visit: &Visit<'_>, status: StatusCode) -> Response<Body> {
    let sign_in = SignIn {
        provider: visit.provider_name(),
        redirect: visit.shown_target(),
        prefix: &visit.site.config.http.proxy_prefix,
        message: visit.banner(),
    };
    page(status, sign_in.render())
}

fn error_page(visit: &Visit<'_>, refusal: &Refusal, status: StatusCode) -> Page {
    ErrorPage {
        status,
        message: &refusal.message(),
        request_id: visit.request_id.to_str().unwrap_or_default(),
        redirect: if refusal.leads_back() { visit.shown_target() } else { "" },
        prefix: &visit.site.config.http.proxy_prefix,
    }
    .render()
}

fn page(status: StatusCode, page: Page) -> Response<Body> {
    let mut response = Response::new(Body::full(page.html));
    *response.status_mut() = status;
    for (name, value) in page.headers {
        response.headers_mut().insert(name, value);
    }
    response
}

/// A short text.
pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    with(status, PLAIN, Body::full(text.into()))
}

/// The name of a status as text.
pub(crate) fn plain_status(status: StatusCode) -> Response<Body> {
    plain(status, format!("{}\n", status.canonical_reason().unwrap_or_default()))
}

/// Nothing answers this path.
pub(crate) fn not_found() -> Response<Body> {
    plain(StatusCode::NOT_FOUND, "404 page not found\n".to_owned())
}

/// JSON text.
pub(crate) fn json(text: String) -> Response<Body> {
    with(StatusCode::OK, JSON, Body::full(text))
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
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, html);
        let reason = status.canonical_reason().unwrap_or_default();
        *response.body_mut() =
            Body::full(format!("<a href=\"{}\">{reason}</a>.\n\n", escaped(location)));
    }
    response
}

/// Forbids everybody to keep the response.
pub(crate) fn no_cache(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, NEVER);
    headers.insert(EXPIRES, HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 UTC"));
    headers.insert(X_ACCEL_EXPIRES, HeaderValue::from_static("0"));
}

/// Puts on what every answer to this visit must carry. An answer with one of our cookies is nobody else's to keep.
pub(crate) fn finish(visit: Visit<'_>, mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    if visit.no_cache {
        no_cache(headers);
    } else if !visit.set_cookies.is_empty() && headers.get(CACHE_CONTROL) != Some(&NEVER) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    for cookie in visit.set_cookies {
        headers.append(SET_COOKIE, cookie.into_header());
    }
    response
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut response = with(status, PLAIN, Body::full(text));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn with(status: StatusCode, content_type: HeaderValue, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn header(location: &str) -> HeaderValue {
    HeaderValue::try_from(location).unwrap_or(HeaderValue::from_static("/"))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;")
}
