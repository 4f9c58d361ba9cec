//! The only place where a refusal becomes a response, and what every answer carries. Statuses and kinds of bodies
//! are oauth2-proxy's, as recorded in `proxy/tests/golden/`.
//!
//! Bland by default: a response says what the person can do, the log says what happened.

use super::refusal::Refusal;
use super::visit::{Manner, Visit};
use crate::body::Body;
use crate::entry::Answered;
use crate::page::{ErrorPage, Page, SignIn, SignedOut};
use crate::reply;
use http::header::{CACHE_CONTROL, CONNECTION, RETRY_AFTER, SET_COOKIE};
use http::{HeaderValue, Response, StatusCode};

/// The answer to a request that is refused.
pub(crate) fn refuse(visit: &Visit<'_>, refusal: &Refusal) -> Response<Body> {
    let manner = manner(visit, refusal);
    let status = refusal.status(manner);
    if status.is_server_error() {
        tracing::error!(request_id = %visit.from.request_id, status = status.as_u16(), "{refusal}");
    }
    let mut response = match (refusal, manner) {
        (_, Manner::Json) => reply::json(status, "{}"),
        (_, Manner::Plain) => reply::plain_status(status),
        (Refusal::SignIn, Manner::Page) => sign_in(visit, status),
        (_, Manner::Page) => page(status, error_page(visit, refusal, status)),
    };
    if matches!(refusal, Refusal::SignIn if manner == Manner::Page)
        || status == StatusCode::SERVICE_UNAVAILABLE
    {
        reply::no_cache(response.headers_mut());
    }
    if let Some(seconds) = refusal.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
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
        Refusal::Path(_) | Refusal::Restricted | Refusal::BadBearer | Refusal::Embedded => {
            Manner::Plain
        }
        Refusal::Upstream(_) | Refusal::Rewrite(_) => Manner::Page,
        Refusal::Denied(_)
            if visit.manner == Manner::Json && !visit.from.site.config.access.force_json_errors =>
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
        prefix: &visit.from.site.config.http.proxy_prefix,
        message: visit.banner(),
    };
    page(status, sign_in.render())
}

/// The page after a sign-out at the provider. `certain`: it was this browser's.
pub(crate) fn signed_out(visit: &Visit<'_>, certain: bool) -> Response<Body> {
    let prefix = &visit.from.site.config.http.proxy_prefix;
    page(StatusCode::OK, SignedOut { prefix, certain }.render())
}

fn error_page(visit: &Visit<'_>, refusal: &Refusal, status: StatusCode) -> Page {
    ErrorPage {
        status,
        message: &refusal.message(),
        request_id: &visit.from.request_id.to_string(),
        redirect: if refusal.leads_back() { visit.shown_target() } else { "" },
        prefix: &visit.from.site.config.http.proxy_prefix,
        another_account: refusal.wants_another_account(),
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

/// Puts on what every answer to this visit must carry. An answer with one of our cookies is nobody else's to keep.
pub(crate) fn finish(visit: Visit<'_>, mut response: Response<Body>) -> Answered {
    let headers = response.headers_mut();
    if visit.no_cache {
        reply::no_cache(headers);
    } else if !visit.from.set_cookies.is_empty()
        && headers.get(CACHE_CONTROL) != Some(&reply::NEVER)
    {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    for cookie in visit.from.set_cookies {
        headers.append(SET_COOKIE, cookie.into_header());
    }
    visit.entry.finish(response)
}
