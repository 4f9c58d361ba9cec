//! Between the HTTP parser and the handler: what no request may be, whichever version of HTTP it came by, and what every
//! answer needs. A panic of the handler costs its own request and nothing else.

use super::conn::{Conn, InFlight};
use super::watch::Bounds;
use crate::body::{Body, BodyError};
use crate::entry::{Answered, Entry};
use crate::metrics::Event;
use crate::pace;
use crate::peer::Peer;
use crate::reply;
use crate::worker::Worker;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::CatchUnwind;
use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderValue};
use http::uri::Scheme;
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// What all connections of a worker share.
pub(super) struct Handle<H> {
    pub(super) worker: Arc<Worker>,
    pub(super) handler: H,
    pub(super) bounds: Bounds,
    pub(super) http1: http1::Builder,
}

/// Answers the requests of one connection.
pub(super) struct Service<H> {
    conn: Arc<Conn>,
    handler: H,
}

impl<H> Service<H> {
    pub(super) fn new(conn: Arc<Conn>, handler: H) -> Self {
        Self { conn, handler }
    }
}

impl<H, F> hyper::service::Service<Request<Incoming>> for Service<H>
where
    H: Fn(Arc<Peer>, Request<Incoming>) -> F,
    F: Future<Output: Into<Answered>>,
{
    type Response = Response<Tracked>;
    type Error = Infallible;
    type Future = Call<F>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let mut in_flight = self.conn.enter();
        let http2 = request.version() == Version::HTTP_2;
        let bodiless = http2 && request.method() == Method::HEAD;
        let room = if http2 { in_flight.hold(request.headers()) } else { Ok(()) };
        let answer = match room.and_then(|()| admit(&mut request)) {
            Ok(()) if self.conn.is_leaving() => {
                Answer::Refused { status: StatusCode::SERVICE_UNAVAILABLE }
            }
            Ok(()) => {
                let future = (self.handler)(Arc::clone(&self.conn.peer), request);
                Answer::Coming { future: AssertUnwindSafe(future).catch_unwind() }
            }
            Err(status) => Answer::Refused { status },
        };
        Call { answer, in_flight: Some(in_flight), http2, bodiless }
    }
}

/// Refuses what can be read in two ways and gives every request origin form and a Host.
fn admit<B>(request: &mut Request<B>) -> Result<(), StatusCode> {
    if request.method() == Method::CONNECT {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let host = request.headers().get(HOST);
    if host.is_some_and(|host| !is_authority(host.as_bytes()))
        || request.uri().path_and_query().is_none()
    {
        return Err(StatusCode::BAD_REQUEST);
    }
    if request.version() == Version::HTTP_2 {
        let twice = |name| request.headers().get_all(name).iter().nth(1).is_some();
        if twice(HOST) || twice(CONTENT_LENGTH) {
            return Err(StatusCode::BAD_REQUEST);
        }
        join_cookies(request);
    }
    if request.uri().authority().is_some() { to_origin_form(request) } else { Ok(()) }
}

/// Absolute form and HTTP/2 name the authority in the target; if Host names another one, somebody is being deceived.
fn to_origin_form<B>(request: &mut Request<B>) -> Result<(), StatusCode> {
    let uri = std::mem::take(request.uri_mut()).into_parts();
    let authority = uri.authority.ok_or(StatusCode::BAD_REQUEST)?;
    let value = HeaderValue::from_str(authority.as_str()).map_err(|_| StatusCode::BAD_REQUEST)?;
    if !is_authority(value.as_bytes()) {
        return Err(StatusCode::BAD_REQUEST);
    }
    match request.headers().get(HOST) {
        Some(host) if !same_host(host.as_bytes(), value.as_bytes(), uri.scheme.as_ref()) => {
            return Err(StatusCode::BAD_REQUEST);
        }
        Some(_) => {}
        None => {
            request.headers_mut().insert(HOST, value);
        }
    }
    *request.uri_mut() = uri.path_and_query.map_or_else(Uri::default, Uri::from);
    Ok(())
}

/// Whether two authorities are one. The port that a scheme has by itself is equal to none (RFC 3986 section 6.2.3).
fn same_host(one: &[u8], other: &[u8], scheme: Option<&Scheme>) -> bool {
    let port: &[u8] = match scheme {
        Some(scheme) if *scheme == Scheme::HTTP => b":80",
        Some(scheme) if *scheme == Scheme::HTTPS => b":443",
        _ => b":",
    };
    let bare = |host: &[u8]| {
        let host = host.strip_suffix(port).or_else(|| host.strip_suffix(b":")).unwrap_or(host);
        host.to_ascii_lowercase()
    };
    one.eq_ignore_ascii_case(other) || bare(one) == bare(other)
}

/// What may stand in `Host` and `:authority`, by its characters: all that RFC 3986 section 3.2 allows but user names.
fn is_authority(text: &[u8]) -> bool {
    let usual = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_:[]%~!$&'()*+;=".contains(byte);
    !text.is_empty() && text.iter().all(usual)
}

/// HTTP/2 may send cookies in pieces (RFC 9113 section 8.2.3); everybody behind the door expects one header.
fn join_cookies<B>(request: &mut Request<B>) {
    let pieces: Vec<&[u8]> =
        request.headers().get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if pieces.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&pieces.join(&b"; "[..]))
    {
        request.headers_mut().insert(COOKIE, joined);
    }
}

pin_project_lite::pin_project! {
    /// A request on its way to its answer.
    pub(super) struct Call<F> {
        #[pin]
        answer: Answer<F>,
        in_flight: Option<InFlight>,
        http2: bool,
        bodiless: bool,
    }

    impl<F> PinnedDrop for Call<F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if *this.http2 && let Some(InFlight { conn, .. }) = this.in_flight.as_ref() {
                conn.note_reset();
            }
        }
    }
}

pin_project_lite::pin_project! {
    #[project = AnswerProjection]
    enum Answer<F> {
        Coming { #[pin] future: CatchUnwind<AssertUnwindSafe<F>> },
        Refused { status: StatusCode },
    }
}

impl<F: Future<Output: Into<Answered>>> Future for Call<F> {
    type Output = Result<Response<Tracked>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (answered, close): (Answered, bool) = match this.answer.project() {
            AnswerProjection::Coming { future } => {
                if let Ok(answered) = ready!(future.poll(cx)) {
                    (answered.into(), false)
                } else {
                    if let Some(InFlight { conn, .. }) = this.in_flight.as_ref() {
                        conn.worker.shard.count(Event::Panicked);
                    }
                    (reply::plain_status(StatusCode::INTERNAL_SERVER_ERROR).into(), true)
                }
            }
            AnswerProjection::Refused { status } => (reply::plain_status(*status).into(), true),
        };
        let Answered { mut response, entry } = answered;
        if *this.bodiless {
            take_body(&mut response);
        }
        if let Some(in_flight) = this.in_flight.as_mut() {
            in_flight.let_go();
            let conn = &in_flight.conn;
            conn.set_answering();
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                conn.set_raw();
            } else if (close || conn.worker.busy.is_stopping()) && !*this.http2 {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
        }
        let (in_flight, http2) = (this.in_flight.take(), *this.http2);
        Poll::Ready(Ok(response.map(|body| Tracked {
            ended: false,
            body,
            entry,
            in_flight,
            http2,
        })))
    }
}

/// What the parser does by itself for HTTP/1: the head tells of a body that does not follow.
fn take_body(response: &mut Response<Body>) {
    if let Some(length) = http_body::Body::size_hint(response.body()).exact().filter(|n| *n > 0) {
        response.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| length.into());
    }
    response.body_mut().forget_content();
}

/// A body that keeps its request in flight, and in memory, until it is dropped.
pub(super) struct Tracked {
    body: Body,
    entry: Option<Box<Entry>>,
    ended: bool,
    in_flight: Option<InFlight>,
    http2: bool,
}

impl http_body::Body for Tracked {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let poll = Pin::new(&mut self.body).poll_frame(cx);
        if self.http2 {
            pace::note(matches!(poll, Poll::Ready(Some(Ok(_)))), poll.is_ready());
        }
        let frame = ready!(poll);
        self.ended |= frame.is_none() || self.body.is_end_stream();
        // Over HTTP/1 the socket tells.
        if self.http2
            && let Some(InFlight { conn, .. }) = &self.in_flight
        {
            conn.peer.note_moved();
        }
        if let Some(entry) = &mut self.entry {
            match &frame {
                Some(Ok(frame)) => entry.sent(frame.data_ref().map_or(0, Bytes::len)),
                Some(Err(_)) => entry.broken(),
                None => {}
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        if self.http2
            && !self.ended
            && !http_body::Body::is_end_stream(&self.body)
            && let Some(InFlight { conn, .. }) = &self.in_flight
        {
            conn.note_reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(host: Option<&str>, target: &str) -> Result<(String, String), StatusCode> {
        let mut request = Request::new(());
        *request.uri_mut() = target.parse().map_err(|_| StatusCode::IM_A_TEAPOT)?;
        if let Some(host) = host {
            let host = host.parse().map_err(|_| StatusCode::IM_A_TEAPOT)?;
            request.headers_mut().insert(HOST, host);
        }
        admit(&mut request)?;
        let host = String::from_utf8_lossy(request.headers()[HOST].as_bytes()).into_owned();
        Ok((host, request.uri().to_string()))
    }

    #[test]
    fn absolute_form_must_agree_with_host() {
        let wanted = Ok(("a.example".to_owned(), "/x?y".to_owned()));
        assert_eq!(admitted(Some("a.example"), "http://a.example/x?y"), wanted);
        assert_eq!(admitted(None, "http://a.example/x?y"), wanted);
        for (host, target) in [
            ("a.example", "http://a.example:80/x?y"),
            ("a.example:80", "http://a.example/x?y"),
            ("A.example", "http://a.example:/x?y"),
            ("a.example:443", "https://a.example/x?y"),
        ] {
            let same = Ok((host.to_owned(), "/x?y".to_owned()));
            assert_eq!(admitted(Some(host), target), same, "{target}");
        }
        for (host, target) in [
            (Some("b.example"), "http://a.example/x"),
            (Some("a.example"), "http://a.example:443/x"),
            (Some("a.example"), "https://a.example:80/x"),
            (Some("a.example:8080"), "http://a.example/x"),
            (Some("a.example"), "http://u@a.example/x"),
            (Some("a.example"), "a.example"),
            (Some("a.example, b.example"), "/"),
            (Some("u@a.example"), "/"),
            (Some("a.example/x"), "/"),
            (Some(""), "/"),
        ] {
            assert_eq!(admitted(host, target), Err(StatusCode::BAD_REQUEST), "{host:?} {target}");
        }
    }

    #[test]
    fn cookies_in_pieces_become_one_header() {
        let mut request =
            Request::builder().header(COOKIE, "a=1").header(COOKIE, "b=2").body(()).unwrap();
        join_cookies(&mut request);
        assert_eq!(request.headers().get_all(COOKIE).iter().collect::<Vec<_>>(), ["a=1; b=2"]);
    }
}
