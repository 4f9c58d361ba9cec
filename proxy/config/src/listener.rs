//! Where the proxy listens: the application's listeners, and the two that only people who run it should reach.

use crate::Secret;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// All listeners; at least one of `http` and `https` is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Listeners {
    /// The application over plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<PlainListener>,
    /// The application over TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https: Option<TlsListener>,
    /// `/livez`, `/readyz`, `/metrics`, `/status`: unauthenticated, so never reachable from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<Listener>,
    /// Prometheus metrics on every path, as `--metrics-address` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Listener>,
}

impl Listeners {
    /// All that there may be: what each is called here, and where it is if it is there. Every field is named, so that a new
    /// one is not left out where all are compared.
    #[must_use]
    pub fn each(&self) -> [(&'static str, Option<&Address>); 4] {
        let Self { http, https, admin, metrics } = self;
        [
            ("http", http.as_ref().map(|listener| &listener.address)),
            ("https", https.as_ref().map(|listener| &listener.address)),
            ("admin", admin.as_ref().map(|listener| &listener.address)),
            ("metrics", metrics.as_ref().map(|listener| &listener.address)),
        ]
    }
}

/// The plain listener of the application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlainListener {
    /// Address to bind.
    pub address: Address,
    /// Speak HTTP/2 as well, with clients that begin with it (RFC 9113 section 3.3, "h2c").
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub h2c: bool,
}

/// A listener for those who run the proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Listener {
    /// Address to bind.
    pub address: Address,
}

/// A TLS listener. Certificate and key are read again when their files change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsListener {
    /// Address to bind.
    pub address: Address,
    /// PEM file with the certificate chain, leaf first.
    pub certificate_file: PathBuf,
    /// PEM private key.
    pub key: Secret,
    /// The oldest protocol version spoken.
    #[serde(default)]
    pub min_version: TlsVersion,
}

/// TLS protocol versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    #[default]
    #[serde(rename = "TLS1.2")]
    Tls12,
    /// TLS 1.3 (RFC 8446).
    #[serde(rename = "TLS1.3")]
    Tls13,
}

/// An address to bind: `host:port`, `:port` for all interfaces, `[::1]:port`, or `unix:///path`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// Host name or address (empty: all interfaces) and port (0: any free one).
    Tcp {
        /// Without brackets; may be empty.
        host: String,
        /// In host byte order.
        port: u16,
    },
    /// Path of a unix domain socket.
    Unix(PathBuf),
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address: write host:port, :port, [::1]:port or unix:///path")]
pub struct AddressError(pub String);

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || AddressError(text.to_owned());
        if let Some(path) = text.strip_prefix("unix://") {
            return if path.starts_with('/') { Ok(Self::Unix(path.into())) } else { Err(error()) };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(error)?;
        let port = port.parse().map_err(|_| error())?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').ok_or_else(error)?,
            None if host.contains([':', '/', ' ']) => return Err(error()),
            None => host,
        };
        Ok(Self::Tcp { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Address {
    fn schema_name() -> Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^(unix:///.+|.*:[0-9]{1,5})$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_a_round_trip() {
        for text in ["127.0.0.1:4180", ":4180", "[::1]:443", "localhost:0", "unix:///run/o2p.sock"]
        {
            assert_eq!(text.parse::<Address>().map(|a| a.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "4180", "::1:443", "host:70000", "unix://relative", "http://h:1", "[::1:2"]
        {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
