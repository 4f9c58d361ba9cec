//! Requests to the identity provider: bounded in time, size and redirects, and without secrets in their errors.
//!
//! Nothing here knows what an answer means beyond its status and media type. A connection is kept for a moment, and a request
//! that finds a kept one closed goes out once more on a new one: a code or a refresh token that nobody took is not used up, and
//! one that somebody took and did not answer (over TLS: not with a whole record) is lost either way.

mod error;
mod kept;
mod link;
mod tls;
mod way;

pub(super) use error::{HttpError, address};

use crate::clock::Clock;
use bytes::Bytes;
use error::Failure;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HOST, HeaderMap, HeaderValue, LOCATION, USER_AGENT,
};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use jiff::Timestamp;
use link::Link;
use proxy_config::ProviderTls;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use url::{Position, Url};
use way::{Way, Ways};
use zeroize::Zeroizing;

/// Longest a request may take, redirects and body included.
pub(super) const TOTAL_TIME: Duration = Duration::from_secs(10);
/// The same where nobody waits for the answer so long, and it is worth having all the same: the refresh token that it was
/// asked with is used up.
pub(super) const LONG_TIME: Duration = Duration::from_mins(1);
/// Longest the connection itself may take.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// A kept connection that was being closed says so within this time. One that is closed later was not: the server has most
/// likely taken the request, and takes a second one with the same refresh token for a theft.
const CLOSING: Duration = Duration::from_secs(1);
/// Redirects followed on a GET.
const MAX_REDIRECTS: usize = 3;
/// Largest answer in bytes, but for key sets.
pub(super) const MAX_ANSWER: usize = 1024 * 1024;
/// Largest key set in bytes.
pub(super) const MAX_KEYS: usize = 512 * 1024;

/// Who we say we are.
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("oauth2-proxy/", env!("CARGO_PKG_VERSION")));

/// No answer has had a date yet.
const UNKNOWN: i64 = i64::MIN;

/// Speaks HTTP to one provider.
pub(super) struct Http {
    ways: Ways,
    clock: Arc<dyn Clock>,
    /// See [`Http::skew`]; [`UNKNOWN`] until an answer had a date.
    skew: AtomicI64,
}

/// An answer that was received whole.
pub(super) struct Answer {
    /// HTTP status.
    pub(super) status: u16,
    /// `Content-Type` in lower case without parameters; empty if there is none.
    pub(super) media_type: String,
    /// At most as long as was asked for. Wiped, because token answers pass here.
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// What a GET asks for.
pub(super) struct Get<'a> {
    /// Media types accepted.
    pub(super) accept: &'static str,
    /// Access token (RFC 6750 section 2.1). With one, only redirects inside the same origin are followed.
    pub(super) bearer: Option<&'a str>,
    /// Largest answer in bytes.
    pub(super) limit: usize,
}

impl Http {
    /// A client that opens no file and no socket before its first request.
    pub(super) fn new(tls: ProviderTls, clock: Arc<dyn Clock>) -> Self {
        Self { ways: Ways::new(tls), clock, skew: AtomicI64::new(UNKNOWN) }
    }

    /// By how many seconds the provider's clock was ahead of ours when it last answered; negative if it was behind.
    pub(super) fn skew(&self) -> Option<i64> {
        Some(self.skew.load(Ordering::Relaxed)).filter(|skew| *skew != UNKNOWN)
    }

    /// A GET that follows at most three redirects, never from `https` to `http`.
    ///
    /// # Errors
    /// See [`HttpError`]; a status that is not 200 is no error here.
    pub(super) async fn get(&self, url: &Url, get: &Get<'_>) -> Result<Answer, HttpError> {
        within(
            (url, TOTAL_TIME),
            Box::pin(async {
                let mut target = url.clone();
                for _ in 0..=MAX_REDIRECTS {
                    let bearer = get.bearer.map(|token| format!("Bearer {token}"));
                    let message = Message {
                        method: Method::GET,
                        accept: get.accept,
                        authorization: bearer
                            .map(|value| sensitive(&value, &target))
                            .transpose()?,
                        form: None,
                    };
                    let answer = self.ask(&target, &message, get.limit).await?;
                    match redirect(&target, &answer, get.bearer.is_some())? {
                        None => return Ok(self.read(answer)),
                        Some(next) => target = next,
                    }
                }
                Err(HttpError::Redirect { address: address(url), reason: "more than three times" })
            }),
        )
        .await
    }

    /// A POST of a form (already encoded), with an `Authorization` header if given, that may take `time`. Redirects are
    /// refused: the form holds the code and perhaps the client secret.
    ///
    /// # Errors
    /// See [`HttpError`]; a status that is not 200 is no error here.
    pub(super) async fn post_form(
        &self,
        url: &Url,
        form: Zeroizing<String>,
        authorization: Option<&str>,
        time: Duration,
    ) -> Result<Answer, HttpError> {
        within(
            (url, time),
            Box::pin(async {
                let message = Message {
                    method: Method::POST,
                    accept: "application/json",
                    authorization: authorization.map(|value| sensitive(value, url)).transpose()?,
                    form: Some(Bytes::from_owner(form)),
                };
                let answer = self.ask(url, &message, MAX_ANSWER).await?;
                if answer.status().is_redirection() {
                    return Err(HttpError::Redirect {
                        address: address(url),
                        reason: "a token request",
                    });
                }
                Ok(self.read(answer))
            }),
        )
        .await
    }

    async fn ask(
        &self,
        url: &Url,
        message: &Message,
        limit: usize,
    ) -> Result<Response<Content>, HttpError> {
        let answer = match self.ways.to(url).await? {
            Way::Direct(tls) => direct((url, tls.as_ref()), message, limit).await,
            Way::Proxied(client) => proxied(url, &client, message, limit).await,
        };
        answer.map_err(|failure| failure.at(url))
    }

    fn read(&self, answer: Response<Content>) -> Answer {
        let (parts, body) = answer.into_parts();
        let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let date = header(DATE).and_then(|text| httpdate::parse_http_date(text).ok());
        if let Some(date) = date.and_then(|at| Timestamp::try_from(at).ok()) {
            self.skew.store(date.as_second() - self.clock.now().as_second(), Ordering::Relaxed);
        }
        let media_type = header(CONTENT_TYPE).and_then(|value| value.split(';').next());
        let media_type = media_type.unwrap_or_default().trim().to_lowercase();
        Answer { status: parts.status.as_u16(), media_type, body }
    }
}

/// A body that was received whole; wiped.
type Content = Zeroizing<Vec<u8>>;

/// A request, whichever way it goes.
struct Message {
    method: Method,
    accept: &'static str,
    authorization: Option<HeaderValue>,
    form: Option<Bytes>,
}

impl Message {
    fn headers(&self) -> HeaderMap {
        const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(USER_AGENT, AGENT);
        headers.insert(ACCEPT, HeaderValue::from_static(self.accept));
        if let Some(value) = &self.authorization {
            headers.insert(AUTHORIZATION, value.clone());
        }
        if self.form.is_some() {
            headers.insert(CONTENT_TYPE, FORM);
        }
        headers
    }

    /// For the server of `url` itself.
    fn direct(&self, url: &Url) -> Result<Request<Full<Bytes>>, http::Error> {
        let host = url.host_str().unwrap_or_default();
        let host = match url.port() {
            Some(port) => HeaderValue::try_from(format!("{host}:{port}")),
            None => HeaderValue::try_from(host),
        };
        let mut request = Request::new(Full::new(self.form.clone().unwrap_or_default()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = Uri::try_from(&url[Position::BeforePath..Position::AfterQuery])?;
        *request.headers_mut() = self.headers();
        request.headers_mut().insert(HOST, host?);
        Ok(request)
    }
}

/// On a connection of our own, a kept one if there is one.
async fn direct(
    (url, tls): (&Url, Option<&TlsConnector>),
    message: &Message,
    limit: usize,
) -> Result<Response<Content>, Failure> {
    let kept = kept::take(url, tls);
    let may_be_closing = kept.is_some();
    let mut link = match kept {
        Some(link) => link,
        None => Link::open(url, tls).await?,
    };
    let began = Instant::now();
    let mut answer = link.ask(message.direct(url)?, |answer| whole(answer, limit)).await;
    let lost = match &answer {
        // So do some servers announce that they close an idle connection.
        Ok(answer) => answer.status() == StatusCode::REQUEST_TIMEOUT,
        Err(failure) => matches!(failure, Failure::Exchange(_)) && !link.was_answered(),
    };
    if may_be_closing && lost && began.elapsed() < CLOSING {
        link = Link::open(url, tls).await?;
        answer = link.ask(message.direct(url)?, |answer| whole(answer, limit)).await;
    }
    if answer.is_ok() {
        kept::give_back(url, tls, link);
    }
    answer
}

async fn proxied(
    url: &Url,
    client: &reqwest::Client,
    message: &Message,
    limit: usize,
) -> Result<Response<Content>, Failure> {
    let mut request = reqwest::Request::new(message.method.clone(), url.clone());
    *request.headers_mut() = message.headers();
    *request.body_mut() = message.form.clone().map(Into::into);
    let answer = client.execute(request).await?;
    // Through a tunnel the library tells the two apart; without one, only a proxy says this (RFC 9110 section 15.5.8).
    if url.scheme() == "http" && answer.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        return Err(Failure::Unknown);
    }
    whole(answer.into(), limit).await
}

/// Takes in the body, but not that of a redirect, which nobody reads.
async fn whole<B>(answer: Response<B>, limit: usize) -> Result<Response<Content>, Failure>
where
    B: Body<Data = Bytes>,
    Failure: From<B::Error>,
{
    let (parts, body) = answer.into_parts();
    if parts.status.is_redirection() {
        return Ok(Response::from_parts(parts, Content::default()));
    }
    let announced = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(Failure::TooLarge(limit));
    }
    let mut content = Content::new(Vec::with_capacity(announced.unwrap_or(16 * 1024)));
    let mut body = pin!(body);
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame?.into_data() else { continue };
        if content.len() + chunk.len() > limit {
            return Err(Failure::TooLarge(limit));
        }
        if content.len() + chunk.len() > content.capacity() {
            // What grows by itself leaves an old piece behind that nobody wipes.
            let room = (2 * content.capacity()).max(content.len() + chunk.len()).min(limit);
            let mut larger = Content::new(Vec::with_capacity(room));
            larger.extend_from_slice(&content);
            content = larger;
        }
        content.extend_from_slice(&chunk);
    }
    Ok(Response::from_parts(parts, content))
}

/// Boxed, because each future around one has room for it several times over, and moving them costs more than this.
type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, HttpError>> + Send + 'a>>;

async fn within<T>((url, time): (&Url, Duration), work: Work<'_, T>) -> Result<T, HttpError> {
    tokio::time::timeout(time, work)
        .await
        .unwrap_or_else(|_| Err(HttpError::Timeout { address: address(url), time }))
}

/// Where to go next, if the answer is a redirect that may be followed.
fn redirect(
    from: &Url,
    response: &Response<Content>,
    credentials: bool,
) -> Result<Option<Url>, HttpError> {
    let refuse = |reason| Err(HttpError::Redirect { address: address(from), reason });
    let status = response.status();
    if ![StatusCode::MOVED_PERMANENTLY, StatusCode::FOUND, StatusCode::SEE_OTHER].contains(&status)
        && ![StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT].contains(&status)
    {
        return Ok(None);
    }
    let Some(next) = response
        .headers()
        .get(LOCATION)
        .and_then(|l| l.to_str().ok())
        .and_then(|l| from.join(l).ok())
    else {
        return refuse("to nowhere");
    };
    if credentials && next.origin() != from.origin() {
        return refuse("to another origin, which must not see the access token");
    }
    match (from.scheme(), next.scheme()) {
        (_, "https") | ("http", "http") => Ok(Some(next)),
        ("https", "http") => refuse("from https to http"),
        _ => refuse("to something that is not http"),
    }
}

fn sensitive(value: &str, url: &Url) -> Result<HeaderValue, HttpError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| HttpError::Unreachable {
        address: address(url),
        reason: "a credential has characters that can not be in a header".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests;
