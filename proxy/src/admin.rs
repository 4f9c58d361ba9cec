//! The listeners for those who run the proxy: health, metrics, and the state of the configuration.
//!
//! They run on the control runtime, so that a busy worker delays no probe, and know nothing secret. Whether the identity
//! provider answers never decides on health: restarting the proxy would not help.

mod direct;

use crate::metrics::{self, Registry};
use crate::reload::Status;
use crate::server::{Farewell, Socket, breathe};
use crate::site::SiteCell;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value as Json, json};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;

/// Probes, a scraper and the operator: more connections than this are somebody else's.
const CONNECTIONS: usize = 64;
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that is open longer is closed after its response; clients open another.
const LIFETIME: Duration = Duration::from_mins(5);

/// What the listeners show.
pub(crate) struct Admin {
    /// All metrics.
    pub(crate) registry: Arc<Registry>,
    /// The configuration's state.
    pub(crate) status: Arc<Status>,
    /// The site in force.
    pub(crate) cell: Arc<SiteCell>,
    /// The process is on its way out.
    pub(crate) draining: AtomicBool,
    /// Has clients leave, when the pod says that it ends.
    pub(crate) farewell: Farewell,
    /// The port whose direct connections are listed.
    pub(crate) direct_port: Option<u16>,
    /// The node, whose probes are not listed.
    pub(crate) node: Option<IpAddr>,
}

/// What a listener answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    /// `/livez`, `/readyz`, `/metrics`, `/status`.
    Admin,
    /// Metrics on every path, as oauth2-proxy's metrics listener does.
    Metrics,
}

impl Admin {
    /// Serves `socket` until the runtime ends.
    pub(crate) async fn serve(self: Arc<Self>, socket: Socket, answers: Answers) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        match socket {
            Socket::Tcp(listener) => match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => loop {
                    match listener.accept().await {
                        Ok((stream, peer)) => self.spawn(
                            stream,
                            (answers, peer.ip().to_canonical().is_loopback()),
                            &slots,
                        ),
                        Err(error) => breathe(&error).await,
                    }
                },
                Err(error) => tracing::error!(%error, "the admin listener can not be used"),
            },
            Socket::Unix(listener, _file) => match tokio::net::UnixListener::from_std(listener) {
                Ok(listener) => loop {
                    match listener.accept().await {
                        Ok((stream, _)) => self.spawn(stream, (answers, true), &slots),
                        Err(error) => breathe(&error).await,
                    }
                },
                Err(error) => tracing::error!(%error, "the admin listener can not be used"),
            },
        }
    }

    fn spawn<S>(
        self: &Arc<Self>,
        stream: S,
        (answers, local): (Answers, bool),
        slots: &Arc<Semaphore>,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // Without a free slot the connection is closed at once.
        let Ok(slot) = Arc::clone(slots).try_acquire_owned() else { return };
        let admin = Arc::clone(self);
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let admin = Arc::clone(&admin);
                async move {
                    let (method, path) = (request.method(), request.uri().path());
                    Ok::<_, Infallible>(admin.answer(method, path, (answers, local)).await)
                }
            });
            let mut builder = http1::Builder::new();
            builder
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .max_buf_size(16 * 1024);
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            if tokio::time::timeout(LIFETIME, connection.as_mut()).await.is_err() {
                connection.as_mut().graceful_shutdown();
                let _ = tokio::time::timeout(HEADER_TIMEOUT, connection).await;
            }
            drop(slot);
        });
    }

    async fn answer(
        &self,
        method: &Method,
        path: &str,
        (answers, local): (Answers, bool),
    ) -> Response<Full<Bytes>> {
        if (answers, path, method) == (Answers::Admin, "/drain", &Method::POST) {
            return self.drain(local);
        }
        if !matches!(*method, Method::GET | Method::HEAD) {
            return response(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "GET only\n");
        }
        match (answers, path) {
            (Answers::Metrics, _) | (_, "/metrics") => {
                response(StatusCode::OK, metrics::CONTENT_TYPE, self.registry.text())
            }
            (_, "/readyz") if self.draining.load(Ordering::Relaxed) => {
                response(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "draining\n")
            }
            (_, "/livez" | "/readyz") => response(StatusCode::OK, "text/plain", "ok\n"),
            (_, "/status") => {
                response(StatusCode::OK, "application/json", self.state().await.to_string())
            }
            _ => response(
                StatusCode::NOT_FOUND,
                "text/plain",
                "not found: /livez /readyz /metrics /status\n",
            ),
        }
    }

    /// The pod ends: answers close their connections from now on, so that clients turn to other pods while the application
    /// still answers. Only for the pod itself; anybody else could keep every client reconnecting.
    fn drain(&self, local: bool) -> Response<Full<Bytes>> {
        if !local {
            return response(StatusCode::FORBIDDEN, "text/plain", "only from within the pod\n");
        }
        tracing::info!("the pod ends: clients are asked to leave");
        self.draining.store(true, Ordering::Relaxed);
        self.farewell.begin();
        response(StatusCode::OK, "text/plain", "draining\n")
    }

    async fn state(&self) -> Json {
        let state = self.status.state();
        let site = self.cell.load();
        let provider = site.provider.status();
        let mut object: serde_json::Map<String, Json> = [
            ("version", env!("CARGO_PKG_VERSION").into()),
            ("configHash", state.hash.into()),
            ("reload", json!({"lastError": state.last_error})),
            (
                "provider",
                json!({"id": provider.id, "ready": provider.ready, "error": provider.error}),
            ),
            ("draining", self.draining.load(Ordering::Relaxed).into()),
        ]
        .into_iter()
        .map(|(name, value): (&str, Json)| (name.to_owned(), value))
        .collect();
        if let Some(port) = self.direct_port
            && let Ok(direct) = serde_json::to_value(direct::lasting(port, self.node).await)
        {
            object.insert("directConnections".to_owned(), direct);
        }
        object.into()
    }
}

fn response(
    status: StatusCode,
    content: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}
