//! Events on objects and workloads: what happened and what to do next. They are told once, when something changes.

use crate::object::FIELD_MANAGER;
use crds::Reason;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

/// Longest note that the API takes.
const LONGEST_NOTE: usize = 1024;

/// Publishes events.
#[derive(Clone)]
pub(crate) struct Events(Recorder);

/// How loud an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Things are as they should be.
    Normal,
    /// Somebody has to do something.
    Warning,
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
    pub(crate) fn new(client: Client, instance: &str) -> Self {
        let reporter =
            Reporter { controller: FIELD_MANAGER.to_owned(), instance: Some(instance.to_owned()) };
        Self(Recorder::new(client, reporter))
    }

    /// Publishes an event on `regarding`; `related` is the other object that it is about. A failure is logged only: no
    /// reconcile depends on an event.
    pub(crate) async fn publish(
        &self,
        note: &Note,
        regarding: &ObjectReference,
        related: Option<&ObjectReference>,
    ) {
        let event = Event {
            type_: match note.tone {
                Tone::Normal => EventType::Normal,
                Tone::Warning => EventType::Warning,
            },
            reason: note.reason.as_str().to_owned(),
            note: Some(shortened(&note.text)),
            action: note.action.to_owned(),
            secondary: related.cloned(),
        };
        if let Err(error) = self.0.publish(&event, regarding).await {
            tracing::warn!(%error, reason = event.reason, object = ?regarding.name, "the event could not be published");
        }
    }
}

fn shortened(text: &str) -> String {
    if text.len() <= LONGEST_NOTE {
        return text.to_owned();
    }
    let end = (0..=LONGEST_NOTE - 3).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}...", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_is_cut_at_a_character() {
        let note = shortened(&"ä".repeat(600));
        assert!(note.len() <= LONGEST_NOTE && note.ends_with("ä..."), "{}", note.len());
        assert_eq!(shortened("short"), "short");
    }
}
