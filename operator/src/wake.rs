//! Whose turn comes when something was listed, changed or deleted. Watches carry little: a turn reads what it needs.
//!
//! A workload or Service that has nothing to do with us costs no request.

use crate::condition::find;
use crate::controller::{Fingerprints, Queue};
use crate::inject::{INJECT, OptIn, asked_for, asks_for, concerns};
use crate::report::Guarded;
use crate::service_controller::{self, Board};
use crate::workload;
use crate::workload_controller::Desk;
use crds::ConditionType;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource as _, ResourceExt as _};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Arc, OnceLock};

/// The end by which other parts ask for turns.
#[derive(Clone)]
pub(crate) struct Wake {
    /// Where the stores and memories are, from the moment that the watches are set up.
    places: Arc<OnceLock<(Arc<Board>, Arc<Desk>)>>,
    workloads: Queue<workload::Watched>,
    services: Queue<service_controller::Watched>,
    objects: Queue<Guarded>,
    /// What of each object decides over its workloads. Its status changes with each of their pods, and would give each time a
    /// turn to all of them.
    decisive: Fingerprints<Guarded>,
    /// What of each workload decides over itself and its Services. Its status changes with each of its pods.
    turning: Fingerprints<workload::Watched>,
}

impl Wake {
    /// A way to ask for turns by these queues.
    pub(crate) fn new(
        workloads: Queue<workload::Watched>,
        services: Queue<service_controller::Watched>,
        objects: Queue<Guarded>,
    ) -> Self {
        Self {
            places: Arc::default(),
            workloads,
            services,
            objects,
            decisive: Fingerprints::default(),
            turning: Fingerprints::default(),
        }
    }

    /// Says where the stores and memories are.
    pub(crate) fn place(&self, board: Arc<Board>, desk: Arc<Desk>) {
        // Said once, where the watches are set up.
        let _ = self.places.set((board, desk));
    }

    /// An object was listed, changed or deleted: so its workloads, their Services and its own pods are looked at.
    pub(crate) fn object_seen(&self, object: &Guarded) {
        let reference = ObjectRef::from_obj(object);
        let Some((board, _)) = self.places.get() else { return self.objects.push(reference) };
        let now = board.objects.get(&reference).map(|_| decisive(object));
        if !self.decisive.is_news(&reference, now) {
            return;
        }
        self.objects.push(reference);
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let asking =
            board.workloads.within(&namespace, |workload| asks_for(workload.meta(), &name));
        for workload in asking {
            self.workloads.push(ObjectRef::from_obj(workload.as_ref()));
            self.services_of(&workload, board, |_| true);
        }
    }

    /// A workload was listed, changed or deleted.
    pub(crate) fn workload_seen(&self, workload: &workload::Watched) {
        let Some((board, desk)) = self.places.get() else { return };
        let reference = ObjectRef::from_obj(workload);
        let named = workload.reference();
        let now = board.workloads.get(&reference).map(|_| workload.fingerprint());
        if now.is_none() {
            desk.forget(&named);
        }
        if now.is_some() && !desk.has_stage(workload) {
            desk.correct_stage(&named);
        }
        if !self.turning.is_news(&reference, now) {
            return self.pods_moved(workload, board, desk);
        }
        let expected = now.is_some_and(|now| desk.is_expected(&named, now));
        let misplaced = workload.pod_annotation(INJECT).is_some();
        let ours = concerns(workload.meta()) || misplaced || desk.is_known(&named);
        // One that asks for nothing still matters where it joins a Service that was turned.
        self.services_of(workload, board, |service| ours || service.is_marked());
        if !expected && (ours || is_attached(workload, board)) {
            desk.notice(workload);
            self.workloads.push(reference);
        }
    }

    /// Only the status of a workload changed: so its pods did, for which its observer and Services wait.
    fn pods_moved(&self, workload: &workload::Watched, board: &Board, desk: &Desk) {
        let named = workload.reference();
        if desk.is_known(&named) {
            desk.look(&named);
        }
        self.services_of(workload, board, |service| board.awaits(service));
    }

    /// A Service was listed, changed or deleted.
    pub(crate) fn service_seen(&self, service: &service_controller::Watched) {
        let Some((board, _)) = self.places.get() else { return };
        let reference = ObjectRef::from_obj(service);
        if board.services.get(&reference).is_none() {
            board.forget(service);
        }
        if let Some(name) = service.workload() {
            let workload = ObjectRef::new(&name).within(&service.namespace().unwrap_or_default());
            // Who asks looks at its companion only; who does not may wait for a Service to be restored.
            let asks = |workload: Arc<workload::Watched>| {
                asked_for(workload.meta()).is_some_and(|asked| asked != OptIn::No)
            };
            if service.is_companion() || !board.workloads.get(&workload).is_some_and(asks) {
                self.workloads.push(workload);
            }
        }
        if !service.is_companion() && !board.is_expected(service) {
            self.services.push(reference);
        }
    }

    fn services_of(
        &self,
        workload: &workload::Watched,
        board: &Board,
        wanted: impl Fn(&service_controller::Watched) -> bool,
    ) {
        let (namespace, name) = (workload.namespace().unwrap_or_default(), workload.name_any());
        let related = board.services.within(&namespace, |service| {
            !service.is_companion()
                && (service.selects(workload.pod_labels())
                    || service.workload().as_deref() == Some(&name))
                && wanted(service)
        });
        for service in related {
            self.services.push(ObjectRef::from_obj(service.as_ref()));
        }
    }
}

/// Whether a Service of ours belongs to a workload that neither asks nor has anything.
fn is_attached(workload: &workload::Watched, board: &Board) -> bool {
    let (namespace, name) = (workload.namespace().unwrap_or_default(), workload.name_any());
    let named =
        |service: &service_controller::Watched| service.workload().as_deref() == Some(&name);
    !board.services.within(&namespace, named).is_empty()
}

/// A number that changes with all of an object that its workloads, their Services and its own pods are judged by.
fn decisive(object: &Guarded) -> u64 {
    let mut hasher = DefaultHasher::new();
    let metadata = object.meta();
    (&metadata.uid, metadata.generation, metadata.deletion_timestamp.is_some()).hash(&mut hasher);
    if let Some(status) = object.0.as_ref().ok().and_then(|object| object.status.as_ref()) {
        (&status.config_hash, status.observed_generation).hash(&mut hasher);
        let rendered = find(&status.conditions, ConditionType::ConfigRendered);
        rendered.map(|rendered| (&rendered.status, rendered.observed_generation)).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn object(status: &Value) -> Guarded {
        let main = crate::proxy_controller::tests::object(json!({}));
        let mut main = serde_json::to_value(main).unwrap();
        main["status"] = status.clone();
        serde_json::from_value(main).unwrap()
    }

    #[test]
    fn what_pods_say_of_an_object_gives_no_turn_to_its_workloads() {
        let status = |hash: &str, rendered: &str, injected: &str| {
            json!({"observedGeneration": 3, "configHash": hash, "injected": injected, "conditions": [{
                "type": "ConfigRendered", "status": rendered, "reason": "Rendered", "message": "",
                "observedGeneration": 3, "lastTransitionTime": "2026-01-01T00:00:00Z",
            }]})
        };
        let of = |hash, rendered, injected| decisive(&object(&status(hash, rendered, injected)));
        let before = of("a", "True", "1/2");
        assert_eq!(of("a", "True", "2/2"), before);
        assert_ne!(of("b", "True", "1/2"), before);
        assert_ne!(of("a", "False", "1/2"), before);
    }
}
