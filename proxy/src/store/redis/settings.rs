//! Where the server is and how it is trusted.

use super::endpoint::Endpoint;
use crate::secrets::read_named;
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
    /// The certificate file can not be read, or holds no certificate that can be used.
    #[error("session.store.redis.caFile: {0}")]
    CaFile(String),
}

/// Everything that decides which server is spoken to, and how. Equal settings share a connection.
#[derive(PartialEq)]
pub(crate) struct RedisSettings {
    url: Zeroizing<String>,
    username: Option<String>,
    password: Option<Zeroizing<String>>,
    /// With its content, so that a renewed file is noticed, and is read once.
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
        let ca = config.ca_file.as_ref().map(|path| {
            let text = read_named(path)?;
            Roots::none().add_file(path, &text).map(|()| (path.clone(), text))
        });
        Ok(Self {
            url: url.filter(|url| !url.is_empty()).ok_or(SettingsError::NoUrl)?,
            username: config.username.clone().filter(|name| !name.is_empty()),
            password: password.filter(|password| !password.is_empty()),
            ca: ca.transpose().map_err(SettingsError::CaFile)?,
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
        Ok(Endpoint::new(self.address(info.addr().clone()), login, self.ca.clone()))
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

fn url_error(error: &redis::RedisError) -> SettingsError {
    SettingsError::Url(error.category().to_owned())
}
