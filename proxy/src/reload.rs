//! Takes a changed configuration into force while requests run.
//!
//! Everything is read, checked and compiled before anything changes; then one pointer is swapped. What can not be read,
//! is wrong, or needs new listeners leaves the old configuration whole, and log, metric and status say so.

mod fingerprint;
mod fixed;
mod in_force;
mod watch;

pub(crate) use fingerprint::Seen;
pub(crate) use in_force::InForce;

use crate::options::{Loaded, ReadError, Source};
use crate::site::{Context, Site, SiteCell};
use crate::telemetry::Telemetry;
use crate::thread::on_own_thread;
use proxy_config::Config;
use std::sync::Arc;
use tokio::sync::mpsc;
use watch::Watcher;

/// What a reload works on.
pub(crate) struct Reloader {
    /// Where the configuration comes from.
    pub(crate) source: Source,
    /// Where it goes.
    pub(crate) cell: Arc<SiteCell>,
    /// What compiling needs.
    pub(crate) context: Context,
    /// Told of changed log settings.
    pub(crate) telemetry: Telemetry,
    /// Told of the outcome.
    pub(crate) status: Arc<InForce>,
}

impl Reloader {
    /// Reloads whenever a file has changed since it was `seen`, and whenever `demands` says so. Ends when `demands` does.
    pub(crate) async fn run(self, mut seen: Seen, mut demands: mpsc::Receiver<()>) {
        let reloader = Arc::new(self);
        let mut watcher = Watcher::new();
        // Not only a change of files can mend what failed: there were too many open ones, or a disk that did not answer.
        let mut failed = false;
        loop {
            watcher.watch(seen.files());
            let mut demanded = false;
            // A change between the reading and the watching wakes nobody.
            if seen.now() == seen {
                tokio::select! {
                    demand = demands.recv() => match demand {
                        Some(()) => demanded = true,
                        None => return,
                    },
                    () = watcher.changed() => {}
                }
            }
            seen.settle().await;
            let changed = demanded || seen.now() != seen;
            if changed || failed {
                // Files and thousands of expressions take their time, in which this thread has refreshes to make.
                let (worker, before, again) = (Arc::clone(&reloader), seen, !changed);
                (seen, failed) = match on_own_thread("reload", move || worker.reload(again)).await {
                    Ok(done) => done,
                    Err(error) => {
                        reloader.refused(&error.to_string(), again);
                        (before.now(), true)
                    }
                };
            }
        }
    }

    /// Reads the configuration again and takes it into force if it is good. Gives the files to watch from now on: those
    /// in force, and those of a refused configuration, because one of them may be what mends it; and whether it failed.
    fn reload(&self, again: bool) -> (Seen, bool) {
        let mut seen = Seen::default();
        seen.add(self.source.files());
        seen.add(self.cell.load().config.files());
        match self.attempt(&mut seen) {
            Ok(hash) => {
                tracing::info!(hash = hash.as_deref(), "the configuration was reloaded");
                self.status.succeeded(hash);
                (seen, false)
            }
            Err(reason) => {
                self.refused(&reason, again);
                (seen, true)
            }
        }
    }

    fn refused(&self, reason: &str, again: bool) {
        if self.status.failed(reason, again) {
            tracing::error!(%reason, "the changed configuration is refused; the one before stays in force");
        }
    }

    fn attempt(&self, seen: &mut Seen) -> Result<Option<String>, String> {
        let loaded = self.source.load().map_err(|error| error.to_string())?;
        seen.add(loaded.config.files());
        let present = self.cell.load();
        let site = compile(&loaded, &self.context, Some(&present))?;
        fixed::unchanged(&present.config, &site.config)
            .map_err(|problems| loaded.spell(problems).to_string())?;
        if let Some(tls) = &site.tls {
            tls.take_effect().map_err(|error| error.to_string())?;
        }
        self.telemetry.apply(&site.config.logging);
        warn(&loaded, &site.config);
        self.cell.swap(site);
        Ok(loaded.hash)
    }
}

/// Reads the configuration of a source for the first time, and notes the state of the files before they are read.
///
/// # Errors
/// It can not be read at all.
pub(crate) fn first(source: &Source) -> Result<(Loaded, Seen), ReadError> {
    let mut seen = Seen::default();
    seen.add(source.files());
    let loaded = source.load()?;
    seen.add(loaded.config.files());
    Ok((loaded, seen))
}

/// Compiles what was loaded; all problems of all stages in one message, spelled as the front end does.
pub(crate) fn compile(
    loaded: &Loaded,
    context: &Context,
    previous: Option<&Site>,
) -> Result<Site, String> {
    let mut problems = loaded.problems.clone();
    match Site::compile(&loaded.config, context, previous) {
        Ok(site) if problems.0.is_empty() => return Ok(site),
        Ok(_) => {}
        Err(found) => {
            let found = loaded.spell(found);
            let known: Vec<_> = problems.0.iter().map(|problem| problem.field.clone()).collect();
            problems
                .0
                .extend(found.0.into_iter().filter(|problem| !known.contains(&problem.field)));
        }
    }
    Err(problems.to_string())
}

/// Says what weakens security, and what waits for another pod.
pub(crate) fn warn(loaded: &Loaded, config: &Config) {
    if let Some(passed_over) = &loaded.passed_over {
        tracing::warn!(
            config = %passed_over.config.display(),
            missing = %passed_over.missing.display(),
            "there is a newer configuration for pods that have a file which this one lacks: roll the workload out to take it up"
        );
    }
    for warning in loaded.spell(proxy_config::Problems(config.warnings())).0 {
        tracing::warn!(option = warning.field, "{}", warning.message);
    }
}

#[cfg(test)]
mod tests;
