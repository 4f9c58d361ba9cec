//! What was found at the Services, handed from their turns to those of the workloads behind them. In memory only: a Service
//! that has had no turn since it changed is not known, and nothing is taken for routed while one is.

use super::Watched;
use crate::controller::{Expected, Objects, Queue};
use crate::inject::Refusal;
use crate::report::Guarded;
use crate::traffic::Companion;
use crate::workload::{self, WorkloadRef};
use crds::Reason;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource as _, ResourceExt as _};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How a Service stands to a workload behind it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Finding {
    /// It leads to the proxy.
    Well,
    /// It leads neither to the proxy nor to the protected port.
    Elsewhere,
    /// It will be turned; the text says what is awaited.
    Awaited(String),
    /// It stays as it is, though it should change: why, and the API server's words.
    Refused(Reason, String),
    /// It leads past the proxy, or requests through it fail; the text has the reason and the next step.
    Open(String),
}

/// What is awaited at a Service that no watch reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaits {
    /// It is at rest.
    Nothing,
    /// A change of pods, or of the API server's mind.
    Change,
    /// The workload that it is on record for, which is gone.
    Workload,
}

/// The stores, the findings, and who is to know of them.
pub(crate) struct Board {
    pub(crate) workloads: Objects<workload::Watched>,
    pub(crate) services: Objects<Watched>,
    pub(crate) objects: Objects<Guarded>,
    queue: Queue<workload::Watched>,
    found: Mutex<HashMap<(String, String), Found>>,
    /// How a Service will look that is being written: the watch tells of that, and it is no news.
    expected: Expected<(String, String)>,
    /// Turns in a row that failed.
    failing: Mutex<HashMap<(String, String), u32>>,
}

struct Found {
    seen: u64,
    findings: Vec<(WorkloadRef, Finding)>,
    looks: usize,
    /// Since when the workload that it is on record for is gone.
    gone: Option<Instant>,
}

/// All that is known of the Services of a workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Routing {
    /// What is awaited.
    pub(crate) awaited: Option<String>,
    /// Why one that should change stays as it is.
    pub(crate) refused: Option<Refusal>,
    /// Ways past the proxy, each with the reason and the next step.
    pub(crate) open: Vec<String>,
    /// Names of the Services that lead to its proxy.
    pub(crate) well: Vec<String>,
    /// Names of those that lead to other ports of its.
    pub(crate) elsewhere: Vec<String>,
}

impl Board {
    /// An empty one over the watched objects of a scope. `queue` is told of workloads for which something changed.
    pub(crate) fn new(
        workloads: Objects<workload::Watched>,
        services: Objects<Watched>,
        objects: Objects<Guarded>,
        queue: Queue<workload::Watched>,
    ) -> Self {
        Self {
            workloads,
            services,
            objects,
            queue,
            found: Mutex::default(),
            expected: Expected::default(),
            failing: Mutex::default(),
        }
    }

    /// Notes what was found at a Service that looks as `seen`; nothing: it concerns nobody. How often in a row something has
    /// been awaited there.
    pub(super) fn put(
        &self,
        namespace: &str,
        name: &str,
        found: Option<(u64, Vec<(WorkloadRef, Finding)>)>,
        awaits: Awaits,
    ) -> usize {
        let key = (namespace.to_owned(), name.to_owned());
        let mut all = self.locked();
        let before = all.remove(&key);
        let Some((seen, findings)) = found else {
            drop(all);
            let before = before.map(|found| found.findings).unwrap_or_default();
            for (workload, _) in &before {
                self.tell(workload);
            }
            return 0;
        };
        let waited = before.as_ref().map_or(0, |found| found.looks);
        let looks = if awaits == Awaits::Nothing { 0 } else { waited + 1 };
        let same =
            before.as_ref().is_some_and(|found| found.findings == findings && found.seen == seen);
        let mut concerned: Vec<WorkloadRef> = Vec::new();
        if !same {
            let before = before.iter().flat_map(|found| &found.findings);
            concerned = before.chain(&findings).map(|(workload, _)| workload.clone()).collect();
            concerned.sort();
            concerned.dedup();
        }
        let gone = before.as_ref().and_then(|found| found.gone).unwrap_or_else(Instant::now);
        let gone = (awaits == Awaits::Workload).then_some(gone);
        all.insert(key, Found { seen, findings, looks, gone });
        drop(all);
        for workload in &concerned {
            self.tell(workload);
        }
        waited
    }

    /// How long the workload that a Service is on record for has been gone, by the looks at it so far.
    pub(super) fn gone(&self, namespace: &str, name: &str) -> Duration {
        let key = (namespace.to_owned(), name.to_owned());
        let gone = self.locked().get(&key).and_then(|found| found.gone);
        gone.map(|since| since.elapsed()).unwrap_or_default()
    }

    /// Notes that a turn of a Service failed; how many in a row have.
    pub(super) fn failed(&self, service: &Watched) -> u32 {
        let key = key_of(service);
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = failing.entry(key).or_default();
        *turns = turns.saturating_add(1);
        *turns
    }

    /// Notes that one did not.
    pub(super) fn went_well(&self, service: &Watched) {
        let key = key_of(service);
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    /// Forgets a Service that is gone.
    pub(crate) fn forget(&self, service: &Watched) {
        self.went_well(service);
        self.expected.forget(&key_of(service));
        let namespace = service.namespace().unwrap_or_default();
        self.put(&namespace, &service.name_any(), None, Awaits::Nothing);
    }

    /// Says how a Service will look when it is written.
    pub(super) fn expect(&self, namespace: &str, name: &str, seen: u64) {
        let key = (namespace.to_owned(), name.to_owned());
        self.expected.note(key, seen);
    }

    /// Whether a Service looks as it was going to be written. Once: who sees it again sees a change of somebody else.
    pub(crate) fn is_expected(&self, service: &Watched) -> bool {
        let key = key_of(service);
        self.expected.is(&key, service.fingerprint())
    }

    /// Whether a workload has a companion.
    pub(super) fn companion(&self, workload: &workload::Watched) -> bool {
        self.companion_of(workload).is_some()
    }

    /// Whether the companion of a workload remembers that nothing reached it without a login.
    pub(crate) fn remembers_closed(&self, workload: &workload::Watched) -> bool {
        let companion = self.companion_of(workload);
        let routed = companion.as_deref().and_then(Watched::routed);
        routed.is_some() && routed == workload.meta().uid.as_deref()
    }

    fn companion_of(&self, workload: &workload::Watched) -> Option<Arc<Watched>> {
        let namespace = workload.namespace().unwrap_or_default();
        let name = Companion::name(&workload.name_any());
        self.services.get(&ObjectRef::new(&name).within(&namespace))
    }

    /// Whether a Service may change with the pods behind it.
    pub(crate) fn awaits(&self, service: &Watched) -> bool {
        let key = key_of(service);
        let open = |(_, finding): &(WorkloadRef, Finding)| matches!(finding, Finding::Open(_));
        let all = self.locked();
        all.get(&key).is_some_and(|found| found.looks > 0 || found.findings.iter().any(open))
    }

    /// What is known of the Services of a workload; nothing while one of them has had no turn since it changed: then it is not
    /// known, and whatever was said before still counts.
    pub(crate) fn routing(&self, workload: &workload::Watched) -> Option<Routing> {
        let reference = workload.reference();
        let mut routing = Routing::default();
        let mut selecting = self.selecting(workload);
        selecting.sort_by_key(|service| service.name_any());
        let all = self.locked();
        for service in selecting {
            let name = service.name_any();
            let found = all.get(&(reference.namespace.clone(), name.clone()));
            // What differs from the store is newer, where we wrote it, or older, where somebody else did: both for a moment only.
            let found = found.filter(|found| found.seen == service.fingerprint())?;
            let (_, finding) = found.findings.iter().find(|(of, _)| *of == reference)?;
            match finding {
                Finding::Well => routing.well.push(name),
                Finding::Elsewhere => routing.elsewhere.push(name),
                Finding::Awaited(text) => {
                    routing.awaited.get_or_insert_with(|| text.clone());
                }
                Finding::Refused(reason, text) => {
                    routing.refused.get_or_insert_with(|| Refusal::new(*reason, text));
                }
                Finding::Open(text) => routing.open.push(text.clone()),
            }
        }
        Some(routing)
    }

    /// The Services that select a workload's pods, companions aside.
    pub(crate) fn selecting(&self, workload: &workload::Watched) -> Vec<Arc<Watched>> {
        self.services.within(&workload.namespace().unwrap_or_default(), |service| {
            !service.is_companion() && service.selects(workload.pod_labels())
        })
    }

    fn tell(&self, workload: &WorkloadRef) {
        self.queue.push(ObjectRef::new(&workload.name).within(&workload.namespace));
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<(String, String), Found>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key_of(service: &Watched) -> (String, String) {
    (service.namespace().unwrap_or_default(), service.name_any())
}
