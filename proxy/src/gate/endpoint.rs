//! The own endpoints, found by their exact path as received (`reference/endpoints.md` sections 1, 5, 7 to 13). Only these
//! need no session.

mod auth;
mod callback;
mod health;
mod sign_in;
mod sign_out;

use super::refusal::Refusal;
use super::visit::Visit;
use crate::body::Body;
use crate::exchange::Exchange;
use crate::reply;
use crate::routing::NormalPath;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use proxy_config::Http;

/// Where the own endpoints are.
#[derive(Debug)]
pub(super) struct Endpoints {
    prefix: String,
    /// Empty: off.
    ping: String,
    /// Empty: off.
    ready: String,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// Liveness.
    Ping,
    /// Readiness.
    Ready,
    /// `/robots.txt`
    Robots,
    /// For proxies that ask whether a request may pass.
    Auth,
    /// The sign-in page; it ends a session.
    SignIn,
    /// Ends a session.
    SignOut,
    /// Begins a login.
    Start,
    /// Ends a login.
    Callback,
    /// Who the session is.
    Userinfo,
    /// Files of our pages, of which there are none.
    Static,
}

impl Endpoints {
    /// From the configuration.
    pub(super) fn new(http: &Http) -> Self {
        Self {
            prefix: http.proxy_prefix.clone(),
            ping: http.ping_path.clone(),
            ready: http.ready_path.clone(),
        }
    }

    /// The endpoint at `path`, as received.
    pub(super) fn find(&self, path: &str) -> Option<Endpoint> {
        if path == self.ping {
            return Some(Endpoint::Ping);
        }
        if path == self.ready {
            return Some(Endpoint::Ready);
        }
        if path == "/robots.txt" {
            return Some(Endpoint::Robots);
        }
        match path.strip_prefix(self.prefix.as_str())? {
            "/auth" => Some(Endpoint::Auth),
            "/sign_in" => Some(Endpoint::SignIn),
            "/sign_out" => Some(Endpoint::SignOut),
            "/start" => Some(Endpoint::Start),
            "/callback" => Some(Endpoint::Callback),
            "/userinfo" => Some(Endpoint::Userinfo),
            rest if rest.starts_with("/static/") => Some(Endpoint::Static),
            _ => None,
        }
    }
}

/// Answers a request for an own endpoint.
///
/// # Errors
/// See [`Refusal`].
pub(super) async fn serve(
    visit: &mut Visit<'_>,
    endpoint: Endpoint,
    path: &NormalPath,
    body: Incoming,
    exchange: &mut Exchange,
) -> Result<Response<Body>, Refusal> {
    visit.no_cache = matches!(
        endpoint,
        Endpoint::SignIn
            | Endpoint::SignOut
            | Endpoint::Start
            | Endpoint::Callback
            | Endpoint::Userinfo
    );
    match endpoint {
        Endpoint::Ping | Endpoint::Ready => {
            exchange.uncounted();
            Ok(Box::pin(health::answer(visit, endpoint)).await)
        }
        Endpoint::Robots => Ok(reply::text(StatusCode::OK, "User-agent: *\nDisallow: /\n")),
        Endpoint::Static => Ok(reply::not_found()),
        Endpoint::Auth => auth::auth(visit, path, exchange).await,
        Endpoint::Userinfo => auth::userinfo(visit, path, exchange).await,
        // Boxed, because they are rare and large, and every request's future would have room for them.
        Endpoint::SignIn => Box::pin(sign_in::page(visit, path, body)).await,
        Endpoint::Start => Box::pin(sign_in::start(visit, path, body)).await,
        Endpoint::Callback => Box::pin(callback::finish(visit, path, body, exchange)).await,
        Endpoint::SignOut => Box::pin(sign_out::leave(visit, path, body, exchange)).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_paths_are_ours() {
        let endpoints = Endpoints::new(&Http { proxy_prefix: "/px".to_owned(), ..Http::default() });
        for (path, endpoint) in [
            ("/ping", Endpoint::Ping),
            ("/ready", Endpoint::Ready),
            ("/robots.txt", Endpoint::Robots),
            ("/px/auth", Endpoint::Auth),
            ("/px/static/x.css", Endpoint::Static),
        ] {
            assert_eq!(endpoints.find(path), Some(endpoint), "{path}");
        }
        for path in [
            "/",
            "/px",
            "/px/",
            "/px/auth/",
            "/px/Auth",
            "/px/%61uth",
            "/px/nope",
            "/pxauth",
            "/oauth2/auth",
            "/ping/",
        ] {
            assert_eq!(endpoints.find(path), None, "{path}");
        }
    }

    #[test]
    fn a_health_path_can_be_off() {
        let http = Http { ping_path: String::new(), ready_path: String::new(), ..Http::default() };
        assert_eq!(Endpoints::new(&http).find("/ping"), None);
        assert_eq!(Endpoints::new(&http).find("/ready"), None);
    }
}
