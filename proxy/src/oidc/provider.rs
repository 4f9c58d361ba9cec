//! A provider, as everybody else sees it: a client at its issuer, started.
//!
//! Network work runs on the control runtime, so that neither a busy worker nor a client that goes away can cut it short.

use super::client::Client;
use super::discovery;
use super::issuer::{Live, Settings, Unavailable};
use super::login::{self, Login};
use super::login_state::LoginState;
use super::outcome::Lasts;
use crate::clock::Clock;
use proxy_config::{PkceMethod, Problems, Provider as Config};
use std::sync::Arc;
use tokio::runtime::Handle;

/// An OpenID Connect provider. Dropping it ends its background work; calls under way are finished.
pub(crate) struct Provider {
    pub(super) client: Arc<Client>,
    control: Handle,
}

/// The provider for the status page of the admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    /// [`proxy_config::Provider::id`].
    pub(crate) id: String,
    /// A login can be started.
    pub(crate) ready: bool,
    /// What went wrong at the last attempt to ask the provider about itself, and what to do; it may be ready all the same.
    pub(crate) error: Option<String>,
    /// Something answers that is not the provider as it is configured, and there never was a login that could have worked.
    pub(crate) impossible: bool,
    /// By how many seconds its clock was ahead of ours when it last answered.
    pub(crate) clock_skew: Option<i64>,
    /// How the last calls went.
    pub(crate) lasts: Lasts,
}

impl Provider {
    /// Starts asking the provider about itself, in the background, for as long as this object lives. Opens nothing itself.
    ///
    /// `groups_required`: some group is needed to pass, so the default scope asks for groups. `previous` is the provider in
    /// force: if its issuer is the same one, it is shared, so that a rotated client secret does not need it to be up.
    pub(crate) fn start(
        config: Config,
        groups_required: bool,
        (control, clock): (&Handle, Arc<dyn Clock>),
        previous: Option<&Self>,
    ) -> Arc<Self> {
        let settings = Settings::of(&config);
        let previous = previous.map(|provider| &*provider.client);
        let issuer = previous
            .filter(|client| client.issuer.settings == settings)
            .map(|client| Arc::clone(&client.issuer))
            .unwrap_or_else(|| Live::start(settings, control, clock));
        let client = Arc::new(Client::new(config, groups_required, issuer, previous));
        Arc::new(Self { client, control: control.clone() })
    }

    /// Checks what can be checked without asking the provider; fields are below `providers[0]`.
    pub(crate) fn check(config: &Config, problems: &mut Problems) {
        let endpoints = &config.endpoints;
        let mut urls = vec![
            ("issuerUrl", Some(&config.issuer_url)),
            ("discoveryUrl", config.discovery_url.as_ref()),
        ];
        urls.extend([
            ("endpoints.authorization", endpoints.authorization.as_ref()),
            ("endpoints.token", endpoints.token.as_ref()),
            ("endpoints.userinfo", endpoints.userinfo.as_ref()),
            ("endpoints.jwks", endpoints.jwks.as_ref()),
            ("endpoints.endSession", endpoints.end_session.as_ref()),
            ("endpoints.validate", endpoints.validate.as_ref()),
        ]);
        for (field, text) in urls {
            if config.skip_discovery
                && text.is_none()
                && ["endpoints.authorization", "endpoints.token", "endpoints.jwks"].contains(&field)
            {
                problems
                    .add(format!("providers[0].{field}"), "is needed because skipDiscovery is set");
            }
            let read = if field == "endpoints.authorization" {
                discovery::login_page
            } else {
                discovery::endpoint
            };
            if let Some(Err(error)) = text.map(|text| read(field, text)) {
                problems.add(format!("providers[0].{field}"), error.to_string());
            }
        }
        if let Some(name) = login::reserved_parameter(config) {
            let message = format!(
                "{name} is set by the proxy itself: remove it, or use the setting that is made for it"
            );
            problems.add("providers[0].loginParameters", message);
        }
    }

    /// Begins a login. `state_parameter` makes the whole `state` out of the hash that stands for this login, for example
    /// by appending where to go afterwards.
    ///
    /// # Errors
    /// Nothing is known about the provider yet.
    pub(crate) async fn login(
        &self,
        redirect_uri: &str,
        state_parameter: impl FnOnce(&str) -> String + Send,
    ) -> Result<Login, Unavailable> {
        let client = &self.client;
        let metadata = client.issuer.metadata().await?;
        let config = &client.config;
        let pkce = client.pkce(&metadata);
        let mut state = LoginState::new(
            (&config.id, &config.issuer_url),
            client.issuer.clock.now(),
            (!config.insecure_skip_nonce, pkce != PkceMethod::None),
        );
        let state_parameter = state_parameter(&state.state_hash());
        state.bind(&state_parameter);
        let request = login::Request {
            redirect_uri,
            pkce,
            scope: login::scope(config, client.groups_required, &metadata),
            state_parameter: &state_parameter,
            state: &state,
        };
        let query = login::query(&metadata, config, &request);
        Ok(Login {
            query,
            endpoint: metadata.authorization.clone(),
            parameters: Arc::clone(&self.client.login_parameters),
            asking: metadata.asking,
            state,
        })
    }

    /// Whether somebody who says `issuer` means this provider.
    pub(crate) fn is_issuer(&self, issuer: &str) -> bool {
        let Client { config, issuer: live, .. } = &*self.client;
        let known = || live.metadata_now().is_some_and(|metadata| metadata.issuer == issuer);
        issuer == config.issuer_url || config.insecure_skip_issuer_verification || known()
    }

    /// How it stands with the provider.
    pub(crate) fn status(&self) -> Status {
        let issuer = self.client.issuer.standing();
        Status {
            id: self.client.config.id.clone(),
            ready: issuer.ready,
            error: issuer.error,
            impossible: issuer.impossible,
            clock_skew: issuer.clock_skew,
            lasts: self.client.outcomes.lasts(issuer.asked),
        }
    }

    /// Whether logins may work, as far as is known: not while something else answers in the provider's place and none could
    /// ever have worked. A provider that does not answer is no reason: it may come, and sessions do without it. Right after
    /// the start this waits a moment for the first answer, so that a rollout does not get past it.
    pub(crate) async fn may_work(&self) -> bool {
        self.client.issuer.may_work().await
    }

    /// Runs `work` on the control runtime to its end, even if the caller goes away.
    pub(super) async fn on_control<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.control.spawn(work).await.map_err(|_| Unavailable("the proxy is stopping".to_owned()))
    }
}
