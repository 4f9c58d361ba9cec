//! The live provider: its configuration, what discovery found, its keys, and the task that keeps them fresh.
//!
//! Network work runs on the control runtime, so that neither a busy worker nor a client that goes away can cut it short.

mod upkeep;

use super::discovery::{self, Metadata};
use super::http::Http;
use super::jws::{self, SignatureError, Signed};
use super::keys::{KeySet, Keys, KeysError, Need};
use super::login::{self, Login};
use super::login_state::LoginState;
use super::outcome::{Lasts, Outcomes};
use super::token::{self, TokenError, Tokens};
use crate::clock::Clock;
use proxy_config::{PkceMethod, Problems, Provider as Config};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, watch};
use tokio::task::AbortHandle;

/// How long the first requests after the start wait for the first answer of the provider.
const FIRST_WAIT: Duration = Duration::from_secs(3);

/// The same for readiness. A kubelet waits for a second.
const READY_WAIT: Duration = Duration::from_millis(500);

/// An OpenID Connect provider. Dropping it ends its background work; calls under way are finished.
pub(crate) struct Provider {
    pub(super) inner: Arc<Inner>,
    control: Handle,
    upkeep: AbortHandle,
}

static SERIAL: AtomicU64 = AtomicU64::new(1);

/// How many calls may be under way at once. Anybody can come back from a login that never was, so these can not take what
/// refreshes need; together they bound what the control runtime, which carries more than this, has to do.
pub(super) struct Calls {
    logins: Semaphore,
    refreshes: Semaphore,
}

impl Calls {
    const LOGINS: usize = 24;
    const REFRESHES: usize = 40;
    /// Who waited so long is told that the provider is busy.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// A place among the logins that are being completed.
    pub(super) async fn login(&self) -> Result<SemaphorePermit<'_>, Unavailable> {
        Self::place(&self.logins).await
    }

    /// A place among the sessions that are being refreshed or looked at.
    pub(super) async fn refresh(&self) -> Result<SemaphorePermit<'_>, Unavailable> {
        Self::place(&self.refreshes).await
    }

    async fn place(places: &Semaphore) -> Result<SemaphorePermit<'_>, Unavailable> {
        match tokio::time::timeout(Self::PATIENCE, places.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => {
                Err(Unavailable("too many calls to it are under way already".to_owned()))
            }
        }
    }
}

impl Default for Calls {
    fn default() -> Self {
        Self { logins: Semaphore::new(Self::LOGINS), refreshes: Semaphore::new(Self::REFRESHES) }
    }
}

/// What the calls share.
pub(super) struct Inner {
    pub(super) config: Config,
    groups_required: bool,
    /// The way of client authentication that was found to work.
    pub(super) learnt: token::Learnt,
    pub(super) http: Http,
    pub(super) keys: Keys,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) outcomes: Outcomes,
    /// No two providers of this process have the same.
    pub(super) serial: u64,
    /// Bearer tokens were verified since it was last looked.
    pub(super) bearers: AtomicBool,
    pub(super) calls: Calls,
    known: watch::Sender<Known>,
    /// Something suggests that the provider has changed.
    again: Notify,
}

#[derive(Clone, Default)]
struct Known {
    metadata: Option<Arc<Metadata>>,
    /// The last attempt's, whatever is known from earlier ones.
    error: Option<String>,
    attempted: bool,
    /// The last answer, whatever else was tried since, was not that of the provider that is configured.
    wrong: bool,
}

impl Known {
    fn is_impossible(&self) -> bool {
        self.wrong && self.metadata.is_none()
    }
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

/// Nothing is known about the provider yet, or the process is stopping.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the identity provider is not available: {0}")]
pub(crate) struct Unavailable(pub(crate) String);

/// Why a signed text was not taken.
pub(super) enum SignedError {
    Refused(SignatureError),
    /// There was no key for it, and the keys could not be fetched.
    Keys(KeysError),
    Unavailable(Unavailable),
}

impl From<Unavailable> for SignedError {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error)
    }
}

impl Provider {
    /// Starts asking the provider about itself, in the background, for as long as this object lives. Opens nothing itself.
    ///
    /// `groups_required`: some group is needed to pass, so the default scope asks for groups. `previous` is the provider in
    /// force: what it knows is known here too if it is the same one, so that a rotated client secret does not need it to be up.
    pub(crate) fn start(
        config: Config,
        groups_required: bool,
        (control, clock): (&Handle, Arc<dyn Clock>),
        previous: Option<&Self>,
    ) -> Arc<Self> {
        let previous =
            previous.map(|p| &*p.inner).filter(|inner| is_described_alike(&inner.config, &config));
        let known = previous.map(|inner| inner.known.borrow().clone()).unwrap_or_default();
        let keys = previous.map(|inner| inner.keys.present()).unwrap_or_default();
        let inner = Arc::new(Inner {
            groups_required,
            learnt: previous.map(|inner| inner.learnt.clone()).unwrap_or_default(),
            http: Http::new(config.tls.clone(), Arc::clone(&clock)),
            keys: Keys::new(keys),
            clock,
            outcomes: Outcomes::default(),
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            bearers: AtomicBool::new(false),
            calls: Calls::default(),
            known: watch::Sender::new(known),
            again: Notify::new(),
            config,
        });
        let upkeep = control.spawn(upkeep::run(Arc::clone(&inner))).abort_handle();
        Arc::new(Self { inner, control: control.clone(), upkeep })
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
        let metadata = self.inner.metadata().await?;
        let config = &self.inner.config;
        let pkce = metadata.pkce != PkceMethod::None;
        let mut state = LoginState::new(
            (&config.id, &config.issuer_url),
            self.inner.clock.now(),
            (!config.insecure_skip_nonce, pkce),
        );
        let state_parameter = state_parameter(&state.state_hash());
        state.bind(&state_parameter);
        let request = login::Request {
            redirect_uri,
            scope: login::scope(config, self.inner.groups_required, &metadata),
            state_parameter: &state_parameter,
            state: &state,
        };
        let url = login::url(&metadata, config, &request);
        Ok(Login { url, state, asking: metadata.asking })
    }

    /// How it stands with the provider.
    pub(crate) fn status(&self) -> Status {
        let known = self.inner.known.borrow();
        Status {
            id: self.inner.config.id.clone(),
            ready: known.metadata.is_some(),
            error: known.error.clone(),
            impossible: known.is_impossible(),
            clock_skew: self.inner.http.skew(),
            lasts: self.inner.outcomes.lasts(),
        }
    }

    /// Whether logins may work, as far as is known: not while something else answers in the provider's place and none could
    /// ever have worked. A provider that does not answer is no reason: it may come, and sessions do without it. Right after
    /// the start this waits a moment for the first answer, so that a rollout does not get past it.
    pub(crate) async fn may_work(&self) -> bool {
        let mut known = self.inner.known.subscribe();
        let first = known.wait_for(|known| known.attempted);
        drop(tokio::time::timeout(READY_WAIT, first).await);
        !self.inner.known.borrow().is_impossible()
    }

    /// Runs `work` on the control runtime to its end, even if the caller goes away.
    pub(super) async fn on_control<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.control.spawn(work).await.map_err(|_| Unavailable("the proxy is stopping".to_owned()))
    }
}

/// Whether both find the same metadata and keys: they differ at most in what is not asked of the provider.
fn is_described_alike(old: &Config, new: &Config) -> bool {
    let old = Config {
        name: new.name.clone(),
        client_secret: new.client_secret.clone(),
        scope: new.scope.clone(),
        login_parameters: new.login_parameters.clone(),
        response_mode: new.response_mode.clone(),
        claims: new.claims.clone(),
        ..old.clone()
    };
    old == *new
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.upkeep.abort();
    }
}

impl Inner {
    /// What is known about the provider; right after the start this waits a little for the first answer.
    pub(super) async fn metadata(&self) -> Result<Arc<Metadata>, Unavailable> {
        if let Some(metadata) = self.metadata_now() {
            return Ok(metadata);
        }
        let mut known = self.known.subscribe();
        let first = tokio::time::timeout(FIRST_WAIT, known.wait_for(|known| known.attempted)).await;
        drop(first);
        let known = self.known.borrow();
        known.metadata.clone().ok_or_else(|| {
            Unavailable(known.error.clone().unwrap_or_else(|| "it has not answered yet".to_owned()))
        })
    }

    /// The same, without waiting.
    pub(super) fn metadata_now(&self) -> Option<Arc<Metadata>> {
        self.known.borrow().metadata.clone()
    }

    /// The claims of `token` if one of the provider's keys signed it. If no known key fits, the keys are fetched again as
    /// often as `need` allows.
    pub(super) async fn signed(&self, token: &str, need: Need) -> Result<Signed, SignedError> {
        let metadata = self.metadata().await?;
        let verify = |keys: &KeySet| jws::verify(token, keys, &metadata.algorithms);
        match verify(&self.keys.present()) {
            Err(SignatureError::UnknownKey(..) | SignatureError::Wrong) => {}
            other => return other.map_err(SignedError::Refused),
        }
        let fits = |keys: &KeySet| verify(keys).is_ok();
        if let Err(error) = self.keys.refresh((&self.http, &metadata.jwks), need, fits).await {
            self.again.notify_one();
            return Err(SignedError::Keys(error));
        }
        verify(&self.keys.present()).map_err(SignedError::Refused)
    }

    /// Fetches the keys because a bearer token has one that is not known, at the rate that such tokens are worth.
    pub(super) async fn look_for_keys(&self) -> Result<(), KeysError> {
        let Some(metadata) = self.metadata_now() else { return Ok(()) };
        let fetched = self.keys.refresh((&self.http, &metadata.jwks), Need::Bearer, |_| false);
        fetched.await.inspect_err(|_| self.again.notify_one())
    }

    /// The token endpoint.
    pub(super) fn token_endpoint<'a>(&'a self, metadata: &'a Metadata) -> token::Endpoint<'a> {
        token::Endpoint { config: &self.config, metadata, http: &self.http, learnt: &self.learnt }
    }

    /// Passes on what the token endpoint answered, and takes note of it.
    pub(super) fn noted(&self, result: Result<Tokens, TokenError>) -> Result<Tokens, TokenError> {
        self.outcomes.token(self.clock.now(), result.as_ref().err());
        if result.as_ref().is_err_and(TokenError::is_outage) {
            self.suspect_change();
        }
        result
    }

    /// An answer suggests that the discovery document is out of date.
    pub(super) fn suspect_change(&self) {
        self.again.notify_one();
    }
}
