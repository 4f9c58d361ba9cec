//! The immutable compiled configuration, and the cell through which every worker sees the present one.
//!
//! A request takes its `Site` once and keeps it to its end, so a reload never changes the rules in the middle of a
//! request. Compiling may fail; swapping can not.

mod files;
mod tls;

pub(crate) use files::named as files_of;
pub(crate) use tls::Tls;

use crate::access_log::Rules;
use crate::clock::Clock;
use crate::gate::{self, Backend};
use crate::oidc::Provider;
use crate::refresh::Refresher;
use crate::routing::{ApiRoutes, PathRules, RouteTable};
use crate::secrets::Secrets;
use crate::session::{KeyRing, KeyRingError};
use crate::store::{self, SettingsError, Store};
use proxy_config::{Config, Problems};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;

/// What lives as long as the process, whatever the configuration.
#[derive(Clone)]
pub(crate) struct Context {
    /// The control runtime: discovery, key fetches and token calls run there.
    pub(crate) control: Handle,
    /// The time of day.
    pub(crate) clock: Arc<dyn Clock>,
    /// All refreshes under way.
    pub(crate) refresher: Arc<Refresher>,
}

impl Context {
    /// A context with no refresh under way.
    pub(crate) fn new(control: Handle, clock: Arc<dyn Clock>) -> Self {
        let refresher = Arc::new(Refresher::new(control.clone(), Arc::clone(&clock)));
        Self { control, clock, refresher }
    }
}

/// One configuration, compiled whole.
pub(crate) struct Site {
    /// What it was compiled from.
    pub(crate) config: Config,
    /// Counts compilations; a cache that was filled under another epoch is void.
    pub(crate) epoch: u64,
    /// What outlives every configuration.
    pub(crate) context: Context,
    /// Keys of sessions and of logins in progress.
    pub(crate) ring: Arc<KeyRing>,
    /// Where sessions are.
    pub(crate) store: Arc<Store>,
    /// The identity provider; kept across reloads that leave its settings alone.
    pub(crate) provider: Arc<Provider>,
    /// Requests that need no session.
    pub(crate) skip_auth: PathRules,
    /// Paths without a login page.
    pub(crate) api_routes: ApiRoutes,
    /// Which upstream answers which path, by place in `config.upstreams`.
    pub(crate) routes: RouteTable,
    /// What answers them, by place in `config.upstreams`.
    pub(crate) backends: Vec<Backend>,
    /// Everything else that the gate decides by.
    pub(crate) gate: gate::Rules,
    /// Which requests are logged.
    pub(crate) log: Rules,
    /// What the TLS listener serves.
    pub(crate) tls: Option<Tls>,
}

impl Site {
    /// Checks and compiles `config`. Live objects of `previous` whose part did not change are taken over.
    ///
    /// Opens files, and no connection: a configuration test compiles too.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub(crate) fn compile(
        config: &Config,
        context: &Context,
        previous: Option<&Self>,
    ) -> Result<Self, Problems> {
        let mut problems = config.problems().err().unwrap_or_default();
        let mut found = Problems::default();
        let mut secrets = Secrets::read(config, &mut found);
        files::check(config, &mut found);
        let skip_auth = PathRules::compile("access.skipAuth", &config.access.skip_auth, &mut found);
        let api_routes =
            ApiRoutes::compile("access.apiRoutes", &config.access.api_routes, &mut found);
        let routes = RouteTable::compile(&config.upstreams, &mut found);
        let backends = Backend::compile(config, &mut found);
        let gate = gate::Rules::compile(config, previous.map(|site| &site.gate), &mut found);
        let tls = config.listeners.https.as_ref().and_then(|listener| {
            let previous = previous.and_then(|site| site.tls.as_ref());
            Tls::compile(listener, secrets.tls_key.take(), previous, &mut found)
        });
        if let Some(provider) = config.providers.first() {
            Provider::check(provider, &mut found);
        }
        let ring = ring(&secrets, &mut found);
        let store = ring
            .as_ref()
            .and_then(|ring| store(config, ring, secrets, context, previous, &mut found));
        add_new(&mut problems, found);
        let (Some(ring), Some(store), []) = (ring, store, &*problems.0) else {
            return Err(problems);
        };
        Ok(Self {
            provider: provider(config, context, previous)?,
            log: Rules::compile(&config.logging, &config.http),
            config: config.clone(),
            epoch: previous.map_or(1, |site| site.epoch + 1),
            context: context.clone(),
            ring,
            store,
            skip_auth,
            api_routes,
            routes,
            backends,
            gate,
            tls,
        })
    }
}

/// The provider in force, if its settings are the same, or a new one.
fn provider(
    config: &Config,
    context: &Context,
    previous: Option<&Site>,
) -> Result<Arc<Provider>, Problems> {
    let scoped = |config: &Config| {
        (config.providers.first().cloned(), !config.access.allowed_groups.is_empty())
    };
    if let Some(site) = previous.filter(|site| scoped(&site.config) == scoped(config)) {
        return Ok(Arc::clone(&site.provider));
    }
    match scoped(config) {
        (Some(provider), groups) => {
            Ok(Provider::start(provider, groups, &context.control, Arc::clone(&context.clock)))
        }
        (None, _) => Err(Problems::default()),
    }
}

fn ring(secrets: &Secrets, problems: &mut Problems) -> Option<Arc<KeyRing>> {
    match KeyRing::new(&secrets.session_keys) {
        Ok(ring) => Some(Arc::new(ring)),
        // Missing and unreadable keys are noted where they were read.
        Err(KeyRingError::Empty) => None,
        Err(KeyRingError::Short { index, length }) => {
            let message = format!(
                "the secret has {length} bytes: at least {} are needed",
                KeyRing::MIN_SECRET
            );
            problems.add(format!("session.keys[{index}]"), message);
            None
        }
    }
}

fn store(
    config: &Config,
    ring: &Arc<KeyRing>,
    secrets: Secrets,
    context: &Context,
    previous: Option<&Site>,
    problems: &mut Problems,
) -> Option<Arc<Store>> {
    if secrets.redis_url.as_ref().is_some_and(|url| url.contains(['?', '#'])) {
        problems.add(
            "session.store.redis.url",
            "options behind ? in the URL are not supported: leave them out",
        );
    }
    let parts = store::Parts {
        ring: Arc::clone(ring),
        providers: config.providers.iter().map(|provider| provider.id.clone()).collect(),
        redis_url: secrets.redis_url,
        redis_password: secrets.redis_password,
        control: context.control.clone(),
        previous: previous.map(|site| &*site.store),
    };
    match Store::compile(&config.session, parts) {
        Ok(store) => Some(Arc::new(store)),
        Err(error) => {
            let field = match error {
                SettingsError::NoUrl | SettingsError::Url(_) => "session.store.redis.url",
                SettingsError::CaFile { .. } | SettingsError::Certificates { .. } => {
                    "session.store.redis.caFile"
                }
            };
            problems.add(field, error.to_string());
            None
        }
    }
}

/// Adds what concerns fields without a problem so far: one message about a field is enough.
fn add_new(problems: &mut Problems, found: Problems) {
    let known: Vec<_> = problems.0.iter().map(|problem| problem.field.clone()).collect();
    problems.0.extend(found.0.into_iter().filter(|problem| !known.contains(&problem.field)));
}

/// The present [`Site`], shared by all threads.
pub(crate) struct SiteCell {
    epoch: AtomicU64,
    site: Mutex<Arc<Site>>,
}

impl SiteCell {
    /// Starts with `site`.
    pub(crate) fn new(site: Site) -> Arc<Self> {
        Arc::new(Self { epoch: AtomicU64::new(site.epoch), site: Mutex::new(Arc::new(site)) })
    }

    /// The present site; for work off the request path. Workers use a [`SiteReader`].
    pub(crate) fn load(&self) -> Arc<Site> {
        Arc::clone(&self.site.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts `site` in force for every request that starts from now on.
    pub(crate) fn swap(&self, site: Site) {
        let epoch = site.epoch;
        *self.site.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(site);
        self.epoch.store(epoch, Ordering::Release);
    }
}

/// One worker's view of a [`SiteCell`].
///
/// Taking the present site costs one shared load and a count that only this worker touches: the outer `Arc` belongs to
/// the worker, so the cores do not fight over one counter.
pub(crate) struct SiteReader {
    cell: Arc<SiteCell>,
    local: Mutex<(u64, SiteRef)>,
}

/// The site of one request.
pub(crate) type SiteRef = Arc<Arc<Site>>;

impl SiteReader {
    /// A view for one worker.
    pub(crate) fn new(cell: &Arc<SiteCell>) -> Self {
        let site = cell.load();
        Self { local: Mutex::new((site.epoch, Arc::new(site))), cell: Arc::clone(cell) }
    }

    /// The site that a request starting now belongs to.
    pub(crate) fn current(&self) -> SiteRef {
        let mut local = self.local.lock().unwrap_or_else(PoisonError::into_inner);
        if local.0 != self.cell.epoch.load(Ordering::Acquire) {
            let site = self.cell.load();
            *local = (site.epoch, Arc::new(site));
        }
        Arc::clone(&local.1)
    }
}
