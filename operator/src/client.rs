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
        Self::of(Config::infer().await.map_err(|error| format!("no cluster: {error}"))?)
    }

    fn of(mut config: Config) -> Result<Self, String> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::Api;
    use std::net::Ipv4Addr;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    /// An API server that is busy once. Gives its address, and when it was asked.
    async fn busy_once() -> (Config, tokio::task::JoinHandle<Vec<Instant>>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = tokio::spawn(async move {
            let mut asked = Vec::new();
            for (status, body) in
                [("429 Too Many Requests\r\nRetry-After: 1", ""), ("200 OK", "{\"metadata\":{}}")]
            {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await.unwrap();
                asked.push(Instant::now());
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            asked
        });
        (Config::new(url.parse().unwrap()), asked)
    }

    #[tokio::test]
    async fn the_api_server_is_asked_again_when_it_said_and_the_lease_does_not_wait_for_it() {
        let (config, asked) = busy_once().await;
        let clients = Clients::of(config).unwrap();
        let api: Api<ConfigMap> =
            Api::namespaced(clients.work(&Leadership::of_test().1).unwrap(), "shop");
        api.get("a").await.unwrap();
        let asked = asked.await.unwrap();
        assert!(asked[1] - asked[0] >= Duration::from_secs(1), "{asked:?}");

        let (config, _asked) = busy_once().await;
        let api: Api<ConfigMap> = Api::namespaced(Clients::of(config).unwrap().lease, "shop");
        assert!(api.get("a").await.is_err());
    }
}
