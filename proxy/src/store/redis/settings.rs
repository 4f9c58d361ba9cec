//! Where the server is and how it is trusted.

use super::endpoint::Endpoint;
use crate::trust::Roots;
use redis::{ConnectionAddr, IntoConnectionInfo};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Why Redis can not be used as configured. Never holds the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The settings ask for Redis but give no URL.
    #[error(
        "session.store.redis.url is empty: give redis://host:6379, rediss://host:6379 or unix:///path"
    )]
    NoUrl,
    /// The URL was not understood.
    #[error("session.store.redis.url is no redis://, rediss:// or unix:// URL: {0}")]
    Url(String),
    /// The certificate file could not be read.
    #[error("session.store.redis.caFile: {path}: {source}", path = path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The certificate file holds no certificate, or one that is broken.
    #[error("session.store.redis.caFile: {path} holds no usable PEM certificate: {reason}", path = path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Everything that decides which server is spoken to, and how. Equal settings share a connection.
#[derive(PartialEq)]
pub(crate) struct RedisSettings {
    url: Zeroizing<String>,
    username: Option<String>,
    password: Option<Zeroizing<String>>,
    /// Content, so that a renewed file is noticed.
    ca: Option<(PathBuf, Vec<u8>)>,
    insecure: bool,
}

impl RedisSettings {
    /// From the configuration and the secrets that it refers to.
    pub(crate) fn new(
        config: &proxy_config::Redis,
        url: Option<Zeroizing<String>>,
        password: Option<Zeroizing<String>>,
    ) -> Result<Self, SettingsError> {
        let ca = config.ca_file.clone().map(|path| match std::fs::read(&path) {
            Ok(bytes) => Ok((path, bytes)),
            Err(source) => Err(SettingsError::CaFile { path, source }),
        });
        Ok(Self {
            url: url.filter(|url| !url.is_empty()).ok_or(SettingsError::NoUrl)?,
            username: config.username.clone().filter(|name| !name.is_empty()),
            password: password.filter(|password| !password.is_empty()),
            ca: ca.transpose()?,
            insecure: config.insecure_skip_verify,
        })
    }

    /// The way to the server. Does not connect.
    pub(super) fn endpoint(&self) -> Result<Endpoint, SettingsError> {
        let info = self.url.as_str().into_connection_info().map_err(|error| url_error(&error))?;
        let mut login = info.redis_settings().clone();
        if let Some(name) = &self.username {
            login = login.set_username(name);
        }
        if let Some(password) = &self.password {
            login = login.set_password(password.as_str());
        }
        if let Some((path, extra)) = &self.ca {
            check(extra)
                .map_err(|reason| SettingsError::Certificates { path: path.clone(), reason })?;
        }
        let roots = self.ca.as_ref().map(|(_, extra)| extra.clone());
        Ok(Endpoint::new(self.address(info.addr().clone()), login, roots))
    }

    /// A certificate file switches TLS on, and so does the wish not to verify, as they do in oauth2-proxy: whoever speaks of
    /// certificates does not want the password and the sessions to go over the wire in the clear.
    fn address(&self, address: ConnectionAddr) -> ConnectionAddr {
        match address {
            ConnectionAddr::Tcp(host, port) if self.ca.is_some() || self.insecure => {
                ConnectionAddr::TcpTls { host, port, insecure: self.insecure, tls_params: None }
            }
            ConnectionAddr::TcpTls { host, port, insecure, tls_params } => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: insecure || self.insecure,
                tls_params,
            },
            other => other,
        }
    }
}

/// Whether a PEM text has a certificate that can be used.
fn check(pem: &[u8]) -> Result<(), String> {
    match Roots::none().add_pem(pem) {
        Ok(0) => Err("no BEGIN CERTIFICATE line, or none that can be used".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn url_error(error: &redis::RedisError) -> SettingsError {
    SettingsError::Url(error.category().to_owned())
}
