//! Events of a workload, told on the workload and, where it concerns an object, on the object too; once for each change.

use super::desk::Desk;
use crate::event::{Events, Note, Tone};
use crate::inject::{INJECT, Injection, Ports, Refusal, Removal};
use crate::workload::WorkloadRef;
use crds::Reason;
use k8s_openapi::api::core::v1::ObjectReference;
use serde_json::Value;

/// Tells about one workload.
#[derive(Clone)]
pub(super) struct Announcer {
    events: Events,
    reference: WorkloadRef,
    workload: ObjectReference,
    object: Option<ObjectReference>,
    recreates: bool,
}

impl Announcer {
    /// For a live workload, and the object that it asks for.
    pub(super) fn new(
        events: &Events,
        (reference, workload): (&WorkloadRef, &Value),
        object: Option<ObjectReference>,
    ) -> Self {
        let strategy = workload.pointer("/spec/strategy/type").and_then(Value::as_str);
        let recreates = strategy == Some("Recreate");
        let uid = workload.pointer("/metadata/uid").and_then(Value::as_str).map(str::to_owned);
        let workload = reference.object_reference(uid);
        Self { events: events.clone(), reference: reference.clone(), workload, object, recreates }
    }

    /// The template has the sidecar, `repair` if it had it before and somebody took it away.
    pub(super) async fn injected(&self, injection: &Injection, repair: bool) {
        let Ports { proxy, upstream, .. } = injection.ports();
        let object = injection.object();
        let what = if repair {
            "the sidecar had been removed or changed and was put back"
        } else if injection.is_move() {
            "the sidecar now belongs to another object"
        } else {
            "the sidecar was brought in or up to date"
        };
        let text = format!(
            "{what}: OAuth2Proxy {object:?} protects port {upstream} by port {proxy}; Services follow when every pod carries it{}",
            self.gap()
        );
        let reason = if repair { Reason::Repaired } else { Reason::Injected };
        self.tell(Tone::Normal, (reason, "Inject"), text).await;
    }

    /// What a rollout costs where old pods end before new ones begin.
    fn gap(&self) -> &'static str {
        if self.recreates {
            ". Its strategy is Recreate, so no pod answers until the new ones are ready: with RollingUpdate no request is lost"
        } else {
            ""
        }
    }

    /// The sidecar was taken out.
    pub(super) async fn removed(&self, removal: &Removal) {
        let text = format!(
            "the sidecar was taken out and everything is as it was before; the application is open now{}",
            self.gap()
        );
        tracing::info!(
            object = removal.record.object,
            workload = self.workload.name,
            "sidecar taken out"
        );
        self.tell(Tone::Normal, (Reason::Removed, "Remove"), text).await;
    }

    /// A rollback wiped the opt-in, and it was put back.
    pub(super) async fn opt_in_restored(&self, opt_in: &str) {
        let text = format!(
            "all annotations were replaced at once, as a rollback does, and the opt-in was lost with them: {INJECT}={opt_in} was put back. To end the protection remove that annotation alone: kubectl annotate {} {} {INJECT}-",
            self.reference.kind.for_kubectl(),
            self.reference.name
        );
        self.tell(Tone::Warning, (Reason::Repaired, "Restore"), text).await;
    }

    /// Something is in the way, or no longer. Progress is no event. It is told on the workload alone: on the object its conditions
    /// tell it.
    pub(super) async fn trouble(&self, refusal: Option<&Refusal>, desk: &Desk) {
        let refusal = refusal.filter(|refusal| refusal.reason != Reason::InProgress);
        if !desk.is_news(&self.reference, refusal) {
            return;
        }
        if let Some(Refusal { reason, message }) = refusal {
            let tone = if *reason == Reason::CompanionOnly { Tone::Normal } else { Tone::Warning };
            let note = Note { tone, reason: *reason, action: "Inject", text: message.clone() };
            self.events.publish(&note, &self.workload, self.object.as_ref()).await;
        }
    }

    async fn tell(&self, tone: Tone, (reason, action): (Reason, &'static str), text: String) {
        let note = Note { tone, reason, action, text };
        self.events.tell(note, (&self.reference, &self.workload), self.object.as_ref()).await;
    }
}
