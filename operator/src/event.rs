//! Events on objects and workloads: what happened and what to do next. They are told when something changes, each fact in
//! its own words: one that is told again within minutes is the same event, and counts.

mod memory;

use crate::clock::Clock;
use crate::object::FIELD_MANAGER;
use crate::workload::WorkloadRef;
use aws_lc_rs::digest;
use crds::Reason;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use memory::{Key, Memory, Told};
use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Longest note that the API takes, in bytes.
const LONGEST_NOTE: usize = 1024;
/// Longest name of a replica that the API takes.
const LONGEST_INSTANCE: usize = 128;
/// Longest name of an object.
const LONGEST_NAME: usize = 253;
/// Time for the API server to take an event. What waits for it has better things to do.
const PATIENCE: Duration = Duration::from_secs(5);

/// Publishes events. Clones remember together what was told.
#[derive(Clone)]
pub(crate) struct Events {
    client: Client,
    instance: String,
    memory: Arc<Mutex<Memory>>,
    clock: Clock,
}

/// How loud an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Things are as they should be.
    Normal,
    /// Somebody has to do something.
    Warning,
}

impl Tone {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// How loud.
    pub(crate) tone: Tone,
    /// Reason, of the same list as those of conditions.
    pub(crate) reason: Reason,
    /// What was being done, in one word of an upper case letter and lower case ones, such as `Inject`.
    pub(crate) action: &'static str,
    /// What happened, and what to do.
    pub(crate) text: String,
}

impl Events {
    /// Events that say they come from this replica.
    pub(crate) fn new(client: Client, instance: &str, clock: Clock) -> Self {
        let memory = Arc::new(Mutex::new(Memory::new(crate::random::number())));
        let instance = cut(instance, LONGEST_INSTANCE).to_owned();
        Self { client, instance, memory, clock }
    }

    /// Publishes what happened at a workload on it and, where it concerns an object, on the object too, which has the workload's
    /// name before it.
    pub(crate) async fn tell(
        &self,
        note: Note,
        (workload, regarding): (&WorkloadRef, &ObjectReference),
        object: Option<&ObjectReference>,
    ) {
        self.publish(&note, regarding, object).await;
        if let Some(object) = object {
            let note = Note { text: format!("{workload}: {}", note.text), ..note };
            self.publish(&note, object, Some(regarding)).await;
        }
    }

    /// Publishes an event on `regarding`; `related` is the other object that it is about. A failure is logged only: no
    /// reconcile depends on an event.
    pub(crate) async fn publish(
        &self,
        note: &Note,
        regarding: &ObjectReference,
        related: Option<&ObjectReference>,
    ) {
        let told = self.memory.lock().unwrap_or_else(PoisonError::into_inner).tell(
            fact(note, regarding, related),
            subject(note.tone, regarding),
            Instant::now(),
        );
        let (reason, object) = (note.reason.as_str(), &regarding.name);
        let (number, count) = match told {
            Told::New(number) => (number, 1),
            Told::Again { number, count } => (number, count),
            Told::TooMuch => {
                tracing::debug!(reason, ?object, "{}: too many events for this object", note.text);
                return;
            }
        };
        let event = self.event(note, (regarding, related), number);
        let failure = match timeout(PATIENCE, self.send(event, count)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
        };
        tracing::warn!(
            reason,
            ?object,
            "{}: the event could not be published: {failure}",
            note.text
        );
    }

    /// Sends an event, or that it happened once more.
    async fn send(&self, mut event: Event, count: i32) -> Result<(), kube::Error> {
        // Where objects without a namespace have theirs.
        let namespace = event.metadata.namespace.get_or_insert_with(|| "default".to_owned());
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        if count > 1 {
            let last_observed_time = MicroTime(self.clock.precise());
            let patch = json!({"series": EventSeries { count, last_observed_time }});
            let name = event.metadata.name.clone().unwrap_or_default();
            match api.patch_metadata(&name, &PatchParams::default(), &Patch::Merge(patch)).await {
                // It is gone, or never came to be.
                Err(kube::Error::Api(answer)) if answer.code == 404 => {}
                answered => return answered.map(|_| ()),
            }
        }
        api.create(&PostParams::default(), &event).await.map(|_| ())
    }

    fn event(
        &self,
        note: &Note,
        (regarding, related): (&ObjectReference, Option<&ObjectReference>),
        number: u64,
    ) -> Event {
        let about = regarding.name.as_deref().unwrap_or(FIELD_MANAGER);
        Event {
            metadata: ObjectMeta {
                name: Some(name(about, number)),
                namespace: regarding.namespace.clone(),
                ..ObjectMeta::default()
            },
            type_: Some(note.tone.as_str().to_owned()),
            reason: Some(note.reason.as_str().to_owned()),
            action: Some(note.action.to_owned()),
            note: Some(shortened(&note.text)),
            regarding: Some(regarding.clone()),
            related: related.cloned(),
            event_time: Some(MicroTime(self.clock.precise())),
            reporting_controller: Some(FIELD_MANAGER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        }
    }
}

/// What makes two notes the same.
fn fact(note: &Note, regarding: &ObjectReference, related: Option<&ObjectReference>) -> Key {
    let said = [note.tone.as_str(), note.reason.as_str(), note.action, &note.text];
    let texts =
        said.into_iter().chain(known_by(regarding)).chain(related.into_iter().flat_map(known_by));
    digest_of(texts)
}

/// Whose requests are counted together.
fn subject(tone: Tone, regarding: &ObjectReference) -> Key {
    digest_of([tone.as_str()].into_iter().chain(known_by(regarding)))
}

fn known_by(object: &ObjectReference) -> [&str; 4] {
    let ObjectReference { kind, namespace, name, uid, .. } = object;
    [kind, namespace, name, uid].map(|text| text.as_deref().unwrap_or_default())
}

fn digest_of<'a>(texts: impl Iterator<Item = &'a str>) -> Key {
    let mut context = digest::Context::new(&digest::SHA256);
    for text in texts {
        // With its length, so that no two lists are the same bytes.
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    }
    let mut key = Key::default();
    key.copy_from_slice(context.finish().as_ref());
    key
}

/// The name of an event: that of the object, as far as it fits, and a number that no other event has.
fn name(about: &str, number: u64) -> String {
    let number = format!(".{number:016x}");
    let about = cut(about, LONGEST_NAME - number.len());
    format!("{}{number}", about.trim_end_matches(|end: char| !end.is_ascii_alphanumeric()))
}

fn shortened(text: &str) -> String {
    if text.len() <= LONGEST_NOTE {
        return text.to_owned();
    }
    format!("{}...", cut(text, LONGEST_NOTE - 3))
}

/// As much of the beginning as fits into so many bytes.
fn cut(text: &str, longest: usize) -> &str {
    let end = (0..=longest.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
