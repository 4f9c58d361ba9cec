//! Numbers for Prometheus. Labels are names of ours, never names of users' objects.

use crate::failure::FailureClass;
use crds::Reason;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ControllerLabel {
    controller: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    controller: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// What is counted of workloads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Those that carry the sidecar.
    pub(crate) injected: i64,
    /// Connections to them past the proxy.
    pub(crate) direct_connections: i64,
    /// Those that are not injected, by reason.
    pub(crate) refused: BTreeMap<Reason, i64>,
}

/// A controller, and how many objects wait for a turn of it.
type Queue = (&'static str, Box<dyn Fn() -> usize + Send + Sync>);

/// All metrics. Clones count together.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    durations: Family<ControllerLabel, Histogram, fn() -> Histogram>,
    failures: Family<FailureLabels, Counter>,
    queue_depth: Family<ControllerLabel, Gauge>,
    /// What the last one is counted from: a controller runs once for each scope.
    queues: Arc<Mutex<Vec<Queue>>>,
    leader: Gauge,
    refused_workloads: Family<ReasonLabel, Gauge>,
    /// Workloads whose pod template carries the sidecar.
    injected_workloads: Gauge,
    /// Sidecars put back after somebody took them out.
    pub(crate) drift_repairs: Counter,
    /// Connections to protected ports that do not go through the proxy.
    direct_connections: Gauge,
    /// What the last three are the sums of, by scope.
    scopes: Arc<Mutex<BTreeMap<String, Totals>>>,
}

impl Metrics {
    /// New metrics, all zero.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("oauth2_proxy_operator");
        let durations: Family<ControllerLabel, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| {
                Histogram::new([0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0])
            });
        let failures = Family::default();
        let queue_depth = Family::default();
        let (leader, injected_workloads, direct_connections) =
            (Gauge::default(), Gauge::default(), Gauge::default());
        let drift_repairs = Counter::default();
        let refused_workloads = Family::default();
        registry.register(
            "refused_workloads",
            "Workloads that are not injected, by reason",
            refused_workloads.clone(),
        );
        registry.register("reconcile_duration_seconds", "Time of one reconcile", durations.clone());
        registry.register(
            "reconcile_failures",
            "Reconciles that failed, by who has to act",
            failures.clone(),
        );
        registry.register("queue_depth", "Objects that wait for a turn", queue_depth.clone());
        registry.register("leader", "1 in the replica that writes", leader.clone());
        registry.register(
            "injected_workloads",
            "Workloads that carry the sidecar",
            injected_workloads.clone(),
        );
        registry.register(
            "drift_repairs",
            "Sidecars put back after somebody took them out",
            drift_repairs.clone(),
        );
        registry.register(
            "direct_connections",
            "Open connections to protected ports that do not go through the proxy",
            direct_connections.clone(),
        );
        registry.register(
            "build",
            "Version of the operator",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        Self {
            registry: Arc::new(registry),
            durations,
            failures,
            queue_depth,
            queues: Arc::default(),
            leader,
            refused_workloads,
            injected_workloads,
            drift_repairs,
            direct_connections,
            scopes: Arc::default(),
        }
    }

    /// Notes a reconcile.
    pub(crate) fn reconciled(
        &self,
        controller: &'static str,
        failure: Option<FailureClass>,
        time: Duration,
    ) {
        self.durations.get_or_create(&ControllerLabel { controller }).observe(time.as_secs_f64());
        if let Some(class) = failure {
            self.failures
                .get_or_create(&FailureLabels { controller, reason: class.as_str() })
                .inc();
        }
    }

    /// Has the objects counted that wait for a controller, at each look at the numbers.
    pub(crate) fn queue(
        &self,
        controller: &'static str,
        waiting: impl Fn() -> usize + Send + Sync + 'static,
    ) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.push((controller, Box::new(waiting)));
    }

    fn count_queues(&self) {
        let mut depths = BTreeMap::new();
        for (controller, waiting) in
            self.queues.lock().unwrap_or_else(PoisonError::into_inner).iter()
        {
            *depths.entry(*controller).or_insert(0) += i64::try_from(waiting()).unwrap_or(i64::MAX);
        }
        for (controller, depth) in depths {
            self.queue_depth.get_or_create(&ControllerLabel { controller }).set(depth);
        }
    }

    /// Notes what is counted of the workloads of one scope; the gauges show the sum of all.
    pub(crate) fn workloads(&self, scope: &str, totals: Totals) {
        let mut scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        scopes.insert(scope.to_owned(), totals);
        let mut sum = Totals::default();
        for totals in scopes.values() {
            sum.injected += totals.injected;
            sum.direct_connections += totals.direct_connections;
            for (reason, count) in &totals.refused {
                *sum.refused.entry(*reason).or_insert(0) += count;
            }
        }
        self.injected_workloads.set(sum.injected);
        self.direct_connections.set(sum.direct_connections);
        self.refused_workloads.clear();
        for (reason, count) in sum.refused {
            let label = ReasonLabel { reason: reason.as_str() };
            self.refused_workloads.get_or_create(&label).set(count);
        }
    }

    /// Notes whether this replica writes.
    pub(crate) fn set_leader(&self, leader: bool) {
        self.leader.set(leader.into());
    }

    /// The text that Prometheus reads (`OpenMetrics`).
    ///
    /// # Errors
    /// None that this encoder has.
    pub(crate) fn encode(&self) -> Result<String, fmt::Error> {
        self.count_queues();
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_described_in_the_metrics_page() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        let page = std::fs::read_to_string(path).unwrap();
        let text = Metrics::new().encode().unwrap();
        let families =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        let missing: Vec<_> = families.filter(|name| !page.contains(name)).collect();
        assert!(missing.is_empty(), "docs/metrics.md does not describe {missing:?}");
    }

    #[test]
    fn what_waits_for_a_controller_is_the_sum_of_all_scopes() {
        let metrics = Metrics::new();
        metrics.queue("workload", || 2);
        metrics.queue("workload", || 3);
        let text = metrics.encode().unwrap();
        let line = "oauth2_proxy_operator_queue_depth{controller=\"workload\"} 5";
        assert!(text.lines().any(|found| found == line), "{text}");
    }

    #[test]
    fn gauges_are_the_sum_of_all_scopes() {
        let metrics = Metrics::new();
        let totals = |injected, direct_connections, refused: &[(Reason, i64)]| Totals {
            injected,
            direct_connections,
            refused: refused.iter().copied().collect(),
        };
        metrics.workloads("a", totals(2, 1, &[(Reason::PortCollision, 1)]));
        metrics.workloads("b", totals(3, 0, &[(Reason::PortCollision, 2)]));
        let text = metrics.encode().unwrap();
        for line in [
            "oauth2_proxy_operator_injected_workloads 5",
            "oauth2_proxy_operator_direct_connections 1",
            "oauth2_proxy_operator_refused_workloads{reason=\"PortCollision\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        metrics.workloads("a", Totals::default());
        let text = metrics.encode().unwrap();
        assert!(text.contains("oauth2_proxy_operator_direct_connections 0"), "{text}");
    }
}
