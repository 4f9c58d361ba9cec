//! Own endpoints, redirects, forwarded headers, and the bounds on what a peer may send.

use crate::Duration;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Behaviour of the application's listeners.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Http {
    /// Path under which the own endpoints are.
    pub proxy_prefix: String,
    /// Liveness path, answered 200 for any client; empty: off.
    pub ping_path: String,
    /// Readiness path, answered 200 while the session store answers; empty: off.
    pub ready_path: String,
    /// Redirect URL given to the provider; without host or path these come from the request and the prefix.
    pub redirect_url: Option<String>,
    /// Give the provider the redirect URL as it is, even if relative.
    pub relative_redirect_url: bool,
    /// Hosts that a redirect after login or sign-out may lead to: `d`, `.d`, `*.d`, each with an optional `:port` or `:*`.
    pub whitelist_domains: Vec<String>,
    /// Encode the whole state parameter in base64url.
    pub encode_state: bool,
    /// Redirect plain HTTP to HTTPS with 308.
    pub force_https: bool,
    /// We stand behind another proxy.
    pub reverse_proxy: Option<ReverseProxy>,
    /// Header with the request id; a random one is made if it is missing.
    pub request_id_header: String,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            proxy_prefix: "/oauth2".to_owned(),
            ping_path: "/ping".to_owned(),
            ready_path: "/ready".to_owned(),
            redirect_url: None,
            relative_redirect_url: false,
            whitelist_domains: Vec::new(),
            encode_state: false,
            force_https: false,
            reverse_proxy: None,
            request_id_header: "X-Request-Id".to_owned(),
        }
    }
}

/// A proxy in front of us, and how far its headers are believed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReverseProxy {
    /// Peers whose forwarded headers count everywhere. Empty: any peer's count for scheme and host of redirects, and none
    /// for any decision on access.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub trusted_proxies: Vec<IpNet>,
    /// Header with the client's address.
    #[serde(default = "default_real_ip")]
    pub real_client_ip_header: String,
}

fn default_real_ip() -> String {
    "X-Real-IP".to_owned()
}

/// Bounds. Sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Time to receive the head of a request, and time for the body of a form of our own pages.
    pub header_timeout: Duration,
    /// Time a connection may be idle between requests.
    pub idle_timeout: Duration,
    /// Time without a byte in either direction after which an answer under way or an upgraded connection is cut, while it is
    /// the other side that is silent. Zero: they may be silent for ever.
    pub stream_idle_timeout: Duration,
    /// Time the client may take none of the bytes that are there for it, or send none of a body that it announced.
    pub stall_timeout: Duration,
    /// Time given to requests in flight when the process stops.
    pub drain_timeout: Duration,
    /// Size of the head of a request.
    pub max_header_bytes: u32,
    /// Client connections at a time.
    pub max_connections: u32,
    /// Worker threads; zero: one per core.
    pub workers: u16,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(90),
            stream_idle_timeout: Duration::from_secs(0),
            stall_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(25),
            max_header_bytes: 128 * 1024,
            max_connections: 50_000,
            workers: 0,
        }
    }
}
