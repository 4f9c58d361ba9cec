//! What the workload controller remembers between turns, in memory only. Losing all of it delays, and never misleads: every
//! decision to write is made from live objects.

use super::flapping::Repairs;
use crate::fleet::Said;
use crate::inject::{Refusal, asks_for};
use crate::metrics::Totals;
use crate::report::{FleetReport, Guarded, PodReport, Reports};
use crate::workload::{Watched, WorkloadRef};
use crds::Workload;
use kube::Resource as _;
use kube::runtime::reflector::{ObjectRef, Store};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Looks at a workload in which something is under way: quickly at first, then with patience.
const RESTLESS: [u64; 10] = [300, 300, 500, 500, 1000, 1000, 2000, 2000, 5000, 10_000];
/// A pod that falls silent is believed what it said last for so many questions.
const BENEFIT: u8 = 3;

/// Memory of one workload.
#[derive(Default)]
pub(super) struct Memory {
    /// Repairs of the last hour.
    pub(super) repairs: Repairs,
    /// Since when no endpoint leads to the sidecar that is to be removed.
    pub(super) left_since: Option<Instant>,
    /// Turns in a row in which something was under way.
    restless: usize,
    /// What each pod said last, and how often it has been silent since.
    said: HashMap<String, (Said, u8)>,
    /// What was told last in an event.
    pub(super) told: Option<Refusal>,
}

impl Memory {
    /// When to look again at a workload in which something is under way.
    pub(super) fn soon(&mut self) -> Duration {
        let delay = RESTLESS.get(self.restless).or(RESTLESS.last()).copied().unwrap_or(10_000);
        self.restless = (self.restless + 1).min(RESTLESS.len());
        Duration::from_millis(delay)
    }

    /// Whether a moment's wait has not turned into a state yet.
    pub(super) fn is_patient(&self) -> bool {
        self.restless < RESTLESS.len()
    }

    /// Nothing is under way.
    pub(super) fn calm(&mut self) {
        self.restless = 0;
    }

    /// Bridges a moment's silence of a pod.
    pub(super) fn bridged(
        &mut self,
        pod: &str,
        said: Result<Said, String>,
    ) -> Result<Said, String> {
        match said {
            Ok(said) => {
                self.said.insert(pod.to_owned(), (said.clone(), 0));
                Ok(said)
            }
            Err(error) => match self.said.get_mut(pod) {
                Some((last, silent)) if *silent < BENEFIT => {
                    *silent += 1;
                    Ok(last.clone())
                }
                _ => Err(error),
            },
        }
    }

    /// Forgets pods that are gone.
    pub(super) fn keep_pods(&mut self, names: &[String]) {
        self.said.retain(|pod, _| names.contains(pod));
    }
}

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
    pub(super) refusal: Option<crds::Reason>,
}

/// The memory of all workloads.
pub(crate) struct Desk {
    scope: String,
    workloads: Store<Watched>,
    reports: Reports,
    memories: Mutex<HashMap<WorkloadRef, Arc<tokio::sync::Mutex<Memory>>>>,
    entries: Mutex<BTreeMap<WorkloadRef, Option<Entry>>>,
    standalone: Mutex<HashMap<ObjectRef<Guarded>, Vec<PodReport>>>,
}

impl Desk {
    /// An empty one over the watched workloads of a scope.
    pub(crate) fn new(scope: String, workloads: Store<Watched>, reports: Reports) -> Self {
        Self {
            scope,
            workloads,
            reports,
            memories: Mutex::default(),
            entries: Mutex::default(),
            standalone: Mutex::default(),
        }
    }

    /// The memory of a workload, to be held for one turn.
    pub(super) fn memory(&self, key: &WorkloadRef) -> Arc<tokio::sync::Mutex<Memory>> {
        Arc::clone(locked(&self.memories).entry(key.clone()).or_default())
    }

    /// Notes what was found at a workload; nothing: it has to do with no object.
    pub(super) fn put(&self, key: &WorkloadRef, entry: Option<Entry>) {
        let object = entry.as_ref().and_then(|entry| entry.object.clone());
        let before = locked(&self.entries)
            .insert(key.clone(), entry)
            .flatten()
            .and_then(|entry| entry.object);
        for name in before.iter().filter(|name| Some(*name) != object.as_ref()).chain(&object) {
            self.publish(&ObjectRef::new(name).within(&key.namespace));
        }
    }

    /// Forgets a workload that is gone.
    pub(crate) fn forget(&self, key: &WorkloadRef) {
        locked(&self.memories).remove(key);
        self.put(key, None);
        locked(&self.entries).remove(key);
    }

    /// Notes what the stand-alone pods of an object said.
    pub(super) fn put_standalone(&self, object: &ObjectRef<Guarded>, pods: Vec<PodReport>) {
        locked(&self.standalone).insert(object.clone(), pods);
        self.publish(object);
    }

    /// Hands the report of an object on.
    fn publish(&self, object: &ObjectRef<Guarded>) {
        let namespace = object.namespace.clone().unwrap_or_default();
        let standalone = locked(&self.standalone).get(object).cloned();
        let entries = locked(&self.entries);
        let own: Vec<&Entry> = entries
            .iter()
            .filter(|(workload, _)| workload.namespace == namespace && self.is_watched(workload))
            .filter_map(|(_, entry)| entry.as_ref())
            .filter(|entry| entry.object.as_ref() == Some(&object.name))
            .collect();
        let report = FleetReport {
            workloads: own.iter().map(|entry| entry.workload.clone()).collect(),
            judged_by: own
                .iter()
                .filter_map(|entry| Some((entry.workload.name.clone(), entry.config_hash.clone()?)))
                .collect(),
            pods: own
                .iter()
                .flat_map(|entry| &entry.pods)
                .chain(standalone.iter().flatten())
                .cloned()
                .collect(),
            complete: standalone.is_some() && self.all_seen(&entries, &namespace, &object.name),
        };
        drop(entries);
        self.reports.put(object, report);
    }

    /// Whether every workload that may ask for the object has had a turn.
    fn all_seen(
        &self,
        entries: &BTreeMap<WorkloadRef, Option<Entry>>,
        namespace: &str,
        object: &str,
    ) -> bool {
        let asking = self.workloads.state_filter(|workload| {
            workload.meta().namespace.as_deref() == Some(namespace)
                && asks_for(workload.meta(), object)
        });
        asking.iter().all(|workload| entries.contains_key(&workload.reference()))
    }

    /// Whether a workload has had a turn and has to do with an object.
    pub(crate) fn is_known(&self, workload: &WorkloadRef) -> bool {
        locked(&self.entries).get(workload).is_some_and(Option::is_some)
    }

    /// Whether a workload exists, as far as the watch knows.
    fn is_watched(&self, workload: &WorkloadRef) -> bool {
        let reference = ObjectRef::new(&workload.name).within(&workload.namespace);
        self.workloads.get(&reference).is_some()
    }

    /// The scope that it is of.
    pub(super) fn scope(&self) -> &str {
        &self.scope
    }

    /// What is counted of the workloads of this scope.
    pub(super) fn totals(&self) -> Totals {
        let entries = locked(&self.entries);
        let mut totals = Totals::default();
        for entry in entries.values().flatten() {
            totals.injected += i64::from(entry.workload.injected);
            let direct = i64::try_from(entry.direct).unwrap_or(i64::MAX);
            totals.direct_connections = totals.direct_connections.saturating_add(direct);
            if let Some(reason) = entry.refusal {
                *totals.refused.entry(reason).or_insert(0) += 1;
            }
        }
        totals
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
