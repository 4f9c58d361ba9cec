//! Requests to the identity provider: bounded in time, size and redirects, and without secrets in their errors.
//!
//! Nothing here knows what an answer means beyond its status and media type. Connections are not kept: a token request
//! that meets a connection which the provider has just closed would be lost together with its single-use code.

mod error;
mod tls;

pub(super) use error::{HttpError, address};

use crate::clock::Clock;
use crate::names;
use crate::trust::{self, Roots};
use error::{chain, unreachable};
use jiff::Timestamp;
use proxy_config::ProviderTls;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderValue, LOCATION};
use reqwest::{Method, Request, Response, StatusCode};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Mutex;
use url::{Host, Url};
use zeroize::Zeroizing;

/// Longest a request may take, redirects and body included.
pub(super) const TOTAL_TIME: Duration = Duration::from_secs(10);
/// The same where nobody waits for the answer so long, and it is worth having all the same: the refresh token that it was
/// asked with is used up.
pub(super) const LONG_TIME: Duration = Duration::from_mins(1);
/// Longest the connection itself may take.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Redirects followed on a GET.
const MAX_REDIRECTS: usize = 3;
/// Largest answer in bytes, but for key sets.
pub(super) const MAX_ANSWER: usize = 1024 * 1024;
/// Largest key set in bytes.
pub(super) const MAX_KEYS: usize = 512 * 1024;

/// With one of these set, even a plain request may go through a proxy that speaks TLS.
const PROXIES: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// No answer has had a date yet.
const UNKNOWN: i64 = i64::MIN;

/// Speaks HTTP to one provider. What it needs is built at the first request, because reading the system's roots takes longer than
/// the rest of the start, and again when a CA file has changed.
pub(super) struct Http {
    tls: ProviderTls,
    clock: Arc<dyn Clock>,
    /// See [`Http::skew`]; [`UNKNOWN`] until an answer had a date.
    skew: AtomicI64,
    /// For `http` without a proxy: it holds no roots, which are the larger part of what a client weighs.
    plain: OnceLock<reqwest::Client>,
    secure: Mutex<Option<(tls::Marks, Secure)>>,
}

/// Clients that trust the same roots.
#[derive(Clone)]
struct Secure {
    direct: reqwest::Client,
    /// Goes through the proxy that the environment names, if any.
    proxied: reqwest::Client,
}

impl Secure {
    fn build(config: rustls::ClientConfig) -> Result<Self, HttpError> {
        let direct = build(config.clone(), reqwest::ClientBuilder::no_proxy)?;
        Ok(Self { direct, proxied: build(config, |builder| builder)? })
    }

    fn of(&self, url: &Url) -> reqwest::Client {
        if is_loopback(url) { self.direct.clone() } else { self.proxied.clone() }
    }
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
        Self {
            tls,
            clock,
            skew: AtomicI64::new(UNKNOWN),
            plain: OnceLock::new(),
            secure: Mutex::new(None),
        }
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
        within((url, TOTAL_TIME), async {
            let mut target = url.clone();
            for _ in 0..=MAX_REDIRECTS {
                let mut request = Request::new(Method::GET, target.clone());
                request.headers_mut().insert(ACCEPT, HeaderValue::from_static(get.accept));
                if let Some(token) = get.bearer {
                    request
                        .headers_mut()
                        .insert(AUTHORIZATION, sensitive(&format!("Bearer {token}"), &target)?);
                }
                let response = self.client(&target).await?.execute(request).await;
                let response = response.map_err(|error| unreachable(&target, error))?;
                match redirect(&target, &response, get.bearer.is_some())? {
                    None => return self.receive(&target, response, get.limit).await,
                    Some(next) => target = next,
                }
            }
            Err(HttpError::Redirect { address: address(url), reason: "more than three times" })
        })
        .await
    }

    /// A POST of a form (already encoded), with an `Authorization` header if given, that may take `time`. Redirects are refused: the form holds
    /// the code and perhaps the client secret.
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
        within((url, time), async {
            let client = self.client(url).await?;
            let mut request = Request::new(Method::POST, url.clone());
            let headers = request.headers_mut();
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
            headers.insert(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            );
            if let Some(value) = authorization {
                headers.insert(AUTHORIZATION, sensitive(value, url)?);
            }
            *request.body_mut() = Some(form.as_bytes().to_vec().into());
            let response =
                client.execute(request).await.map_err(|error| unreachable(url, error))?;
            if response.status().is_redirection() {
                return Err(HttpError::Redirect {
                    address: address(url),
                    reason: "a token request",
                });
            }
            self.receive(url, response, MAX_ANSWER).await
        })
        .await
    }

    async fn receive(
        &self,
        url: &Url,
        response: Response,
        limit: usize,
    ) -> Result<Answer, HttpError> {
        let date = response.headers().get(DATE).and_then(|value| value.to_str().ok());
        let date = date
            .and_then(|text| httpdate::parse_http_date(text).ok())
            .and_then(|at| Timestamp::try_from(at).ok());
        if let Some(date) = date {
            self.skew.store(date.as_second() - self.clock.now().as_second(), Ordering::Relaxed);
        }
        receive(url, response, limit).await
    }

    async fn client(&self, url: &Url) -> Result<reqwest::Client, HttpError> {
        let proxied =
            || !is_loopback(url) && PROXIES.iter().any(|name| std::env::var_os(name).is_some());
        if url.scheme() == "http" && !proxied() {
            let client = match self.plain.get() {
                Some(client) => client.clone(),
                None => build(
                    trust::client(Roots::none()).map_err(HttpError::Trust)?,
                    reqwest::ClientBuilder::no_proxy,
                )?,
            };
            return Ok(self.plain.get_or_init(|| client).clone());
        }
        let marks = tls::marks(&self.tls);
        let mut secure = self.secure.lock().await;
        if let Some((old, clients)) = secure.as_ref()
            && *old == marks
        {
            return Ok(clients.of(url));
        }
        let tls = self.tls.clone();
        let config = tokio::task::spawn_blocking(move || tls::config(&tls))
            .await
            .map_err(|_| HttpError::Trust("the proxy is stopping".to_owned()))?
            .map_err(HttpError::Trust)?;
        let clients = Secure::build(config)?;
        let client = clients.of(url);
        *secure = Some((marks, clients));
        Ok(client)
    }
}

/// Whether `url` is on this machine. What a proxy would reach under such a name is its own machine, so none is asked; Go has
/// the same rule, and operators count on it.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
        None => false,
    }
}

fn build(
    config: rustls::ClientConfig,
    proxies: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Result<reqwest::Client, HttpError> {
    proxies(reqwest::Client::builder())
        .user_agent(concat!("oauth2-proxy/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIME)
        .pool_max_idle_per_host(0)
        .dns_resolver(Resolver)
        .tls_backend_preconfigured(config)
        .build()
        .map_err(|error| HttpError::Trust(chain(&error)))
}

/// Looks names up beside everything else that looks for names.
struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses = names::look_up(name.as_str()).await?;
            let addresses: Vec<_> =
                addresses.iter().map(|address| SocketAddr::new(*address, 0)).collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

async fn within<T>(
    (url, time): (&Url, Duration),
    work: impl Future<Output = Result<T, HttpError>>,
) -> Result<T, HttpError> {
    tokio::time::timeout(time, work)
        .await
        .unwrap_or_else(|_| Err(HttpError::Timeout { address: address(url), time }))
}

/// Where to go next, if the answer is a redirect that may be followed.
fn redirect(from: &Url, response: &Response, credentials: bool) -> Result<Option<Url>, HttpError> {
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

async fn receive(url: &Url, mut response: Response, limit: usize) -> Result<Answer, HttpError> {
    let too_large = || HttpError::TooLarge { address: address(url), limit };
    let announced = response.content_length().and_then(|n| usize::try_from(n).ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
    let media_type = header(CONTENT_TYPE)
        .and_then(|v| v.split(';').next())
        .unwrap_or_default()
        .trim()
        .to_lowercase();
    let status = response.status().as_u16();
    let mut body = Zeroizing::new(Vec::with_capacity(announced.unwrap_or(16 * 1024)));
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(url, error))? {
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, media_type, body })
}

fn sensitive(value: &str, url: &Url) -> Result<HeaderValue, HttpError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| HttpError::Unreachable {
        address: address(url),
        reason: "a credential has characters that can not be in a header".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}
