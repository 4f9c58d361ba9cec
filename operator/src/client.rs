//! Clients of the API server.

use http::{HeaderValue, header};
use kube::{Client, Config};
use std::time::Duration;

#[cfg(debug_assertions)]
mod fault;

/// Both clients from one configuration.
pub(crate) struct Clients {
    /// For everything but the lease.
    pub(crate) work: Client,
    /// For the lease. It tries once: a renewal that comes late, after minutes of retries, would be a lie.
    pub(crate) lease: Client,
}

impl Clients {
    /// Clients for the cluster that the environment names: a kubeconfig, or the pod's own account.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub(crate) async fn infer() -> Result<Self, String> {
        let mut config = Config::infer().await.map_err(|error| format!("no cluster: {error}"))?;
        // So that an audit log says who it was.
        let agent = concat!("oauth2-proxy-operator/", env!("CARGO_PKG_VERSION"));
        config.headers.push((header::USER_AGENT, HeaderValue::from_static(agent)));
        let mut lease = config.clone();
        lease.default_retry = false;
        lease.read_timeout = Some(Duration::from_secs(4));
        lease.reset_reader_on_write = true;
        Ok(Self {
            work: work(config)?,
            lease: Client::try_from(lease).map_err(|error| format!("no client: {error}"))?,
        })
    }
}

#[cfg(not(debug_assertions))]
fn work(config: Config) -> Result<Client, String> {
    Client::try_from(config).map_err(|error| format!("no client: {error}"))
}

#[cfg(debug_assertions)]
fn work(config: Config) -> Result<Client, String> {
    fault::client(config)
}
