//! The listeners for those who run the proxy: health, metrics, and the state of the configuration.
//!
//! They know nothing secret. Whether the identity provider answers never decides on health, because restarting the proxy
//! would not help; that something else answers in its place holds readiness back, because a rollout should then stop.

mod direct;
mod listener;
mod slots;

pub(crate) use listener::Listening;

use crate::body::Body;
use crate::metrics::{self, Registry};
use crate::oidc::ProviderStatus;
use crate::reload::InForce;
use crate::reply;
use crate::server::{Farewell, Internal};
use crate::site::SiteCell;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use listener::Caller;
use serde_json::{Value as Json, json};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long the direct connections that were found are told to whoever asks next: reading the kernel's tables takes its time.
const FRESH: Duration = Duration::from_secs(1);

/// What the listeners show.
pub(crate) struct Admin {
    /// All metrics.
    pub(crate) registry: Arc<Registry>,
    /// The configuration's state.
    pub(crate) status: Arc<InForce>,
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
    /// The direct connections that were found last, and when.
    pub(crate) last: Mutex<Option<(Instant, Json)>>,
}

impl Admin {
    async fn answer(
        &self,
        method: &Method,
        path: &str,
        Caller { shown, local, .. }: Caller,
    ) -> Response<Body> {
        if (shown, path, method) == (Internal::Admin, "/drain", &Method::POST) {
            return self.drain(local);
        }
        if !matches!(*method, Method::GET | Method::HEAD) {
            return response(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "GET only\n");
        }
        match shown {
            Internal::Metrics => self.metrics(),
            Internal::Admin => self.page(path).await,
        }
    }

    fn metrics(&self) -> Response<Body> {
        response(StatusCode::OK, metrics::CONTENT_TYPE, self.registry.text())
    }

    async fn page(&self, path: &str) -> Response<Body> {
        match path {
            "/metrics" => self.metrics(),
            "/readyz" if self.draining.load(Ordering::Relaxed) => {
                response(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "draining\n")
            }
            "/readyz" if !self.cell.load().providers.may_work().await => response(
                StatusCode::SERVICE_UNAVAILABLE,
                "text/plain",
                "what answers is not the identity provider that is configured: see /status\n",
            ),
            "/livez" | "/readyz" => response(StatusCode::OK, "text/plain", "ok\n"),
            "/status" => response(StatusCode::OK, "application/json", self.state().await),
            _ => response(
                StatusCode::NOT_FOUND,
                "text/plain",
                "not found: /livez /readyz /metrics /status\n",
            ),
        }
    }

    /// The pod ends: answers close their connections from now on, so that clients turn to other pods while the application
    /// still answers. Only for the pod itself; anybody else could keep every client reconnecting.
    fn drain(&self, local: bool) -> Response<Body> {
        if !local {
            return response(StatusCode::FORBIDDEN, "text/plain", "only from within the pod\n");
        }
        tracing::info!("the pod ends: clients are asked to leave");
        self.draining.store(true, Ordering::Relaxed);
        self.farewell.begin();
        response(StatusCode::OK, "text/plain", "draining\n")
    }

    /// The status as text. What costs much is shared; what the operator acts on, such as the configuration in force, is told
    /// as it is now.
    async fn state(&self) -> Bytes {
        let direct = match self.direct_port {
            Some(port) => Some(self.direct(port).await),
            None => None,
        };
        let state = self.status.state();
        let site = self.cell.load();
        let providers: Vec<Json> = site.providers.iter().map(|p| described(&p.status())).collect();
        let mut object = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "configHash": state.hash,
            "reload": {"lastError": state.last_error},
            // For operators that know of one.
            "provider": described(&site.providers.standard().status()),
            "providers": providers,
            "cookieKey": site.ring.wear(),
            "draining": self.draining.load(Ordering::Relaxed),
        });
        if let (Some(direct), Some(members)) = (direct, object.as_object_mut()) {
            members.insert("directConnections".to_owned(), direct);
        }
        object.to_string().into()
    }

    /// Those who ask while it is found out wait for it, and get the same.
    async fn direct(&self, port: u16) -> Json {
        let mut last = self.last.lock().await;
        if let Some((at, direct)) = last.as_ref()
            && at.elapsed() < FRESH
        {
            return direct.clone();
        }
        let direct =
            serde_json::to_value(direct::lasting(port, self.node).await).unwrap_or_default();
        *last = Some((Instant::now(), direct.clone()));
        direct
    }
}

/// A provider on the status page.
fn described(provider: &ProviderStatus) -> Json {
    json!({
        "id": provider.id, "ready": provider.ready, "error": provider.error,
        "impossible": provider.impossible, "lastCall": provider.lasts.call,
        "lastTokenCall": provider.lasts.token, "lastLogin": provider.lasts.login,
    })
}

fn response(status: StatusCode, content: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let content = HeaderValue::from_static(content);
    let mut response = reply::with(status, content, Body::full(body));
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
