//! The file that the proxy reads and the operator writes: plain data, versioned, nothing optional by accident.
//!
//! The reader owns the schema. Unknown fields are refused, because an ignored field in front of an application is a
//! silent weakening. Secrets are references to files, never values. [`Config::problems`] names everything that is
//! wrong at once. This crate knows no Kubernetes, no HTTP library and no cryptography.

mod access;
mod duration;
mod expression;
mod files;
mod header;
mod http;
pub mod level;
mod listener;
mod logging;
mod problem;
mod provider;
mod secret;
mod session;
mod upstream;

pub use access::{Access, Bearer, PathRule};
pub use duration::{Duration, DurationError};
pub use expression::{ExpressionError, regex};
pub use header::{Claim, HeaderRule, HeaderValue};
pub use http::{Http, Limits, ReverseProxy};
pub use listener::{
    Address, AddressError, Listener, Listeners, PlainListener, TlsListener, TlsVersion,
};
pub use logging::{LogFormat, Logging};
pub use problem::{Problem, Problems, escapes_are_whole};
pub use provider::{
    AllowedValue, Claims, ClientAuthentication, Credentials, Endpoints, LoginParameter, PkceMethod,
    Provider, ProviderTls, SigningAlgorithm,
};
pub use secret::Secret;
pub use session::{Cookie, CsrfCookie, Redis, SameSite, Session, SessionFormat, Store};
pub use upstream::{Application, Target, Upstream};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The whole configuration of one proxy process.
///
/// It is produced by the operator as a file, or compiled from flags, environment and TOML; nothing behind this type
/// knows which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// The format of this file.
    pub version: Version,
    /// Where the proxy listens.
    pub listeners: Listeners,
    /// Identity providers. Exactly one for now; a list, because a session names the provider it came from.
    pub providers: Vec<Provider>,
    /// Session storage, cookie attributes and keys.
    pub session: Session,
    /// Who may pass, and what passes without a session.
    #[serde(default)]
    pub access: Access,
    /// Where requests go once they may pass. Paths are unique.
    #[serde(default)]
    pub upstreams: Vec<Upstream>,
    /// What is known of the application in the same pod, where `--application-port` leads to it in place of `upstreams`.
    #[serde(default, skip_serializing_if = "Application::is_usual")]
    pub application: Application,
    /// Headers set on the request sent upstream. The names of these are always taken out of the client's request.
    #[serde(default)]
    pub request_headers: Vec<HeaderRule>,
    /// Headers set on the response of a passed request and of the auth endpoint.
    #[serde(default)]
    pub response_headers: Vec<HeaderRule>,
    /// Own endpoints, forwarded headers, redirects.
    #[serde(default)]
    pub http: Http,
    /// What is logged and how.
    #[serde(default)]
    pub logging: Logging,
    /// Sizes and times that bound what a peer can make us hold.
    #[serde(default)]
    pub limits: Limits,
}

/// The format of the file. A proxy refuses a version that it does not know and keeps the last good configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// The first and only one.
    V1,
}

impl Version {
    /// The name of the file for this version inside the mounted configuration folder; [`level`] has those for what was added to
    /// it.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::V1 => "config.v1.json",
        }
    }
}

/// Why a configuration file was refused before its values were looked at.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
pub struct ParseError {
    /// The field, as a path such as `session.cookie.name`, or `.` for the file as a whole.
    pub path: String,
    /// What the parser said.
    #[source]
    pub source: serde_json::Error,
}

impl Config {
    /// Reads the JSON text of a configuration file. Values are checked by [`Config::problems`], not here.
    ///
    /// # Errors
    /// Not JSON, an unknown or missing field, a value of the wrong shape; the error names the field.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let mut json = serde_json::Deserializer::from_slice(text);
        let config: Self = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            ParseError { path: error.path().to_string(), source: error.into_inner() }
        })?;
        json.end().map_err(|source| ParseError { path: ".".to_owned(), source })?;
        Ok(config)
    }

    /// The JSON text of this configuration, with a fixed order of fields: equal configurations give equal bytes.
    ///
    /// # Errors
    /// A secret that is held as a value and has no file; see [`Secret`].
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    /// The JSON schema of the file, as committed in `proxy/config/schema.json`.
    #[must_use]
    pub fn schema_json() -> String {
        let schema = serde_json::to_string_pretty(&schemars::schema_for!(Self));
        schema.unwrap_or_default() + "\n"
    }
}

#[cfg(test)]
mod tests;
