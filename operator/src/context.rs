//! What every reconcile needs: made once, shared by all, changed by none.

use crate::clock::Clock;
use crate::controller::Pace;
use crate::event::Events;
use crate::leader::Leadership;
use crate::metrics::Metrics;
use crate::pod;
use crate::poke::Poker;
use crate::references::Seen;
use crate::report::Reports;
use crate::scope::Scope;
use crate::stop::Stop;
use kube::Client;

/// Shared by all controllers.
pub(crate) struct Context {
    /// For everything but the lease.
    pub(crate) client: Client,
    /// Whether this replica may write.
    pub(crate) leader: Leadership,
    /// The namespaces that are looked after.
    pub(crate) scope: Scope,
    /// How much is done at a time, and how often.
    pub(crate) pace: Pace,
    /// What every container of the proxy has in common.
    pub(crate) proxy: pod::Defaults,
    /// Publishes events.
    pub(crate) events: Events,
    /// What pods say.
    pub(crate) reports: Reports,
    /// Which versions of Secrets and config maps objects were reconciled with.
    pub(crate) seen: Seen,
    /// Makes kubelets deliver changed Secrets at once.
    pub(crate) poker: Poker,
    /// Counters and gauges.
    pub(crate) metrics: Metrics,
    /// Ends when the process is to stop.
    pub(crate) stop: Stop,
    /// The time.
    pub(crate) clock: Clock,
}
