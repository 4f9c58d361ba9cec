//! The paths of the own endpoints, compared exactly as received. Only these need no session.

use proxy_config::Http;

/// Where the own endpoints are.
#[derive(Debug)]
pub(crate) struct Endpoints {
    prefix: String,
    /// Empty: off.
    ping: String,
    /// Empty: off.
    ready: String,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
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
    /// Where the provider leads back to after a sign-out.
    SignedOut,
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
    pub(crate) fn new(http: &Http) -> Self {
        Self {
            prefix: http.proxy_prefix.clone(),
            ping: http.ping_path.clone(),
            ready: http.ready_path.clone(),
        }
    }

    /// The endpoint at `path`, as received.
    pub(crate) fn find(&self, path: &str) -> Option<Endpoint> {
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
            "/signed_out" => Some(Endpoint::SignedOut),
            "/start" => Some(Endpoint::Start),
            "/callback" => Some(Endpoint::Callback),
            "/userinfo" => Some(Endpoint::Userinfo),
            rest if rest.starts_with("/static/") => Some(Endpoint::Static),
            _ => None,
        }
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
            ("/px/signed_out", Endpoint::SignedOut),
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
