//! What every reconcile needs: made once, shared by all, changed by none.

use crate::clock::Clock;
use crate::controller::Gate;
use crate::event::Events;
use crate::metrics::Metrics;
use crate::past::Past;
use crate::pod;
use crate::poke::Poker;
use crate::report::{Guarded, Reports};
use crate::seen::Seen;
use kube::Client;
use kube::runtime::reflector::ObjectRef;

/// Shared by all controllers.
pub(crate) struct Context {
    /// For everything but the lease.
    pub(crate) client: Client,
    /// What every controller's loop needs.
    pub(crate) gate: Gate,
    /// What every container of the proxy has in common.
    pub(crate) proxy: pod::Defaults,
    /// Who we are in records: namespace and name of our lease.
    pub(crate) writer: String,
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
    /// The time.
    pub(crate) clock: Clock,
    /// What this process remembers of objects.
    pub(crate) past: Past,
}

impl Context {
    /// Forgets an object that is gone, by whatever way it went.
    pub(crate) fn forget(&self, object: &ObjectRef<Guarded>) {
        self.reports.forget(object);
        self.poker.forget(object);
        self.past.forget(object);
    }
}
