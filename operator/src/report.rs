//! What running pods say, handed from the part that asks them to the part that writes status and turns keys.
//!
//! Kept in memory only: after a restart everything is asked again, and until then nothing is taken as confirmed.

use crate::controller::Queue;
use crate::pod::mounted::Files;
use crds::{OAuth2Proxy, Reason, Workload};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The objects that the proxy controller works on: those that can not be read are kept apart, so that one of them does not
/// stop the watch of all others.
pub(crate) type Guarded = DeserializeGuard<OAuth2Proxy>;

/// All that is known of the pods that carry the proxy for one object, sidecars and stand-alone ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FleetReport {
    /// Every workload that asks for the object, in any order.
    pub(crate) workloads: Vec<Workload>,
    /// Workloads that carry the sidecar and do not come to what is asked for, by name: why.
    pub(crate) hindered: BTreeMap<String, Reason>,
    /// By the name of a workload the configuration that its `up_to_date` is about.
    pub(crate) judged_by: BTreeMap<String, String>,
    /// Every pod that is not finished and whose specification has the proxy.
    pub(crate) pods: Vec<PodReport>,
    /// Whether the two lists are known to be complete: the watches are synced.
    pub(crate) complete: bool,
    /// The files that the proxy is given in pods that are made from now on, for each workload that carries it.
    pub(crate) templates: Vec<Files>,
    /// When the oldest of the looks began that it is made of; none: there was nothing to look at.
    pub(crate) looked: Option<Instant>,
    /// Whether one of them began before this process wrote the configuration last: a pod may have come since.
    pub(crate) late: bool,
}

/// What one pod says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodReport {
    /// Name of the pod, in the namespace of the object.
    pub(crate) name: String,
    /// Whether its proxy has started and it does not end. What has not starts with what is there then; what hangs in its end on
    /// a node that is lost answers nobody any more.
    pub(crate) runs: bool,
    /// Hash of the configuration in force; absent: the pod has not answered.
    pub(crate) config_hash: Option<String>,
    /// Why the present configuration was refused, if it was.
    pub(crate) reload_error: Option<String>,
    /// Whether people can sign in at this pod, as far as it has seen, or why not; absent: it has not answered.
    pub(crate) issuer: Option<Result<(), NoLogin>>,
    /// The files that its specification gives the proxy; none: it ends.
    pub(crate) files: Option<Files>,
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

    /// Whether every pod that runs is known to have this configuration in force. With no pod at all it is.
    pub(crate) fn all_run(&self, hash: &str) -> bool {
        let mut pods = self.pods.iter().filter(|pod| pod.runs);
        self.complete && !self.late && pods.all(|pod| pod.config_hash.as_deref() == Some(hash))
    }

    /// Whether every pod that there is or may come has these files, and is known to.
    pub(crate) fn all_have(&self, files: &Files) -> bool {
        let mut all = self.pods.iter().filter_map(|pod| pod.files.as_ref()).chain(&self.templates);
        self.complete && !self.late && all.all(|has| files.is_subset(has))
    }

    /// Whether a workload is not as it should be that was, or was not known, or was so for another reason. Progress is none.
    fn is_worse(&self, before: &Self) -> bool {
        let amiss = |workload: &&Workload| !workload.injected || trouble(workload).is_some();
        self.workloads.iter().filter(amiss).any(|now| {
            let mut known = before.workloads.iter();
            let old = known.find(|old| (old.kind, &old.name) == (now.kind, &now.name));
            old.is_none_or(|old| (old.injected, trouble(old)) != (now.injected, trouble(now)))
        })
    }

    /// Whether another look found nothing else.
    fn says_the_same(&self, other: &Self) -> bool {
        let Self { workloads, hindered, judged_by, pods, templates, complete, looked: _, late } =
            self;
        (workloads, hindered, judged_by, pods, templates, complete, late)
            == (
                &other.workloads,
                &other.hindered,
                &other.judged_by,
                &other.pods,
                &other.templates,
                &other.complete,
                &other.late,
            )
    }
}

/// How long progress is gathered before the object gets a turn for it: a rollout is a dozen reports and each turn may write the
/// status.
const GATHER: Duration = Duration::from_millis(300);

/// What is known of one object.
#[derive(Default)]
struct Latest {
    report: FleetReport,
    /// When this process wrote its configuration last. What another one wrote before is older than every look of this one.
    written: Option<Instant>,
    /// Whether a turn for what has changed is on its way.
    due: bool,
}

/// The latest report of each object.
#[derive(Clone)]
pub(crate) struct Reports {
    latest: Arc<Mutex<HashMap<ObjectRef<Guarded>, Latest>>>,
    queue: Queue<Guarded>,
}

impl Reports {
    /// Reports whose changes bring the object's turn about.
    pub(crate) fn new(queue: Queue<Guarded>) -> Self {
        Self { latest: Arc::default(), queue }
    }

    /// Replaces the report of an object. The object is reconciled if anything changed: at once if something is amiss that was
    /// not, otherwise within a moment.
    pub(crate) fn put(&self, object: &ObjectRef<Guarded>, mut report: FleetReport) {
        let mut all = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = all.entry(object.clone()).or_default();
        report.late = is_late(&report, latest.written);
        if latest.report.says_the_same(&report) {
            latest.report = report;
            return;
        }
        let worse = report.is_worse(&latest.report);
        latest.report = report;
        let due = latest.due;
        latest.due |= !worse;
        drop(all);
        if worse {
            self.queue.push(object.clone());
        } else if !due {
            self.push_soon(object.clone());
        }
    }

    fn push_soon(&self, object: ObjectRef<Guarded>) {
        let reports = self.clone();
        tokio::spawn(async move {
            sleep(GATHER).await;
            let mut all = reports.latest.lock().unwrap_or_else(PoisonError::into_inner);
            all.entry(object.clone()).and_modify(|latest| latest.due = false);
            drop(all);
            reports.queue.push(object);
        });
    }

    /// Notes that the configuration of an object was written.
    pub(crate) fn written(&self, object: &ObjectRef<Guarded>) {
        let mut all = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = all.entry(object.clone()).or_default();
        latest.written = Some(Instant::now());
        latest.report.late = is_late(&latest.report, latest.written);
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
            .map(|latest| latest.report.clone())
            .unwrap_or_default()
    }
}

/// What is in the way of a workload.
fn trouble(workload: &Workload) -> Option<&str> {
    let message = workload.message.as_deref();
    message.filter(|message| !message.starts_with(Reason::InProgress.as_str()))
}

fn is_late(report: &FleetReport, written: Option<Instant>) -> bool {
    matches!((report.looked, written), (Some(looked), Some(written)) if looked < written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::queue;
    use futures_util::{FutureExt as _, StreamExt as _};

    #[tokio::test(start_paused = true)]
    async fn a_look_from_before_the_last_write_confirms_nothing() {
        let (queue, mut requests) = queue();
        let reports = Reports::new(queue);
        let object = ObjectRef::new("main").within("shop");
        let look = || FleetReport {
            complete: true,
            looked: Some(Instant::now()),
            ..FleetReport::default()
        };
        let confirmed = || reports.get(&object).all_run("hash");
        reports.put(&object, look());
        assert!(confirmed());
        tokio::time::advance(Duration::from_secs(1)).await;
        reports.written(&object);
        assert!(!confirmed());
        while requests.next().now_or_never().is_some() {}
        reports.put(&object, look());
        assert!(confirmed());
        sleep(GATHER).await;
        assert!(requests.next().await.is_some(), "whoever waits for it gets a turn");
        reports.put(&object, look());
        sleep(GATHER * 2).await;
        assert!(requests.next().now_or_never().is_none(), "the same again is no news");
    }

    #[tokio::test(start_paused = true)]
    async fn progress_is_one_turn_in_a_moment_and_what_is_amiss_is_one_at_once() {
        let (queue, mut requests) = queue();
        let reports = Reports::new(queue);
        let object = ObjectRef::new("main").within("shop");
        let report = |injected: bool, pods: i32, message: Option<&str>| FleetReport {
            workloads: vec![Workload {
                injected,
                pods,
                message: message.map(str::to_owned),
                ..workload()
            }],
            ..FleetReport::default()
        };
        let mut turns = || std::iter::from_fn(|| requests.next().now_or_never()).count();
        reports.put(&object, report(false, 0, Some("InProgress: it has had no turn")));
        assert_eq!(turns(), 1, "one that is not known is open");
        for pods in 0..5 {
            reports.put(&object, report(true, pods, Some("InProgress: pods are on their way")));
        }
        assert_eq!(turns(), 0);
        sleep(GATHER * 2).await;
        assert_eq!(turns(), 1);
        reports.put(&object, report(true, 5, None));
        reports.put(&object, report(true, 5, Some("DirectPathOpen: a Service leads past it")));
        assert_eq!(turns(), 1, "it is open");
        sleep(GATHER * 2).await;
        turns();
        reports.put(&object, report(false, 5, None));
        assert_eq!(turns(), 1, "it is without a sidecar");
    }

    fn workload() -> Workload {
        serde_json::from_value(serde_json::json!({
            "kind": "Deployment", "name": "web", "injected": true, "pods": 0, "upToDate": 0, "traffic": "Pending",
        }))
        .unwrap()
    }
}
