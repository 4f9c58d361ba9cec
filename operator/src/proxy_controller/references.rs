//! Notices that a Secret or config map that an object names has changed, without the right to list or watch any.
//!
//! A watch of Secrets, even of a single one, needs a right that shows all of them. So the version of each is asked for by
//! its name, the contents left out as long as it is the same, each in its time and at a bounded rate: within 5 seconds for up to 70 references, more
//! slowly for more (`budget`). One that is missing is looked for in every round: somebody waits for it. Only the leader asks.

use super::dereference;
use super::watches::Changed;
use crate::budget::Share;
use crate::context::Context;
use crate::jitter::{jittered, part};
use crate::report::Guarded;
use crate::seen::{Kind, Reference, Version};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, ResourceExt as _};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Time between two rounds at least.
const ROUND: Duration = Duration::from_secs(5);
/// Time between two requests at least.
const INTERVAL: Duration = Duration::from_millis(50);
/// What it costs to look through one reference, in time that goes by until the next round: a thousandth of a core for all.
const REST: Duration = Duration::from_millis(2);
/// Requests of one round: what has become missing meanwhile does not wait for all others.
const AT_A_TIME: usize = 200;

/// Time for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The objects that name each reference.
type Named = HashMap<Reference, Vec<ObjectRef<Guarded>>>;

/// Looks round after round, until the process ends.
pub(crate) async fn watch(store: Store<Guarded>, changed: Changed, context: Arc<Context>) {
    context.gate.leader.acquired().await;
    let mut times = Times::default();
    loop {
        let start = Instant::now();
        let named = references(&store);
        context.seen.retain(&named);
        for reference in times.due(&named, |reference| context.seen.is_missing(reference)) {
            sleep(INTERVAL).await;
            if let Some(objects) = named.get(&reference) {
                look(&reference, objects, &changed, &context).await;
            }
        }
        let number = u32::try_from(named.len()).unwrap_or(u32::MAX);
        let round = ROUND.max(REST.saturating_mul(number));
        sleep(round.saturating_sub(start.elapsed())).await;
    }
}

/// When each reference is looked at next.
#[derive(Default)]
struct Times(HashMap<Reference, Instant>);

impl Times {
    /// Those whose time has come, those that are missing first.
    fn due(&mut self, named: &Named, is_missing: impl Fn(&Reference) -> bool) -> Vec<Reference> {
        let now = Instant::now();
        let interval = Share::References.interval(ROUND, named.len());
        self.0.retain(|reference, _| named.contains_key(reference));
        let (mut missing, mut due) = (Vec::new(), Vec::new());
        for reference in named.keys() {
            // What was read a moment ago by the turn of its object has time, and not all the same.
            let first = now + interval.mul_f64(part(reference));
            let time = *self.0.entry(reference.clone()).or_insert(first);
            if is_missing(reference) {
                missing.push((time, reference));
            } else if time <= now {
                due.push((time, reference));
            }
        }
        missing.sort_by_key(|(time, _)| *time);
        due.sort_by_key(|(time, _)| *time);
        // Any number may be missing, and what is there has its turn all the same.
        missing.truncate(AT_A_TIME / 2);
        due.truncate(AT_A_TIME / 2);
        let all = missing.into_iter().chain(due);
        let all: Vec<Reference> = all.map(|(_, reference)| reference.clone()).collect();
        for reference in &all {
            // With few, the next round is the next time.
            let next = if interval > ROUND { jittered(interval, reference) } else { ROUND / 2 };
            self.0.insert(reference.clone(), now + next);
        }
        all
    }
}

/// Asks for one reference, and gives the objects a turn that were reconciled with anything else.
async fn look(
    reference: &Reference,
    objects: &[ObjectRef<Guarded>],
    changed: &Changed,
    context: &Context,
) {
    // No answer says nothing about the Secret.
    let Ok(Ok(resource)) = timeout(PATIENCE, resource(reference, context)).await else { return };
    let differ = |object: &ObjectRef<Guarded>| {
        context.seen.may_differ(object, reference, resource.as_deref())
    };
    if !objects.iter().any(differ) {
        return;
    }
    // Its metadata has changed: whether anything else has, its contents tell.
    let Ok(Ok(version)) = timeout(PATIENCE, version(reference, context)).await else { return };
    for object in objects {
        if context.seen.differs(object, reference, version.as_ref()) {
            changed.push(object.clone());
        }
    }
}

/// The resource version; none if it does not exist.
async fn resource(
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

/// What is there; none if it does not exist.
async fn version(
    Reference { kind, namespace, name }: &Reference,
    context: &Context,
) -> Result<Option<Version>, kube::Error> {
    let (client, seen) = (context.client.clone(), &context.seen);
    Ok(match kind {
        Kind::Secret => {
            let live = Api::<Secret>::namespaced(client, namespace).get_opt(name).await?;
            live.map(|live| dereference::secret_version(&live, seen))
        }
        Kind::ConfigMap => {
            let live = Api::<ConfigMap>::namespaced(client, namespace).get_opt(name).await?;
            live.map(|live| dereference::map_version(&live, seen))
        }
    })
}

/// Every Secret and config map that the objects of a store name. The objects are taken as they are: looking at all of them
/// every few seconds has to be cheap.
fn references(store: &Store<Guarded>) -> Named {
    let mut named = Named::new();
    for guarded in store.state() {
        let Ok(object) = &guarded.0 else { continue };
        let namespace = object.namespace().unwrap_or_default();
        let mut add = |kind, name| {
            let reference = Reference { kind, namespace: namespace.clone(), name };
            named.entry(reference).or_default().push(ObjectRef::from_obj(guarded.as_ref()));
        };
        for name in dereference::secret_names(&object.name_any(), &object.spec) {
            add(Kind::Secret, name);
        }
        if let Some(map) = dereference::emails_map(&object.spec) {
            add(Kind::ConfigMap, map.name.clone());
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(number: usize) -> Named {
        let reference = |number: usize| Reference {
            kind: Kind::Secret,
            namespace: "shop".to_owned(),
            name: format!("secret-{number}"),
        };
        (0..number).map(|number| (reference(number), Vec::new())).collect()
    }

    /// Requests in a time, round after round.
    async fn looks(named: &Named, missing: &str, time: Duration) -> HashMap<String, usize> {
        let (mut times, mut looks) = (Times::default(), HashMap::new());
        let start = Instant::now();
        while start.elapsed() < time {
            for reference in times.due(named, |reference| reference.name == missing) {
                sleep(INTERVAL).await;
                *looks.entry(reference.name).or_insert(0) += 1;
            }
            sleep(ROUND).await;
        }
        looks
    }

    #[tokio::test(start_paused = true)]
    async fn few_are_looked_at_in_every_round() {
        let looks = looks(&named(50), "", Duration::from_mins(5)).await;
        assert_eq!(looks.len(), 50);
        assert!(looks.values().all(|count| *count >= 30), "{looks:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_each_has_its_time_and_the_missing_one_every_round() {
        let looks = looks(&named(10_000), "secret-7", Duration::from_hours(4)).await;
        let (missing, all) = (looks["secret-7"], looks.values().sum::<usize>());
        assert!(missing > 2000, "{missing}");
        let rate = f64::from(u32::try_from(all - missing).unwrap()) / (4.0 * 3600.0);
        assert!((0.7..=1.1).contains(&rate), "{rate} a second");
        assert_eq!(looks.len(), 10_000, "nothing is forgotten");
    }
}
