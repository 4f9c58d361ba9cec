//! The immutable compiled configuration, and the cell through which every worker sees the present one.
//!
//! A request takes its `Site` once and keeps it to its end, so a reload never changes the rules in the middle of a
//! request. Compiling may fail; swapping can not.

mod compiling;
mod files;
mod prepared;
mod providers;
mod tls;

pub(crate) use tls::Tls;

use crate::access_log::Rules;
use crate::backend::Backend;
use crate::clock::Clock;
use crate::metrics::Registry;
use crate::policy::Policy;
use crate::refresh::Refresher;
use crate::secrets::Secrets;
use crate::session::KeyRing;
use crate::store::Store;
use compiling::Compiling;
use prepared::Prepared;
use providers::Providers;
use proxy_config::{Config, Problems};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;

/// What lives as long as the process, whatever the configuration.
#[derive(Clone)]
pub(crate) struct Context {
    /// The control runtime: discovery, key fetches and refreshes run there.
    pub(crate) control: Handle,
    /// The time of day.
    pub(crate) clock: Arc<dyn Clock>,
    /// All refreshes under way.
    pub(crate) refresher: Arc<Refresher>,
    /// Where counts are kept that outlive a configuration.
    registry: Arc<Registry>,
}

impl Context {
    /// A context with no refresh under way.
    pub(crate) fn new(control: Handle, clock: Arc<dyn Clock>, registry: &Arc<Registry>) -> Self {
        let refresher = Arc::new(Refresher::new(control.clone(), Arc::clone(&clock)));
        Self { control, clock, refresher, registry: Arc::clone(registry) }
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
    /// The identity providers; each is kept across reloads that leave its settings alone.
    pub(crate) providers: Providers,
    /// Who may pass, and what answers.
    pub(crate) policy: Policy,
    /// What answers them, by place in `config.upstreams`.
    pub(crate) backends: Vec<Backend>,
    /// What the gate needs beside these.
    pub(crate) prepared: Prepared,
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
        let problems = config.problems().err().unwrap_or_default();
        Self::compile_beside(problems, config, context, previous)
    }

    /// The same, where `problems` are those of the configuration itself: tests compile what it does not allow yet.
    pub(crate) fn compile_beside(
        problems: Problems,
        config: &Config,
        context: &Context,
        previous: Option<&Self>,
    ) -> Result<Self, Problems> {
        let mut compiling = Compiling::new(config, context, previous);
        let mut secrets = Secrets::read(config, &mut compiling.found);
        let tls = compiling.tls(secrets.tls_key.take());
        let providers = std::mem::take(&mut secrets.providers);
        let ring = compiling.ring(&secrets);
        let store = ring.as_ref().and_then(|ring| compiling.store(ring, secrets));
        let found = &mut compiling.found;
        files::check(config, found);
        let policy = Policy::compile(config, found);
        let policy = match previous {
            Some(previous) => policy.after(&previous.policy, context.clock.now()),
            None => policy,
        };
        let backends = Backend::compile(config, found);
        let providers = compiling.finish(providers, problems)?;
        let (Some(ring), Some(store)) = (ring, store) else { return Err(Problems::default()) };
        Ok(Self {
            log: Rules::compile(&config.logging, &config.http),
            config: config.clone(),
            epoch: previous.map_or(1, |site| site.epoch + 1),
            context: context.clone(),
            ring,
            store,
            providers,
            policy,
            backends,
            prepared: Prepared::new(config, previous.map(|site| &site.prepared)),
            tls,
        })
    }
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
