//! Makes kubelets deliver changed Secrets at once.
//!
//! A kubelet looks at the volumes of a pod about once a minute, and whenever the pod itself changes. So after a Secret has
//! changed an annotation of the pods that mount it is patched: nothing restarts, and the files are there within a
//! second. A kubelet may look before it has heard of the Secret, so pods that still run the old configuration are patched
//! again, a few times. Patches go out one after another at a bounded rate, whatever the number of pods.

use crate::report::{FleetReport, Guarded};
use crate::tasks::Task;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use kube::core::Request;
use kube::runtime::reflector::ObjectRef;
use kube::{Client, Resource as _};
use serde::de::IgnoredAny;
use serde_json::json;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// The annotation that is patched. Its value has no meaning but to differ.
const ANNOTATION: &str = "oauth2proxy.dev/reload";
/// Time between two patches.
const INTERVAL: Duration = Duration::from_millis(20);
/// Time that a kubelet and a proxy get before the next attempt.
const PATIENCE: Duration = Duration::from_secs(2);
/// Attempts for one configuration. After them the kubelet's own period does it.
const ATTEMPTS: u32 = 5;

/// Whether all pods have been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Nothing more to do.
    Done,
    /// Some pods may have looked too early: look again after this long.
    Again(Duration),
}

/// What pods should have now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Running<'a> {
    /// Hash of the configuration.
    pub(crate) config: &'a str,
    /// Names of the Secrets that they mount beside it, with the version of each that was seen.
    pub(crate) mounted: &'a str,
}

/// Tells pods.
#[derive(Clone)]
pub(crate) struct Poker {
    told: Arc<Mutex<HashMap<ObjectRef<Guarded>, Told>>>,
    sender: mpsc::UnboundedSender<Poke>,
}

/// What the pods of one object were told last.
#[derive(Clone, Debug)]
struct Told {
    config: String,
    mounted: String,
    attempts: u32,
    last: Instant,
}

/// One patch.
struct Poke {
    namespace: String,
    pod: String,
    value: String,
}

impl Poker {
    /// One, and the task that sends its patches.
    pub(crate) fn new(client: Client) -> (Self, Task) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let task = Task::new("the sender of patches to pods", send(client, receiver));
        (Self { told: Arc::default(), sender }, task)
    }

    /// Tells the pods of an object that something changed, if something did.
    ///
    /// What pods mount beside the configuration is compared with what it was when this process saw it first, so a
    /// restart tells nobody anything; the configuration is compared with what pods report.
    pub(crate) fn deliver(
        &self,
        object: &ObjectRef<Guarded>,
        running: &Running<'_>,
        report: &FleetReport,
    ) -> Delivery {
        let Running { config: hash, mounted } = *running;
        let stale = |pod: &&crate::report::PodReport| {
            pod.config_hash.as_deref().is_some_and(|running| running != hash)
        };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let known = told.get(object).cloned();
        let remounted = known.as_ref().is_some_and(|known| known.mounted != mounted);
        let fresh = remounted || known.as_ref().is_none_or(|known| known.config != hash);
        let (attempts, due) = match &known {
            Some(known) if !fresh => (known.attempts, now.duration_since(known.last) >= PATIENCE),
            _ => (0, true),
        };
        let pods: Vec<_> = report.pods.iter().filter(|pod| remounted || stale(pod)).collect();
        let repeat = pods.is_empty() || (attempts < ATTEMPTS && due);
        if pods.is_empty() || repeat {
            let now_told = Told {
                config: hash.to_owned(),
                mounted: mounted.to_owned(),
                attempts: if pods.is_empty() { attempts } else { attempts + 1 },
                last: now,
            };
            told.insert(object.clone(), now_told);
        }
        drop(told);
        if pods.is_empty() {
            return Delivery::Done;
        }
        if repeat {
            let value = value(hash, mounted, attempts);
            for pod in &pods {
                let namespace = object.namespace.clone().unwrap_or_default();
                // A closed channel means that the process stops.
                let _ = self.sender.send(Poke {
                    namespace,
                    pod: pod.name.clone(),
                    value: value.clone(),
                });
            }
        }
        if attempts < ATTEMPTS { Delivery::Again(PATIENCE) } else { Delivery::Done }
    }

    /// Forgets an object that is gone.
    pub(crate) fn forget(&self, object: &ObjectRef<Guarded>) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).remove(object);
    }
}

/// A short text that differs for each attempt and each state.
fn value(config: &str, mounted: &str, attempt: u32) -> String {
    let mut hasher = DefaultHasher::new();
    (config, mounted).hash(&mut hasher);
    format!("{:016x}-{attempt}", hasher.finish())
}

/// By way of the status, where an annotation can be changed too: the right to patch pods themselves would be one to run other
/// images in them.
async fn patch(
    client: &Client,
    (namespace, pod): (&str, &str),
    value: &str,
) -> Result<(), kube::Error> {
    let patch = Patch::Merge(json!({"metadata": {"annotations": {ANNOTATION: value}}}));
    let request = Request::new(Pod::url_path(&(), Some(namespace)))
        .patch_subresource("status", pod, &PatchParams::default(), &patch)
        .map_err(kube::Error::BuildRequest)?;
    client.request::<IgnoredAny>(request).await.map(drop)
}

async fn send(client: Client, mut pokes: mpsc::UnboundedReceiver<Poke>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while let Some(Poke { namespace, pod, value }) = pokes.recv().await {
        ticks.tick().await;
        let Ok(patched) = timeout(PATIENCE, patch(&client, (&namespace, &pod), &value)).await
        else {
            tracing::warn!(
                namespace,
                pod,
                "no answer: the pod takes up the change within a minute only"
            );
            continue;
        };
        match patched {
            // The pod ended meanwhile.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => {
                tracing::warn!(namespace, pod, %error, "the pod takes up the change within a minute only");
            }
            Ok(()) => tracing::debug!(namespace, pod, "told of a change"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http_body_util::{BodyExt as _, Full};
    use kube::client::Body;
    use std::convert::Infallible;

    #[tokio::test]
    async fn a_pod_is_told_by_an_annotation_and_by_way_of_its_status() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let own = Arc::clone(&asked);
        let server = tower::service_fn(move |request: http::Request<Body>| {
            let asked = Arc::clone(&own);
            async move {
                let what = format!("{} {}", request.method(), request.uri().path());
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
                asked.lock().unwrap().push((what, body));
                let pod = Full::new(Bytes::from_static(b"{\"kind\": \"Pod\", \"metadata\": {}}"));
                Ok::<_, Infallible>(http::Response::new(pod))
            }
        });
        patch(&Client::new(server, "shop"), ("shop", "web-1"), "v").await.unwrap();
        let expected = json!({"metadata": {"annotations": {"oauth2proxy.dev/reload": "v"}}});
        let path = "PATCH /api/v1/namespaces/shop/pods/web-1/status".to_owned();
        assert_eq!(*asked.lock().unwrap(), [(path, expected)]);
    }
}
