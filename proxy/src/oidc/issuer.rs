//! An issuer, as far as it is known: how it is found, what discovery said, its keys, and the task that keeps them fresh.
//!
//! It knows no client. Clients that find it in the same way share it, and what it signs is verified against it whoever it is
//! for.

mod upkeep;

use super::discovery::Metadata;
use super::http::Http;
use super::jws::{self, SignatureError, Signed};
use super::keys::{Asker, KeySet, Keys, KeysError};
use super::outcome::Last;
use crate::clock::Clock;
use proxy_config::{Endpoints, Provider as Config, ProviderTls, SigningAlgorithm as Algorithm};
use std::ops::Deref;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

/// How long the first requests after the start wait for the first answer.
const FIRST_WAIT: Duration = Duration::from_secs(3);

/// The same for readiness. A kubelet waits for a second.
const READY_WAIT: Duration = Duration::from_millis(500);

/// Who it is, how it is found and what is believed of it. Where these are equal, so is everything that it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IssuerSettings {
    /// Issuer identifier.
    pub(super) url: String,
    /// Where the discovery document is, if not under it.
    pub(super) discovery_url: Option<String>,
    /// Take the endpoints as they are configured.
    pub(super) skip_discovery: bool,
    /// What the document does not name; `validate` is none of the issuer's and empty.
    pub(super) endpoints: Endpoints,
    /// Accepted among those that it names; empty: all of them.
    pub(super) signing_algorithms: Vec<Algorithm>,
    /// Accept a document and tokens of another name.
    pub(super) skip_verification: bool,
    /// Accept plain HTTP behind an `https` issuer.
    pub(super) allow_http_endpoints: bool,
    /// Trust in its certificate.
    pub(super) tls: ProviderTls,
}

impl IssuerSettings {
    /// The issuer's part of a provider's configuration.
    pub(super) fn of(config: &Config) -> Self {
        Self {
            url: config.issuer_url.clone(),
            discovery_url: config.discovery_url.clone(),
            skip_discovery: config.skip_discovery,
            endpoints: Endpoints { validate: None, ..config.endpoints.clone() },
            signing_algorithms: config.signing_algorithms.clone(),
            skip_verification: config.insecure_skip_issuer_verification,
            allow_http_endpoints: config.insecure_allow_http_endpoints,
            tls: config.tls.clone(),
        }
    }

    /// Whether `name` is this issuer. Google writes its own in two ways, and says so.
    pub(super) fn is_called(&self, name: &str) -> bool {
        name == self.url
            || (self.url == "https://accounts.google.com" && name == "accounts.google.com")
    }
}

/// See the module.
pub(super) struct Issuer {
    pub(super) settings: IssuerSettings,
    pub(super) http: Arc<Http>,
    pub(super) keys: Keys,
    pub(super) clock: Arc<dyn Clock>,
    /// Bearer tokens were verified since it was last looked.
    pub(super) bearers: AtomicBool,
    /// How it went when it was last asked about itself.
    asked: Mutex<Option<Last>>,
    known: watch::Sender<Known>,
    /// Something suggests that it has changed.
    again: Notify,
}

#[derive(Clone, Default)]
struct Known {
    metadata: Option<Arc<Metadata>>,
    /// The last attempt's, whatever is known from earlier ones.
    error: Option<String>,
    attempted: bool,
    /// The last answer, whatever else was tried since, was not that of the issuer that is configured.
    wrong: bool,
}

impl Known {
    fn is_impossible(&self) -> bool {
        self.wrong && self.metadata.is_none()
    }
}

/// How it stands with the issuer.
pub(super) struct Standing {
    /// It is known well enough for logins.
    pub(super) ready: bool,
    /// What went wrong at the last attempt to ask it about itself, and what to do.
    pub(super) error: Option<String>,
    /// Something else answers in its place, and nothing was ever known of it.
    pub(super) impossible: bool,
    /// By how many seconds its clock was ahead of ours when it last answered.
    pub(super) clock_skew: Option<i64>,
    /// How it went when it was last asked about itself.
    pub(super) asked: Option<Last>,
}

/// Nothing is known about the issuer yet, or the process is stopping.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the identity provider is not available: {0}")]
pub(crate) struct Unavailable(pub(crate) String);

/// Why a signed text was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignedError {
    #[error(transparent)]
    Refused(SignatureError),
    /// There was no key for it, and the keys could not be fetched.
    #[error(transparent)]
    Keys(KeysError),
    #[error(transparent)]
    Unavailable(Unavailable),
}

impl From<Unavailable> for SignedError {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error)
    }
}

/// An issuer that is kept fresh for as long as this object lives.
pub(super) struct Live {
    issuer: Arc<Issuer>,
    upkeep: AbortHandle,
}

impl Live {
    /// Starts asking it about itself, in the background. Opens nothing itself.
    pub(super) fn start(
        settings: IssuerSettings,
        control: &Handle,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let issuer = Arc::new(Issuer {
            http: Arc::new(Http::new(settings.tls.clone(), Arc::clone(&clock))),
            keys: Keys::default(),
            clock,
            bearers: AtomicBool::new(false),
            asked: Mutex::new(None),
            known: watch::Sender::new(Known::default()),
            again: Notify::new(),
            settings,
        });
        let upkeep = control.spawn(upkeep::run(Arc::clone(&issuer))).abort_handle();
        Arc::new(Self { issuer, upkeep })
    }
}

impl Deref for Live {
    type Target = Issuer;

    fn deref(&self) -> &Issuer {
        &self.issuer
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.upkeep.abort();
    }
}

impl Issuer {
    /// How it stands with it.
    pub(super) fn standing(&self) -> Standing {
        let known = self.known.borrow();
        Standing {
            ready: known.metadata.is_some(),
            error: known.error.clone(),
            impossible: known.is_impossible(),
            clock_skew: self.http.skew(),
            asked: self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Whether logins may work, as far as is known: not while something else answers in its place and none could ever have
    /// worked. Right after the start this waits a moment for the first answer.
    pub(super) async fn may_work(&self) -> bool {
        let mut known = self.known.subscribe();
        let first = known.wait_for(|known| known.attempted);
        drop(tokio::time::timeout(READY_WAIT, first).await);
        !self.known.borrow().is_impossible()
    }

    /// What is known about it; right after the start this waits a little for the first answer.
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

    /// The claims of `token` if one of its keys signed it. If no known key fits, the keys are fetched again as often as
    /// `need` allows.
    pub(super) async fn signed(&self, token: &str, asker: Asker) -> Result<Signed, SignedError> {
        let metadata = self.metadata().await?;
        let verify = |keys: &KeySet| jws::verify(token, keys, &metadata.algorithms);
        match verify(&self.keys.present()) {
            Err(SignatureError::UnknownKey(..) | SignatureError::Wrong) => {}
            Err(error @ SignatureError::Algorithm { .. }) if asker == Asker::Login => {
                self.suspect_change();
                return Err(SignedError::Refused(error));
            }
            other => return other.map_err(SignedError::Refused),
        }
        let fits = |keys: &KeySet| verify(keys).is_ok();
        if let Err(error) = self.keys.refresh((&self.http, &metadata.jwks), asker, fits).await {
            self.again.notify_one();
            return Err(SignedError::Keys(error));
        }
        verify(&self.keys.present()).map_err(SignedError::Refused)
    }

    /// Fetches the keys because a bearer token has one that is not known, at the rate that such tokens are worth.
    pub(super) async fn look_for_keys(&self) -> Result<(), KeysError> {
        let Some(metadata) = self.metadata_now() else { return Ok(()) };
        let fetched = self.keys.refresh((&self.http, &metadata.jwks), Asker::Bearer, |_| false);
        fetched.await.inspect_err(|_| self.again.notify_one())
    }

    /// An answer suggests that the discovery document is out of date.
    pub(super) fn suspect_change(&self) {
        self.again.notify_one();
    }

    /// It was asked about itself.
    fn note(&self, error: Option<&str>) {
        let last = Last::asked(self.clock.now(), error);
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
    }
}
