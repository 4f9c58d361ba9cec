//! Writes a status if it differs, and publishes an event for what a user should know of.

use crate::condition::{State, find};
use crate::context::Context;
use crate::controller::Next;
use crate::event::{Note, Tone};
use crate::failure::Failure;
use crate::object::{self, FIELD_MANAGER};
use crds::{ConditionType, OAuth2Proxy, OAuth2ProxyStatus, Reason};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::error_boundary::InvalidObject;
use kube::{Api, Resource as _};
use serde_json::json;

/// Writes the status of an object unless it is there already.
pub(in crate::proxy_controller) async fn write(
    object: &ObjectMeta,
    before: Option<&OAuth2ProxyStatus>,
    status: &OAuth2ProxyStatus,
    context: &Context,
) -> Result<(), Failure> {
    if before == Some(status) {
        return Ok(());
    }
    let namespace = object.namespace.clone().unwrap_or_default();
    // The answer is the whole object, and may be one that does not fit our types.
    let kind = ApiResource::erase::<OAuth2Proxy>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), &namespace, &kind);
    let body = json!({
        "apiVersion": OAuth2Proxy::api_version(&()),
        "kind": OAuth2Proxy::kind(&()),
        // With the uid, so that an object made anew meanwhile does not get the status of the old one.
        "metadata": {"uid": object.uid},
        "status": status,
    });
    // Nobody else writes it, so there is nobody to take a field from.
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    match api
        .patch_status(object.name.as_deref().unwrap_or_default(), &parameters, &Patch::Apply(body))
        .await
    {
        Ok(_) => {}
        Err(kube::Error::Api(answer)) if answer.code == 404 => return Ok(()),
        Err(error) => return Err(Failure::api("writing the status", &error)),
    }
    let before = before.map(|status| status.conditions.as_slice()).unwrap_or_default();
    for note in notes(before, &status.conditions) {
        context.events.publish(&note, &reference(object), None).await;
    }
    Ok(())
}

/// An object, as the subject of an event.
fn reference(object: &ObjectMeta) -> ObjectReference {
    let namespace = object.namespace.as_deref().unwrap_or_default();
    object::reference(namespace, object.name.clone().unwrap_or_default(), object.uid.clone())
}

/// What is worth an event: something that a user has to act on and did not know of, and that all is well again.
pub(super) fn notes(before: &[Condition], after: &[Condition]) -> Vec<Note> {
    let mut notes = Vec::new();
    for type_ in ConditionType::ALL {
        let Some(now) = find(after, type_) else { continue };
        let Some(reason) = Reason::ALL.iter().copied().find(|reason| reason.as_str() == now.reason)
        else {
            continue;
        };
        let old = find(before, type_);
        let flipped = old.is_none_or(|old| old.status != now.status);
        let changed = flipped
            || old.is_some_and(|old| old.reason != now.reason || old.message != now.message);
        let renamed = old.is_none_or(|old| old.reason != now.reason);
        let note = |tone| Note {
            tone,
            reason,
            action: "Reconcile",
            text: format!("{type_}: {}", now.message),
        };
        match type_ {
            ConditionType::Ready if now.status == State::True.as_str() && flipped => {
                notes.push(Note { text: now.message.clone(), ..note(Tone::Normal) });
            }
            // Ready repeats another, but for the object's own end and for what only the stand-alone proxy has. How far that
            // rollout is, is no event.
            ConditionType::Ready => match reason {
                Reason::DeletionBlocked if renamed => notes.push(note(Tone::Warning)),
                Reason::Deleting if renamed => notes.push(note(Tone::Normal)),
                Reason::ApiRefused | Reason::NameCollision if changed && alone(after, now) => {
                    notes.push(note(Tone::Warning));
                }
                _ => {}
            },
            // It only names what the other one tells.
            ConditionType::TrafficRouted if !is_own(after, now) => {}
            _ if now.status == State::False.as_str() && changed && reason != Reason::InProgress => {
                notes.push(note(Tone::Warning));
            }
            _ if reason == Reason::ApiFailure && renamed => notes.push(note(Tone::Warning)),
            _ => {}
        }
    }
    notes
}

/// Whether a condition about traffic says something that the one about sidecars does not.
fn is_own(all: &[Condition], one: &Condition) -> bool {
    let same = |other: &Condition| {
        other.type_ == ConditionType::WorkloadsInjected.as_str() && other.reason == one.reason
    };
    !all.iter().any(same)
}

/// Whether no other condition says the same.
fn alone(all: &[Condition], one: &Condition) -> bool {
    all.iter().all(|other| other.type_ == one.type_ || other.reason != one.reason)
}

/// An object that does not fit our types, which only happens while its definition and this program differ in version. The
/// others go on.
pub(in crate::proxy_controller) async fn unreadable(
    object: &InvalidObject,
    context: &Context,
) -> Result<Next, Failure> {
    let text = format!(
        "this version of the operator can not read the object: {}. Upgrade it, or correct the field",
        object.error
    );
    let note = Note {
        tone: Tone::Warning,
        reason: Reason::InvalidSpec,
        action: "Reconcile",
        text: text.clone(),
    };
    context.events.publish(&note, &reference(&object.metadata), None).await;
    Err(Failure::user(text))
}
