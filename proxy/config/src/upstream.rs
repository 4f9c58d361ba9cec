//! Where requests go once they may pass.

use crate::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One route and its target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Upstream {
    /// Unique; shown in the access log.
    pub id: String,
    /// A trailing `/` matches every path below, otherwise exactly this path. `{name}` stands for one segment and
    /// `{name:expression}` for what the expression matches. A regular expression as a whole if `rewriteTarget` is set.
    pub path: String,
    /// Replacement for the path, with `$1`, `${name}` for what the expression caught; may carry a query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite_target: Option<String>,
    /// Use a connection again after a request with a body. `false` for a server that leaves bodies unread and takes them for
    /// requests.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub reuse_after_body: bool,
    /// What answers.
    pub target: Target,
}

/// The application in the pod of a sidecar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Application {
    /// As [`Upstream::reuse_after_body`].
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub reuse_after_body: bool,
}

impl Default for Application {
    fn default() -> Self {
        Self { reuse_after_body: true }
    }
}

impl Application {
    /// Nothing is said that a sidecar of before could not read.
    pub(crate) fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// What answers a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Target {
    /// An HTTP or HTTPS server. Only scheme, host and port of the URI count.
    Http {
        /// `http://host:port` or `https://host:port`.
        uri: String,
        /// Accept any certificate.
        #[serde(default)]
        insecure_skip_tls_verify: bool,
        /// Send the client's Host header.
        #[serde(default = "yes")]
        pass_host_header: bool,
        /// Allow upgrades such as WebSocket.
        #[serde(default = "yes")]
        proxy_web_sockets: bool,
        /// Time to wait for the head of the response; zero: for ever.
        #[serde(default = "default_timeout")]
        timeout: Duration,
    },
    /// An HTTP server on a unix domain socket.
    Unix {
        /// Path of the socket.
        socket: PathBuf,
        /// Send the client's Host header; otherwise `localhost`.
        #[serde(default = "yes")]
        pass_host_header: bool,
        /// Allow upgrades such as WebSocket.
        #[serde(default = "yes")]
        proxy_web_sockets: bool,
        /// Time to wait for the head of the response; zero: for ever.
        #[serde(default = "default_timeout")]
        timeout: Duration,
    },
    /// Files below a folder.
    File {
        /// The folder that the route's path stands for.
        root: PathBuf,
    },
    /// A fixed status with the body `Authenticated`.
    Static {
        /// HTTP status, 200 to 599.
        code: u16,
    },
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_yes(value: &bool) -> bool {
    *value
}

fn default_timeout() -> Duration {
    Duration::from_secs(30)
}
