//! What the proxy logs.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Log settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Logging {
    /// Form of the lines.
    #[serde(default)]
    pub format: LogFormat,
    /// One line for each request.
    #[serde(default = "yes")]
    pub requests: bool,
    /// One line for each login, sign-out and refusal.
    #[serde(default = "yes")]
    pub authentication: bool,
    /// Paths that are left out of the request log, exactly as written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 1024)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub exclude_paths: Vec<String>,
}

impl Default for Logging {
    fn default() -> Self {
        Self {
            format: LogFormat::default(),
            requests: true,
            authentication: true,
            exclude_paths: Vec::new(),
        }
    }
}

fn yes() -> bool {
    true
}

/// Forms of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object on each line.
    #[default]
    Json,
    /// One line of text, as oauth2-proxy writes it.
    Text,
}
