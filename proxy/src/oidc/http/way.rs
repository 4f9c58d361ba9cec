//! How a provider is reached: on a connection of our own, or through the proxy that the environment names.

use super::error::{HttpError, chain};
use super::tls;
use crate::names;
use crate::thread::One;
use proxy_config::ProviderTls;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::ClientConfig;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

/// With one of these set, requests of a scheme may go through a proxy, and even plain ones through one that speaks TLS.
const PROXIES: [(&str, [&str; 4]); 2] = [
    ("http", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]),
    ("https", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
];

/// A way to a server.
pub(super) enum Way {
    /// Straight to it, over TLS with a connector.
    Direct(Option<TlsConnector>),
    /// As the environment says.
    Proxied(reqwest::Client),
}

/// How long what was read of the CA files counts before they are looked at again.
const FRESH: Duration = Duration::from_secs(1);
/// How long a request waits for that look while there is something that was read before.
const PATIENCE: Duration = Duration::from_millis(100);

/// The ways to one provider. Roots are read at the first request that needs them, because that takes longer than the rest of the
/// start, and again when a CA file has changed.
pub(super) struct Ways {
    tls: ProviderTls,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// What was read last.
    secure: Option<(tls::Marks, Arc<Secure>)>,
    looked: Option<Instant>,
    /// A look at the files that is under way: one at a time, whoever has left that asked for it, as a file may never answer.
    look: One<Look>,
}

/// What has changed since the last look; an error is a text for the log.
type Look = Result<Option<(tls::Marks, ClientConfig)>, String>;

/// What trusts the same roots.
struct Secure {
    config: Arc<ClientConfig>,
    /// Made where it is needed: it is large, and few have a proxy.
    proxied: OnceLock<reqwest::Client>,
}

impl Ways {
    /// Opens no file and no socket.
    pub(super) fn new(tls: ProviderTls) -> Self {
        Self { tls, known: Mutex::default() }
    }

    /// The way to the server of `url`.
    pub(super) async fn to(&self, url: &Url) -> Result<Way, HttpError> {
        let proxied = may_be_proxied(url);
        if url.scheme() == "http" && !proxied {
            return Ok(Way::Direct(None));
        }
        let secure = self.secure().await?;
        if proxied {
            return Ok(Way::Proxied(secure.proxied()?));
        }
        Ok(Way::Direct(Some(TlsConnector::from(Arc::clone(&secure.config)))))
    }

    async fn secure(&self) -> Result<Arc<Secure>, HttpError> {
        let mut known = self.known.lock().await;
        if let Some((_, secure)) = &known.secure
            && known.looked.is_some_and(|at| at.elapsed() < FRESH)
        {
            return Ok(Arc::clone(secure));
        }
        let old = known.secure.as_ref().map(|(marks, _)| marks.clone());
        let patience = if old.is_some() { PATIENCE } else { super::CONNECT_TIME };
        let tls = self.tls.clone();
        let look = known.look.done("roots", move || look(&tls, old.as_ref()));
        match timeout(patience, look).await {
            Ok(done) => {
                if let Some((marks, config)) =
                    done.map_err(|error| trust(&error))?.map_err(HttpError::Trust)?
                {
                    let config = Arc::new(config);
                    known.secure =
                        Some((marks, Arc::new(Secure { config, proxied: OnceLock::new() })));
                }
            }
            Err(_) if known.secure.is_some() => tracing::warn!(
                "the provider's CA files can not be read: what was read before still counts"
            ),
            Err(_) => {}
        }
        known.looked = Some(Instant::now());
        match &known.secure {
            Some((_, secure)) => Ok(Arc::clone(secure)),
            None => Err(trust(&"its CA files, or those of the system, do not answer")),
        }
    }
}

/// Looks at the files, and reads them if they are not as they were.
fn look(tls: &ProviderTls, old: Option<&tls::Marks>) -> Look {
    let marks = tls::marks(tls);
    if old == Some(&marks) {
        return Ok(None);
    }
    tls::config(tls).map(|config| Some((marks, config)))
}

fn trust(reason: &impl ToString) -> HttpError {
    HttpError::Trust(reason.to_string())
}

impl Secure {
    fn proxied(&self) -> Result<reqwest::Client, HttpError> {
        if let Some(client) = self.proxied.get() {
            return Ok(client.clone());
        }
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(super::CONNECT_TIME)
            .pool_max_idle_per_host(0)
            .dns_resolver(Resolver)
            .tls_backend_preconfigured((*self.config).clone())
            .build()
            .map_err(|error| HttpError::Trust(chain(&error)))?;
        Ok(self.proxied.get_or_init(|| client).clone())
    }
}

/// Whether the environment may name a proxy for `url`. Never for what is on this machine: what a proxy would reach under such a
/// name is its own machine. Go has the same rule, and operators count on it.
fn may_be_proxied(url: &Url) -> bool {
    let names = PROXIES.iter().find(|(scheme, _)| *scheme == url.scheme()).map(|(_, names)| names);
    !is_loopback(url)
        && names.is_some_and(|names| names.iter().any(|name| std::env::var_os(name).is_some()))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
        None => false,
    }
}

/// Looks names up beside everything else that looks for names.
struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses = names::look_up(name.as_str()).await?;
            let addresses: Vec<_> =
                addresses.iter().map(|address| SocketAddr::new(*address, 0)).collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
