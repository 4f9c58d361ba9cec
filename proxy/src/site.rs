//! The immutable compiled configuration, and the cell through which every worker sees the present one.
//!
//! A request takes its `Site` once and keeps it to its end, so a reload never changes the rules in the middle of a
//! request. Compiling may fail; swapping can not.

use crate::secrets::Secrets;
use proxy_config::{Config, Problems};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;

/// What compiling needs beside the configuration; the same for the life of the process.
pub(crate) struct Context {
    /// The control runtime: discovery, key fetches and token calls run there.
    pub(crate) control: Handle,
}

/// One configuration, compiled whole.
pub(crate) struct Site {
    /// What it was compiled from.
    pub(crate) config: Config,
    /// The secrets that the configuration names.
    pub(crate) secrets: Secrets,
    /// Counts compilations; a cache that was filled under another epoch is void.
    pub(crate) epoch: u64,
}

impl Site {
    /// Checks and compiles `config`. Live objects of `previous` whose part did not change are taken over.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub(crate) fn compile(
        config: &Config,
        context: &Context,
        previous: Option<&Self>,
    ) -> Result<Self, Problems> {
        let mut problems = config.problems().err().unwrap_or_default();
        let secrets = Secrets::read(config, &mut problems);
        let _ = &context.control;
        if problems.0.is_empty() {
            Ok(Self {
                config: config.clone(),
                secrets,
                epoch: previous.map_or(1, |site| site.epoch + 1),
            })
        } else {
            Err(problems)
        }
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
