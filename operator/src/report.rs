//! What running pods say, handed from the part that asks them to the part that writes status and turns keys.
//!
//! Kept in memory only: after a restart everything is asked again, and until then nothing is taken as confirmed.

use crate::controller::Queue;
use crds::{OAuth2Proxy, Reason, Workload};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// The objects that the proxy controller works on: those that can not be read are kept apart, so that one of them does not
/// stop the watch of all others.
pub(crate) type Guarded = DeserializeGuard<OAuth2Proxy>;

/// All that is known of the pods that carry the proxy for one object, sidecars and stand-alone ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FleetReport {
    /// Every workload that asks for the object, in any order.
    pub(crate) workloads: Vec<Workload>,
    /// By the name of a workload the configuration that its `up_to_date` is about.
    pub(crate) judged_by: BTreeMap<String, String>,
    /// Every pod that is not finished and whose specification has the proxy.
    pub(crate) pods: Vec<PodReport>,
    /// Whether the two lists are known to be complete: the watches are synced.
    pub(crate) complete: bool,
}

/// What one pod says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodReport {
    /// Name of the pod, in the namespace of the object.
    pub(crate) name: String,
    /// Hash of the configuration in force; absent: the pod has not answered.
    pub(crate) config_hash: Option<String>,
    /// Why the present configuration was refused, if it was.
    pub(crate) reload_error: Option<String>,
    /// Whether people can sign in at this pod, as far as it has seen, or why not; absent: it has not answered.
    pub(crate) issuer: Option<Result<(), NoLogin>>,
}

/// Why nobody can sign in at a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoLogin {
    /// `IssuerUnreachable` or `ClientRefused`.
    pub(crate) reason: Reason,
    /// In the words of the pod.
    pub(crate) error: String,
}

impl FleetReport {
    /// The workloads as they stand to a configuration: what was judged by another one is not up to date until it is looked
    /// at again.
    pub(crate) fn by(&self, hash: Option<&str>) -> Vec<Workload> {
        let mut workloads = self.workloads.clone();
        for workload in &mut workloads {
            let judged_by = self.judged_by.get(&workload.name).map(String::as_str);
            if judged_by.is_some() && judged_by != hash {
                workload.up_to_date = 0;
            }
        }
        workloads
    }

    /// Whether every pod is known to have this configuration in force. With no pod at all it is.
    pub(crate) fn all_run(&self, hash: &str) -> bool {
        self.complete && self.pods.iter().all(|pod| pod.config_hash.as_deref() == Some(hash))
    }
}

/// The latest report of each object.
#[derive(Clone)]
pub(crate) struct Reports {
    latest: Arc<Mutex<HashMap<ObjectRef<Guarded>, FleetReport>>>,
    queue: Queue<Guarded>,
}

impl Reports {
    /// Reports whose changes bring the object's turn about.
    pub(crate) fn new(queue: Queue<Guarded>) -> Self {
        Self { latest: Arc::default(), queue }
    }

    /// Replaces the report of an object. The object is reconciled if anything changed.
    pub(crate) fn put(&self, object: &ObjectRef<Guarded>, report: FleetReport) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.get(object) == Some(&report) {
            return;
        }
        latest.insert(object.clone(), report);
        drop(latest);
        self.queue.push(object.clone());
    }

    /// Forgets an object that is gone.
    pub(crate) fn forget(&self, object: &ObjectRef<Guarded>) {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).remove(object);
    }

    /// The latest report; empty and not complete if there is none yet.
    pub(crate) fn get(&self, object: &ObjectRef<Guarded>) -> FleetReport {
        self.latest
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(object)
            .cloned()
            .unwrap_or_default()
    }
}
