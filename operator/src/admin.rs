//! `/livez`, `/readyz` and `/metrics`, for the kubelet and Prometheus. Nothing here is secret and nothing can be changed.

use crate::metrics::Metrics;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Socket, Type};
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;

/// Time to send the head of a request.
const HEADER_TIME: Duration = Duration::from_secs(5);
/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// What the listener tells.
#[derive(Clone)]
pub(crate) struct Health {
    /// Whether all watches have listed what there is.
    synced: Arc<AtomicBool>,
    metrics: Metrics,
}

impl Health {
    /// Not ready yet.
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self { synced: Arc::default(), metrics }
    }

    /// From now on ready.
    pub(crate) fn set_synced(&self) {
        self.synced.store(true, Ordering::Release);
    }

    fn answer(&self, method: &Method, path: &str) -> (StatusCode, &'static str, String) {
        const PLAIN: &str = "text/plain; charset=utf-8";
        if method != Method::GET && method != Method::HEAD {
            return (StatusCode::METHOD_NOT_ALLOWED, PLAIN, "only GET\n".to_owned());
        }
        match path {
            "/livez" => (StatusCode::OK, PLAIN, "ok\n".to_owned()),
            "/readyz" if self.synced.load(Ordering::Acquire) => {
                (StatusCode::OK, PLAIN, "ok\n".to_owned())
            }
            "/readyz" => (
                StatusCode::SERVICE_UNAVAILABLE,
                PLAIN,
                "the watches are not synced yet\n".to_owned(),
            ),
            "/metrics" => match self.metrics.encode() {
                Ok(text) => (
                    StatusCode::OK,
                    "application/openmetrics-text; version=1.0.0; charset=utf-8",
                    text,
                ),
                Err(_) => (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    PLAIN,
                    "the metrics could not be written\n".to_owned(),
                ),
            },
            _ => (
                StatusCode::NOT_FOUND,
                PLAIN,
                "there are /livez, /readyz and /metrics\n".to_owned(),
            ),
        }
    }

    fn respond(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let (status, type_, text) = self.answer(request.method(), request.uri().path());
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(type_));
        response
    }
}

/// Listens on an address. All interfaces means both families, and IPv4 alone where the kernel has no IPv6.
///
/// # Errors
/// The system's, such as that the port is taken.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    or_without_ipv6(address, bound)
}

fn bound(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // Not left to the system's setting.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn or_without_ipv6<T>(
    address: SocketAddr,
    open: impl Fn(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    match open(address) {
        Err(error)
            if address.ip() == Ipv6Addr::UNSPECIFIED
                && error.kind() != io::ErrorKind::AddrInUse =>
        {
            open(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
        }
        outcome => outcome,
    }
}

/// Serves until the process ends.
pub(crate) async fn serve(listener: TcpListener, health: Health) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection to the admin address could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let health = health.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let response = health.respond(&request);
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIME)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the admin address failed");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_follows_the_watches_and_not_the_lease() {
        let health = Health::new(Metrics::new());
        assert_eq!(health.answer(&Method::GET, "/readyz").0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(health.answer(&Method::GET, "/livez").0, StatusCode::OK);
        health.set_synced();
        assert_eq!(health.answer(&Method::GET, "/readyz").0, StatusCode::OK);
    }

    #[test]
    fn metrics_are_the_text_that_prometheus_reads() {
        let metrics = Metrics::new();
        metrics.reconciled("oauth2proxy", None, Duration::from_millis(3));
        metrics.set_leader(true);
        let (status, type_, text) = Health::new(metrics).answer(&Method::GET, "/metrics");
        assert_eq!(status, StatusCode::OK);
        assert!(type_.starts_with("application/openmetrics-text"));
        assert!(text.contains("oauth2_proxy_operator_leader 1\n"), "{text}");
        assert!(text.contains(
            "oauth2_proxy_operator_reconcile_duration_seconds_count{controller=\"oauth2proxy\"} 1\n"
        ));
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn all_interfaces_are_those_of_ipv4_where_there_is_no_ipv6() {
        let none = |address: SocketAddr| match address {
            SocketAddr::V6(_) => Err(io::Error::from_raw_os_error(97)),
            SocketAddr::V4(_) => Ok(address.to_string()),
        };
        let open = |address: &str| or_without_ipv6(address.parse().unwrap(), none);
        assert_eq!(open("[::]:8080").unwrap(), "0.0.0.0:8080");
        assert_eq!(open("0.0.0.0:8080").unwrap(), "0.0.0.0:8080");
        // Who asks for one address gets that one or is told.
        assert!(open("[::1]:8080").is_err());
        let taken = or_without_ipv6("[::]:8080".parse().unwrap(), |_| {
            Err::<(), _>(io::Error::from(io::ErrorKind::AddrInUse))
        });
        assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn all_interfaces_means_both_families() {
        let listener = bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))).unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    }
}
