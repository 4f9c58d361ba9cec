//! Where the stand-alone proxy sends requests.

use crate::schema::duration;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// One route of the stand-alone proxy. The longest path that matches wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.uri) != has(self.staticCode)")
    .message("set exactly one of uri (a server) and staticCode (a fixed answer)"))]
pub struct Upstream {
    /// Name of the route; shown in the request log.
    #[schemars(length(min = 1, max = 128))]
    pub id: String,

    /// Path: with a slash at the end everything below it, otherwise exactly this one. A regular expression if
    /// `rewriteTarget` is set.
    #[schemars(length(min = 1, max = 1024))]
    pub path: String,

    /// What the path is replaced with; `$1` stands for what the first group of the expression caught.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub rewrite_target: Option<String>,

    /// Server to send requests to, such as `http://app.shop.svc:8080`. A path in it does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = r"^https?://[^\s?#]+$"))]
    pub uri: Option<String>,

    /// Answer with this status instead of asking a server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 200, max = 599))]
    pub static_code: Option<u16>,

    /// Send the client's Host header.
    #[serde(default = "yes")]
    pub pass_host_header: bool,

    /// Allow upgrades such as WebSocket.
    #[serde(default = "yes")]
    pub proxy_web_sockets: bool,

    /// Use a connection again after a request with a body. Set it to false for a server that leaves bodies unread and takes
    /// them for requests: the log of the proxy and `oauth2_proxy_upstream_unasked_answers_total` tell.
    #[serde(default = "yes")]
    pub reuse_after_body: bool,

    /// Time to wait for the head of the response. `0s`: for ever.
    #[serde(default = "half_minute")]
    #[schemars(schema_with = "duration")]
    pub timeout: String,

    /// Accept any certificate of the server.
    #[serde(default, rename = "insecureSkipTLSVerify")]
    pub insecure_skip_tls_verify: bool,
}

fn yes() -> bool {
    true
}

fn half_minute() -> String {
    "30s".to_owned()
}
