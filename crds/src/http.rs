//! Own endpoints, redirects, and what is believed of a proxy in front.

use crate::schema::duration;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Own endpoints and redirects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Http {
    /// Path under which the proxy's own endpoints are. The callback to register at the provider is
    /// `<proxyPrefix>/callback`.
    #[serde(default = "prefix")]
    #[schemars(length(min = 2, max = 256), regex(pattern = r"^(/[-._~A-Za-z0-9]+)+$"))]
    pub proxy_prefix: String,

    /// Callback URL that is given to the provider. Absent: made of the host of the request and the prefix.
    #[serde(default, rename = "redirectURL", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = r"^https?://[^\s#]+$"))]
    pub redirect_url: Option<String>,

    /// Hosts beside the request's own that a redirect after login or sign-out may lead to: `app.example.com`,
    /// `.example.com` for sub-domains, each with an optional `:port` or `:*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(min = 1, max = 260)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub whitelist_domains: Vec<String>,

    /// Redirect plain HTTP to HTTPS.
    #[serde(default, rename = "forceHTTPS")]
    pub force_https: bool,

    /// Time without a byte after which an answer under way (a long poll, an event stream) or an upgraded connection (a
    /// WebSocket) is cut, such as `1h`. `0s`: never; the system finds dead peers by itself.
    #[serde(default = "never")]
    #[schemars(schema_with = "duration")]
    pub stream_idle_timeout: String,

    /// The proxy stands behind an ingress controller, gateway or load balancer. Absent: forwarded headers are ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverse_proxy: Option<ReverseProxy>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            proxy_prefix: prefix(),
            redirect_url: None,
            whitelist_domains: Vec::new(),
            force_https: false,
            stream_idle_timeout: never(),
            reverse_proxy: None,
        }
    }
}

/// How far the headers of a proxy in front are believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReverseProxy {
    /// Networks of the proxies in front. Empty: scheme and host count for redirects whoever sends them, and no forwarded
    /// value counts for any decision on access.
    #[serde(default, rename = "trustedProxyIPs", skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 128),
        inner(length(min = 2, max = 64), regex(pattern = r"^[0-9a-fA-F:.]+(/[0-9]{1,3})?$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub trusted_proxy_ips: Vec<String>,

    /// Header with the client's address.
    #[serde(default = "real_ip", rename = "realClientIPHeader")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[-A-Za-z0-9]+$"))]
    pub real_client_ip_header: String,
}

fn never() -> String {
    "0s".to_owned()
}

fn prefix() -> String {
    "/oauth2".to_owned()
}

fn real_ip() -> String {
    "X-Real-IP".to_owned()
}
