//! Counters and how Prometheus reads them (text format 0.0.4). The names of oauth2-proxy stay; ours stand beside them.
//!
//! What a request counts goes into the [`Shard`] of its worker, without a lock or a shared cache line; everything else is
//! registered by name in the [`Registry`]. Label values come from fixed sets, never from a client.

mod event;
mod histogram;
mod process;
mod registry;
mod shard;

pub(crate) use event::Event;

pub(crate) use registry::{Counter, Gauge, Registry};
pub(crate) use shard::Shard;

/// Content type of [`Registry::text`], as oauth2-proxy sends it.
pub(crate) const CONTENT_TYPE: &str =
    "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

#[cfg(test)]
mod tests;
