//! From the validated object to the objects that it needs, one file for each kind. Pure, and deterministic: the same object
//! gives the same bytes.

mod config;
mod config_secret;
mod cookie_secret;
mod deployment;
mod entries;
mod service;
mod service_account;

pub(super) use cookie_secret::with_new_key;

use super::validate::ValidatedProxy;
use crate::pod;
use crate::spec::Finding;
use crds::Reason;
use serde_json::Value;
use std::collections::BTreeSet;

/// Everything that should exist, as server-side apply takes it.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The cookie Secret without its key, if it has to be made; it is created once and never applied.
    pub(super) cookie_secret: Option<Value>,
    /// The configuration.
    pub(super) config_secret: Value,
    /// Hash of the configuration, as pods report it.
    pub(super) config_hash: String,
    /// Hashes of what is there beside it, for pods that can not take it up.
    pub(super) earlier_hashes: BTreeSet<String>,
    /// The stand-alone proxy, if there is to be one.
    pub(super) standalone: Option<Standalone>,
}

/// The objects of the stand-alone proxy.
#[derive(Debug)]
pub(super) struct Standalone {
    /// Its identity, without rights.
    pub(super) service_account: Value,
    /// Its pods.
    pub(super) deployment: Value,
    /// Its address.
    pub(super) service: Value,
}

/// Builds everything. `defaults` are what every container of the proxy has in common.
///
/// # Errors
/// What the reader of the configuration would refuse, by the reader's own rules.
pub(super) fn run(
    proxy: &ValidatedProxy,
    defaults: &pod::Defaults,
) -> Result<Wanted, Vec<Finding>> {
    let config = config::build(proxy);
    config.problems().map_err(|problems| {
        problems
            .0
            .into_iter()
            .map(|p| Finding::new(Reason::InvalidSpec, p.field, p.message))
            .collect::<Vec<_>>()
    })?;
    let stored = proxy.found.configurations(&proxy.spec);
    let entries = entries::decide(&config, &stored, &proxy.report).map_err(|error| {
        vec![Finding::new(Reason::InvalidSpec, "spec", format!("can not be written: {error}"))]
    })?;
    Ok(Wanted {
        cookie_secret: cookie_secret::build(proxy),
        config_hash: entries.newest,
        earlier_hashes: entries.kept,
        config_secret: config_secret::build(&proxy.spec, &entries.texts),
        standalone: proxy.spec.spec.deployment.as_ref().map(|settings| Standalone {
            service_account: service_account::build(&proxy.spec),
            deployment: deployment::build(&proxy.spec, settings, defaults),
            service: service::build(&proxy.spec),
        }),
    })
}
