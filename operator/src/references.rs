//! Notices that a Secret or config map that an object names has changed, without the right to list or watch any.
//!
//! A watch of Secrets, even of a single one, needs a right that shows all of them. So the version of each is asked for by
//! its name, the contents left out, in turn and at a bounded rate: within 5 seconds for up to 100 references, more slowly
//! for more. Only the leader asks.

use crate::context::Context;
use crate::controller::Queue;
use crate::proxy_controller::references;
use crate::report::Guarded;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, ResourceExt as _};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Time between two rounds at least.
const ROUND: Duration = Duration::from_secs(5);
/// Time between two requests at least.
const INTERVAL: Duration = Duration::from_millis(50);

/// Time for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Kinds that an object can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A Secret.
    Secret,
    /// A `ConfigMap`.
    ConfigMap,
}

/// Something that an object names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reference {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
}

/// Which version of each reference the last reconcile of each object saw. Compared with that, and not with what was seen in
/// the round before, so that no change slips in between.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Versions>>);

/// The version that each object was reconciled with; none: there was nothing of that name.
type Versions = HashMap<(ObjectRef<Guarded>, Reference), Option<String>>;

impl Seen {
    /// Notes what a reconcile saw; no version: it does not exist.
    pub(crate) fn note(
        &self,
        object: &ObjectRef<Guarded>,
        reference: Reference,
        version: Option<String>,
    ) {
        self.lock().insert((object.clone(), reference), version);
    }

    /// Whether the object was reconciled with another version.
    fn is_stale(
        &self,
        object: &ObjectRef<Guarded>,
        reference: &Reference,
        version: Option<&String>,
    ) -> bool {
        self.lock()
            .get(&(object.clone(), reference.clone()))
            .is_some_and(|seen| seen.as_ref() != version)
    }

    /// Forgets what no object names any more.
    fn retain(&self, named: &HashMap<Reference, Vec<ObjectRef<Guarded>>>) {
        self.lock().retain(|(object, reference), _| {
            named.get(reference).is_some_and(|objects| objects.contains(object))
        });
    }

    fn lock(&self) -> MutexGuard<'_, Versions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks round after round, until the process ends.
pub(crate) async fn watch(store: Store<Guarded>, queue: Queue<Guarded>, context: Arc<Context>) {
    context.leader.acquired().await;
    loop {
        let start = Instant::now();
        let mut named: HashMap<Reference, Vec<ObjectRef<Guarded>>> = HashMap::new();
        for (object, reference) in references(&store) {
            named.entry(reference).or_default().push(object);
        }
        context.seen.retain(&named);
        for (reference, objects) in named {
            sleep(INTERVAL).await;
            // No answer says nothing about the Secret.
            let Ok(Ok(version)) = timeout(PATIENCE, version(&reference, &context)).await else {
                continue;
            };
            for object in objects {
                if context.seen.is_stale(&object, &reference, version.as_ref()) {
                    queue.push(object);
                }
            }
        }
        sleep(ROUND.saturating_sub(start.elapsed())).await;
    }
}

/// The version; none if it does not exist.
async fn version(
    Reference { kind, namespace, name }: &Reference,
    context: &Context,
) -> Result<Option<String>, kube::Error> {
    let client = context.client.clone();
    let metadata = match kind {
        Kind::Secret => Api::<Secret>::namespaced(client, namespace)
            .get_metadata_opt(name)
            .await?
            .map(|live| live.resource_version()),
        Kind::ConfigMap => Api::<ConfigMap>::namespaced(client, namespace)
            .get_metadata_opt(name)
            .await?
            .map(|live| live.resource_version()),
    };
    Ok(metadata.flatten())
}
