//! What the workload controller remembers between turns, in memory only. Losing all of it delays, and never misleads: every
//! decision to write is made from live objects.

use super::closed::Closed;
use super::entries::{Entries, Entry};
use super::memory::{Memory, Observed};
use super::observe::Subject;
use super::outcome;
use super::stage::Stage;
use crate::controller::{Expected, Objects, Queue};
use crate::inject::{
    INJECT, OptIn, Refusal, asked_for, asks_for, belongs_to, concerns, is_recorded,
};
use crate::metrics::Totals;
use crate::report::{FleetReport, Guarded, PodReport, Reports};
use crate::workload::{STATUS, Watched, WorkloadRef};
use crds::{Reason, Workload, WorkloadTraffic};
use kube::runtime::reflector::ObjectRef;
use kube::{Resource as _, ResourceExt as _};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// What the stand-alone pods of an object said, and when the oldest of the answers was asked for.
type StandalonePods = (Vec<PodReport>, Option<Instant>);

/// The memory of all workloads.
pub(crate) struct Desk {
    scope: String,
    workloads: Objects<Watched>,
    reports: Reports,
    /// Told of workloads that are to have a turn.
    turns: Queue<Watched>,
    /// Told of workloads whose pods are to be looked at.
    observe: Queue<Watched>,
    /// Told of workloads that were judged.
    stages: Queue<Watched>,
    memories: Mutex<HashMap<WorkloadRef, Arc<tokio::sync::Mutex<Memory>>>>,
    observed: Mutex<HashMap<WorkloadRef, Arc<tokio::sync::Mutex<Observed>>>>,
    subjects: Mutex<HashMap<WorkloadRef, Arc<Subject>>>,
    /// What was told last in an event.
    told: Mutex<HashMap<WorkloadRef, Refusal>>,
    closed: Closed,
    /// Those that came to ask for something since the process started, and have had no turn since.
    news: Mutex<HashSet<WorkloadRef>>,
    /// How a workload is after the last write of its own turn, which goes on with that: the watch tells of it, and it is no news.
    expected: Expected<WorkloadRef>,
    listed: AtomicBool,
    entries: Mutex<Entries>,
    /// What stand-alone pods said, and when the look at them began, if there were to be any.
    standalone: Mutex<HashMap<ObjectRef<Guarded>, StandalonePods>>,
}

impl Desk {
    /// An empty one over the watched workloads of a scope.
    pub(crate) fn new(
        scope: String,
        workloads: Objects<Watched>,
        reports: Reports,
        (turns, observe, stages): (Queue<Watched>, Queue<Watched>, Queue<Watched>),
    ) -> Self {
        Self {
            scope,
            workloads,
            reports,
            turns,
            observe,
            stages,
            memories: Mutex::default(),
            observed: Mutex::default(),
            subjects: Mutex::default(),
            told: Mutex::default(),
            closed: Closed::default(),
            news: Mutex::default(),
            expected: Expected::default(),
            listed: AtomicBool::default(),
            entries: Mutex::default(),
            standalone: Mutex::default(),
        }
    }

    /// The memory of a workload, to be held for one turn.
    pub(super) fn memory(&self, key: &WorkloadRef) -> Arc<tokio::sync::Mutex<Memory>> {
        Arc::clone(locked(&self.memories).entry(key.clone()).or_default())
    }

    /// The memory of the looks at the pods of a workload, to be held for one of them.
    pub(super) fn observed(&self, key: &WorkloadRef) -> Arc<tokio::sync::Mutex<Observed>> {
        Arc::clone(locked(&self.observed).entry(key.clone()).or_default())
    }

    /// Leaves a workload to whoever observes it, unless it is as it was before.
    pub(super) fn leave(&self, key: &WorkloadRef, subject: Subject) {
        let mut subjects = locked(&self.subjects);
        if subjects.get(key).is_some_and(|before| before.is_like(&subject)) {
            return;
        }
        subjects.insert(key.clone(), Arc::new(subject));
        drop(subjects);
        self.look(key);
    }

    /// Notes how a workload's own turn has written it.
    pub(super) fn expect(&self, key: &WorkloadRef, workload: &Value) {
        self.expected.note(key.clone(), Watched::of(workload).fingerprint());
    }

    /// Whether a workload is as its own turn wrote it. Once: it may come back to that by somebody else's hand.
    pub(crate) fn is_expected(&self, key: &WorkloadRef, fingerprint: u64) -> bool {
        self.expected.is(key, fingerprint)
    }

    /// Gives a workload a turn.
    pub(super) fn turn(&self, key: &WorkloadRef) {
        self.turns.push(ObjectRef::new(&key.name).within(&key.namespace));
    }

    /// Has the pods of a workload looked at.
    pub(crate) fn look(&self, key: &WorkloadRef) {
        self.observe.push(ObjectRef::new(&key.name).within(&key.namespace));
    }

    /// What was left of a workload to be observed.
    pub(super) fn subject(&self, key: &WorkloadRef) -> Option<Arc<Subject>> {
        locked(&self.subjects).get(key).cloned()
    }

    /// Notes that nothing leads to a workload without a login.
    pub(super) fn note_closed(&self, key: &WorkloadRef) -> bool {
        self.closed.note(key)
    }

    /// Whether nothing led to a workload without a login at some time, or to one of its name that has just gone.
    pub(super) fn was_closed(&self, key: &WorkloadRef) -> bool {
        self.closed.is(key)
    }

    /// Notes what is in the way of a workload, if anything is; whether that is news.
    pub(super) fn is_news(&self, key: &WorkloadRef, refusal: Option<&Refusal>) -> bool {
        let mut told = locked(&self.told);
        let Some(refusal) = refusal else {
            told.remove(key);
            return false;
        };
        told.insert(key.clone(), refusal.clone()).as_ref() != Some(refusal)
    }

    /// Notes what was found at a workload without a sidecar; nothing: it has to do with no object.
    pub(super) fn put_bare(&self, key: &WorkloadRef, entry: Option<Entry>) {
        locked(&self.subjects).remove(key);
        locked(&self.observed).remove(key);
        self.closed.opened(key);
        self.put(key, entry);
    }

    /// Notes what was found at a workload; nothing: it has to do with no object.
    pub(super) fn put(&self, key: &WorkloadRef, entry: Option<Entry>) {
        locked(&self.news).remove(key);
        self.correct_stage(key);
        let object = entry.as_ref().and_then(|entry| entry.object.clone());
        let before = locked(&self.entries).put(key, entry).and_then(|entry| entry.object);
        for name in before.iter().filter(|name| Some(*name) != object.as_ref()).chain(&object) {
            self.publish(&ObjectRef::new(name).within(&key.namespace));
        }
    }

    /// How far a workload is; nothing: it has not been judged yet.
    pub(super) fn stage(&self, workload: &Watched) -> Option<Stage> {
        if !concerns(workload.meta()) && workload.pod_annotation(INJECT).is_none() {
            return Some(Stage::Unrelated);
        }
        locked(&self.entries).stage(&workload.reference())
    }

    /// Whether a workload says of itself how far it is.
    pub(crate) fn has_stage(&self, workload: &Watched) -> bool {
        let said = workload.annotations().get(STATUS).map(String::as_str);
        self.stage(workload).is_none_or(|stage| stage.value() == said)
    }

    /// Has the annotation of a workload corrected.
    pub(crate) fn correct_stage(&self, key: &WorkloadRef) {
        self.stages.push(ObjectRef::new(&key.name).within(&key.namespace));
    }

    /// Says of a workload that it can not be looked at any more: what was found before is no news by now.
    pub(super) fn put_unseen(&self, key: &WorkloadRef, refusal: &Refusal) {
        let before = locked(&self.entries).get(key).cloned();
        if let Some(mut entry) = before {
            entry.workload.traffic = WorkloadTraffic::Pending;
            entry.workload.message = outcome::bare(key, refusal).message;
            entry.refusal = Some(refusal.reason);
            entry.hindered = Some(refusal.reason);
            self.put(key, Some(entry));
        }
    }

    /// Forgets a workload that is gone.
    pub(crate) fn forget(&self, key: &WorkloadRef) {
        locked(&self.memories).remove(key);
        self.expected.forget(key);
        locked(&self.told).remove(key);
        self.closed.gone(key);
        self.put_bare(key, None);
        locked(&self.entries).remove(key);
    }

    /// Notes what the stand-alone pods of an object said.
    pub(crate) fn put_standalone(
        &self,
        object: &ObjectRef<Guarded>,
        pods: Vec<PodReport>,
        looked: Option<Instant>,
    ) {
        locked(&self.standalone).insert(object.clone(), (pods, looked));
        self.publish(object);
    }

    /// Hands the report of an object on.
    fn publish(&self, object: &ObjectRef<Guarded>) {
        let namespace = object.namespace.clone().unwrap_or_default();
        let standalone = locked(&self.standalone).get(object).cloned();
        let entries = locked(&self.entries);
        let own: Vec<&Entry> = entries
            .within(&namespace)
            .filter(|(_, entry)| entry.object.as_ref() == Some(&object.name))
            .filter(|(workload, _)| self.is_watched(workload))
            .map(|(_, entry)| entry)
            .collect();
        let waiting = self.waiting(&entries, object);
        let report = FleetReport {
            workloads: own.iter().map(|entry| entry.workload.clone()).chain(waiting).collect(),
            hindered: own
                .iter()
                .filter_map(|entry| Some((entry.workload.name.clone(), entry.hindered?)))
                .collect(),
            judged_by: own
                .iter()
                .filter_map(|entry| Some((entry.workload.name.clone(), entry.config_hash.clone()?)))
                .collect(),
            pods: own
                .iter()
                .flat_map(|entry| &entry.pods)
                .chain(standalone.iter().flat_map(|(pods, _)| pods))
                .cloned()
                .collect(),
            templates: own.iter().filter_map(|entry| entry.files.clone()).collect(),
            looked: own
                .iter()
                .filter_map(|entry| entry.looked)
                .chain(standalone.iter().filter_map(|(_, looked)| *looked))
                .min(),
            late: false,
            complete: standalone.is_some() && self.all_seen(&entries, &namespace, &object.name),
        };
        drop(entries);
        self.reports.put(object, report);
    }

    /// Workloads that came to ask for an object and have had no turn since: whatever was so before they came, now something is
    /// open that should not be.
    fn waiting(&self, entries: &Entries, object: &ObjectRef<Guarded>) -> Vec<Workload> {
        let news = locked(&self.news);
        if news.is_empty() {
            return Vec::new();
        }
        let waits = |workload: &Watched| {
            let key = workload.reference();
            asks_for(workload.meta(), &object.name)
                && news.contains(&key)
                && !entries.is_known(&key)
        };
        let refusal =
            Refusal::new(Reason::InProgress, "it asks for the sidecar and has had no turn");
        let namespace = object.namespace.as_deref().unwrap_or_default();
        let waiting = self.workloads.within(namespace, waits);
        waiting.iter().map(|workload| outcome::bare(&workload.reference(), &refusal)).collect()
    }

    /// Says that everything has been listed: who comes to ask from now on is news.
    pub(crate) fn set_listed(&self) {
        self.listed.store(true, Ordering::Relaxed);
    }

    /// Notes that a workload asks for something, before its turn comes. What is there when the process starts is no news: until
    /// it has had a turn, what was said of it before still counts.
    pub(crate) fn notice(&self, workload: &Watched) {
        let key = workload.reference();
        if self.is_known(&key)
            || !self.listed.load(Ordering::Relaxed)
            || is_recorded(workload.meta())
        {
            return;
        }
        if let Some(OptIn::Named(name)) = asked_for(workload.meta()) {
            let object = ObjectRef::new(&name).within(&key.namespace);
            if locked(&self.news).insert(key) {
                self.publish(&object);
            }
        }
    }

    /// Whether every workload that may ask for the object, or carries its sidecar, has had a turn, or is known to wait for one.
    fn all_seen(&self, entries: &Entries, namespace: &str, object: &str) -> bool {
        let asking =
            self.workloads.within(namespace, |workload| belongs_to(workload.meta(), object));
        let news = locked(&self.news);
        asking
            .iter()
            .map(|workload| workload.reference())
            .all(|key| entries.is_known(&key) || news.contains(&key))
    }

    /// Whether a workload has had a turn and has to do with an object.
    pub(crate) fn is_known(&self, workload: &WorkloadRef) -> bool {
        locked(&self.entries).is_known(workload)
    }

    /// Whether a workload exists, as far as the watch knows. Those of kinds that get no sidecar are forgotten as they go.
    fn is_watched(&self, workload: &WorkloadRef) -> bool {
        if !workload.kind.is_supported() {
            return true;
        }
        let reference = ObjectRef::new(&workload.name).within(&workload.namespace);
        self.workloads.get(&reference).is_some()
    }

    /// The scope that it is of.
    pub(super) fn scope(&self) -> &str {
        &self.scope
    }

    /// What is counted of the workloads of this scope.
    pub(super) fn totals(&self) -> Totals {
        locked(&self.entries).totals()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
