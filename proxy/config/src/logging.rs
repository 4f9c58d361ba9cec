//! What is logged and in which form.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Log settings. All lines go to standard output, errors of the process to standard error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Logging {
    /// Form of every line.
    pub format: LogFormat,
    /// One line per request.
    pub requests: bool,
    /// One line per login, sign-out, refusal.
    pub authentication: bool,
    /// Everything else.
    pub standard: bool,
    /// Exact paths that are left out of the request log.
    pub exclude_paths: Vec<String>,
    /// Leave health and readiness checks out of the request log.
    pub silence_ping: bool,
}

impl Default for Logging {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            requests: true,
            authentication: true,
            standard: true,
            exclude_paths: Vec::new(),
            silence_ping: false,
        }
    }
}

/// Forms of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of text with stable order.
    #[default]
    Text,
    /// One JSON object a line with stable names.
    Json,
}
