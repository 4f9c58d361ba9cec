//! A provider, as everybody else sees it: a client at its issuer, started.
//!
//! Network work is a task of its own, so that a client that goes away can not cut it short: on the control runtime where
//! others may wait for it as well, on the worker's where it is for one request.

use super::client::{Client, ClientSettings};
use super::issuer::{self, Live, Unavailable};
use super::login::{self, Login, Preferences};
use super::login_state::LoginState;
use super::outcome::Lasts;
use crate::clock::Clock;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

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
    /// `known` are the providers that there are. An issuer that is found and believed in the same way as one of theirs is
    /// shared: several clients have one set of keys, and a rotated client secret does not need the provider to be up.
    pub(crate) fn start(
        settings: ClientSettings,
        (control, clock): (&Handle, Arc<dyn Clock>),
        known: &[Arc<Self>],
    ) -> Arc<Self> {
        let clients = || known.iter().map(|provider| &*provider.client);
        let wanted = issuer::IssuerSettings::of(&settings.config);
        let same = clients().find(|client| client.issuer.settings == wanted);
        let issuer = same.map_or_else(
            || Live::start(wanted, control, clock),
            |client| Arc::clone(&client.issuer),
        );
        // The latest first.
        let client = Arc::new(Client::new(settings, issuer, clients().rev()));
        Arc::new(Self { client, control: control.clone() })
    }

    /// The name on its button.
    pub(crate) fn name(&self) -> &str {
        self.client.config.name.as_deref().unwrap_or("OpenID Connect")
    }

    /// Whether it was started with these, so that it can go on.
    pub(crate) fn was_started_with(&self, settings: &ClientSettings) -> bool {
        self.client.has(settings)
    }

    /// Whether a login was begun here: at this provider, at this issuer.
    pub(crate) fn began(&self, state: &LoginState) -> bool {
        state.went_to(&self.client.config.id, self.client.config.vouches_as())
    }

    /// Begins a login, and asks for what is preferred. `state_parameter` makes the whole `state` out of the hash that stands
    /// for this login, for example by appending where to go afterwards.
    ///
    /// # Errors
    /// Nothing is known about the provider yet.
    pub(crate) async fn login(
        &self,
        redirect_uri: &str,
        preferences: &Preferences,
        state_parameter: impl FnOnce(&str) -> String + Send,
    ) -> Result<Login, Unavailable> {
        let metadata = self.client.issuer.metadata().await?;
        Ok(login::begin(&self.client, &metadata, redirect_uri, preferences, state_parameter))
    }

    /// Whether somebody who says `issuer` means this provider.
    pub(crate) fn is_issuer(&self, issuer: &str) -> bool {
        let own = self.client.trusts();
        own.skip_verification || own.is_called(issuer)
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
        to_its_end(self.control.spawn(work)).await
    }
}

/// Runs `work` on the caller's runtime to its end, even if the caller goes away. No other thread is woken for it and by it.
pub(super) async fn on_worker<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Unavailable> {
    to_its_end(tokio::spawn(work)).await
}

async fn to_its_end<T>(work: JoinHandle<T>) -> Result<T, Unavailable> {
    work.await.map_err(|_| Unavailable("the proxy is stopping".to_owned()))
}
