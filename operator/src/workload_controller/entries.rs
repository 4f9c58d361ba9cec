//! What is known of the workloads of one scope, for the reports of their objects and for metrics. What one workload changes
//! costs as much as there is in its namespace, not as much as there is.

use super::outcome;
use super::stage::Stage;
use crate::inject::Refusal;
use crate::metrics::Totals;
use crate::pod::mounted::Files;
use crate::report::PodReport;
use crate::workload::{Kind, WorkloadRef};
use crds::{Reason, Workload};
use std::collections::BTreeMap;
use tokio::time::Instant;

/// What is known of one workload.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Name of the object that it is about; absent: it cannot be told.
    pub(super) object: Option<String>,
    /// For the status.
    pub(super) workload: Workload,
    /// The configuration that it was judged by.
    pub(super) config_hash: Option<String>,
    /// What its pods said.
    pub(super) pods: Vec<PodReport>,
    /// Its direct connections.
    pub(super) direct: u64,
    /// Why it is refused.
    pub(super) refusal: Option<Reason>,
    /// Why it does not come to what is asked for although its template has the sidecar.
    pub(super) hindered: Option<Reason>,
    /// When the look at its pods began; none: there is no sidecar to look for.
    pub(super) looked: Option<Instant>,
    /// The files that its template gives the proxy; none if it has no proxy.
    pub(super) files: Option<Files>,
}

impl Entry {
    /// Of a workload without a sidecar that asks for this object.
    pub(super) fn refused(key: &WorkloadRef, object: Option<String>, refusal: &Refusal) -> Self {
        Self {
            object,
            workload: outcome::bare(key, refusal),
            config_hash: None,
            pods: Vec::new(),
            direct: 0,
            refusal: Some(refusal.reason),
            hindered: None,
            files: None,
            looked: None,
        }
    }
}

/// Of each workload that had a turn what was found, if it has to do with an object.
#[derive(Default)]
pub(super) struct Entries {
    all: BTreeMap<WorkloadRef, Option<Entry>>,
    totals: Totals,
}

impl Entries {
    /// Notes what was found at a workload; what was there before.
    pub(super) fn put(&mut self, key: &WorkloadRef, entry: Option<Entry>) -> Option<Entry> {
        if let Some(entry) = &entry {
            self.count(entry, 1);
        }
        let before = self.all.insert(key.clone(), entry).flatten();
        if let Some(before) = &before {
            self.count(before, -1);
        }
        before
    }

    /// A workload is gone.
    pub(super) fn remove(&mut self, key: &WorkloadRef) {
        let before = self.all.remove(key).flatten();
        if let Some(before) = &before {
            self.count(before, -1);
        }
    }

    /// What is known of a workload.
    pub(super) fn get(&self, key: &WorkloadRef) -> Option<&Entry> {
        self.all.get(key)?.as_ref()
    }

    /// Whether a workload has had a turn and has to do with an object.
    pub(super) fn is_known(&self, key: &WorkloadRef) -> bool {
        self.get(key).is_some()
    }

    /// How far a workload is, if it has been judged.
    pub(super) fn stage(&self, key: &WorkloadRef) -> Option<Stage> {
        self.all.get(key).map(|entry| entry.as_ref().map_or(Stage::Unrelated, Stage::of))
    }

    /// What is known of the workloads of a namespace that have to do with an object.
    pub(super) fn within(&self, namespace: &str) -> impl Iterator<Item = (&WorkloadRef, &Entry)> {
        // Namespace, then kind, then name is their order.
        let [kind, ..] = Kind::ALL;
        let first = WorkloadRef { namespace: namespace.to_owned(), kind, name: String::new() };
        let here = self.all.range(first..).take_while(move |(key, _)| key.namespace == namespace);
        here.filter_map(|(key, entry)| Some((key, entry.as_ref()?)))
    }

    /// What is counted of all.
    pub(super) fn totals(&self) -> Totals {
        self.totals.clone()
    }

    fn count(&mut self, entry: &Entry, sign: i64) {
        self.totals.injected += sign * i64::from(entry.workload.injected);
        // No node has half as many connections as would not fit.
        let direct = i64::try_from(entry.direct).unwrap_or(i64::MAX / 2);
        self.totals.direct_connections += sign * direct;
        if let Some(reason) = entry.refusal {
            let count = self.totals.refused.entry(reason).or_insert(0);
            *count += sign;
            if *count == 0 {
                self.totals.refused.remove(&reason);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(injected: bool, direct: u64, refusal: Option<Reason>) -> Entry {
        let key = WorkloadRef::deployment("shop", "web");
        let refused = Refusal::new(Reason::InProgress, "");
        let mut entry = Entry::refused(&key, Some("main".to_owned()), &refused);
        entry.workload.injected = injected;
        (entry.direct, entry.refusal) = (direct, refusal);
        entry
    }

    /// What each step leaves is what one finds who looks through all.
    fn agrees(entries: &Entries, all: &BTreeMap<WorkloadRef, Option<Entry>>) {
        let mut totals = Totals::default();
        for entry in all.values().flatten() {
            totals.injected += i64::from(entry.workload.injected);
            totals.direct_connections += i64::try_from(entry.direct).unwrap();
            if let Some(reason) = entry.refusal {
                *totals.refused.entry(reason).or_insert(0) += 1;
            }
        }
        assert_eq!(entries.totals(), totals);
        for namespace in ["", "a", "ab", "b", "c"] {
            let found: Vec<_> = entries.within(namespace).map(|(key, _)| key.clone()).collect();
            let here =
                all.iter().filter(|(key, entry)| key.namespace == namespace && entry.is_some());
            assert_eq!(found, here.map(|(key, _)| key.clone()).collect::<Vec<_>>());
        }
    }

    proptest! {
        #[test]
        fn totals_and_namespaces_are_those_of_all_that_is_known(
            steps in prop::collection::vec((0..4_usize, 0..6_usize, 0..3_usize, 0..5_u8, 0..9_u64), 0..60),
        ) {
            let (mut entries, mut all) = (Entries::default(), BTreeMap::new());
            for (namespace, kind, name, what, direct) in steps {
                let key = WorkloadRef {
                    namespace: ["a", "ab", "b", ""][namespace].to_owned(),
                    kind: Kind::ALL[kind],
                    name: ["web", "api", ""][name].to_owned(),
                };
                let entry = match what {
                    0 => {
                        entries.remove(&key);
                        all.remove(&key);
                        None
                    }
                    1 => Some(None),
                    2 => Some(Some(entry(true, direct, None))),
                    3 => Some(Some(entry(false, direct, Some(Reason::InvalidAnnotation)))),
                    _ => Some(Some(entry(true, direct, Some(Reason::Paused)))),
                };
                if let Some(entry) = entry {
                    entries.put(&key, entry.clone());
                    all.insert(key, entry);
                }
                agrees(&entries, &all);
            }
        }
    }
}
