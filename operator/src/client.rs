//! Clients of the API server.

use crate::leader::Leadership;
use http::{HeaderValue, header};
use kube::client::ClientBuilder;
use kube::{Client, Config};
use std::time::Duration;
use tower::layer::layer_fn;

#[cfg(debug_assertions)]
mod fault;
mod guard;

use guard::Guard;

/// Both clients from one configuration.
pub(crate) struct Clients {
    config: Config,
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
        let lease = Client::try_from(lease).map_err(|error| format!("no client: {error}"))?;
        Ok(Self { config, lease })
    }

    /// A client for everything but the lease, which writes while it is held.
    ///
    /// # Errors
    /// There is none for this configuration.
    pub(crate) fn work(&self, leader: &Leadership) -> Result<Client, String> {
        let builder = ClientBuilder::try_from(self.config.clone())
            .map_err(|error| format!("no client: {error}"))?;
        #[cfg(debug_assertions)]
        let builder = builder.with_layer(&fault::layer()?);
        let leader = leader.clone();
        let guard = layer_fn(move |inner| Guard::new(inner, leader.clone()));
        Ok(builder.with_layer(&guard).build())
    }
}
