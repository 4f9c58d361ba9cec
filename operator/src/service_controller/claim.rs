//! What each workload behind a Service wants of it, from live objects: the watches only say whom to ask.

use super::{Board, Watched};
use crate::context::Context;
use crate::failure::Failure;
use crate::inject::{OptIn, Ports, Recorded, Wishes, is_unmeant, meaning, opt_in, opt_in_text};
use crate::live::{Collection, Live};
use crate::object;
use crate::report::Guarded;
use crate::traffic::{self, Companion};
use crate::workload::{self, Kind, WorkloadRef};
use crds::{DeletionPolicy, OAuth2Proxy, Traffic};
use futures_util::future::try_join_all;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource as _, ResourceExt as _};
use serde_json::Value;
use std::sync::Arc;

/// Workloads that are read at a time: a Service with many behind it is not to wait for one answer after the other.
const AT_ONCE: usize = 8;

/// One workload behind a Service.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// Which.
    pub(super) reference: WorkloadRef,
    /// As it is.
    pub(super) workload: Value,
    /// What it asks for and has.
    pub(super) stance: Stance,
    /// What is wanted of its Services.
    pub(super) mode: Traffic,
    /// Whether that is said now, by the workload or its object, and not only on record.
    pub(super) said: bool,
    /// Its owner wants nothing changed: it may hold a Service, and does not turn one.
    pub(super) paused: bool,
    /// Nothing reached it without a login before: it is closed at once and not when its pods are ready for it.
    pub(super) protected_before: bool,
    /// The object that it asks for, for events.
    pub(super) object: Option<ObjectReference>,
}

/// What a workload asks for and has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stance {
    /// It asks for the sidecar, and its template has it.
    Protected(Ports),
    /// It asks and has none on record, or what it says can not be understood. The ports are those that its companion knows.
    Asking(Option<Ports>),
    /// It has the sidecar and is on its way out.
    Leaving(Ports),
    /// It neither asks nor has.
    Open,
}

impl Stance {
    /// The ports of its sidecar.
    pub(super) const fn ports(self) -> Option<Ports> {
        match self {
            Self::Protected(ports) | Self::Leaving(ports) | Self::Asking(Some(ports)) => {
                Some(ports)
            }
            Self::Asking(None) | Self::Open => None,
        }
    }
}

impl Claim {
    /// Whether a turned Service stays turned for its sake.
    pub(super) fn relies(&self) -> bool {
        match self.stance {
            Stance::Protected(_) => self.mode != Traffic::Companion || !self.said,
            Stance::Asking(_) => true,
            Stance::Leaving(_) | Stance::Open => false,
        }
    }

    /// Whether its workload neither asks for a sidecar nor says that it wants none, and has none.
    pub(super) fn says_nothing(&self) -> bool {
        self.stance == Stance::Open && opt_in_text(&self.workload).is_none()
    }

    /// The uid of the workload.
    pub(super) fn uid(&self) -> Option<String> {
        self.workload.pointer("/metadata/uid").and_then(Value::as_str).map(str::to_owned)
    }
}

/// What is behind a Service.
pub(super) struct Behind {
    /// The workloads, by name.
    pub(super) claims: Vec<Claim>,
    /// The one that it is on record for is nowhere in the namespace, and nobody else relies on it.
    pub(super) gone: bool,
}

/// The watched workloads whose pods a Service selects, and the one that it is on record for.
pub(super) fn around(service: &Watched, board: &Board) -> Vec<Arc<workload::Watched>> {
    let recorded = service.workload();
    board.workloads.within(&service.namespace().unwrap_or_default(), |workload| {
        service.selects(workload.pod_labels()) || recorded.as_deref() == Some(&workload.name_any())
    })
}

/// Reads the claims of those of `around` that the Service selects. A Service that may have to be opened is checked against
/// every workload of the namespace that the API server lists now.
///
/// # Errors
/// The API server did not answer.
pub(super) async fn read(
    live: &Live<'_>,
    service: &Value,
    around: &[Arc<workload::Watched>],
    (context, board): (&Context, &Board),
) -> Result<Behind, Failure> {
    let (mut claims, mut gone) = (Vec::new(), false);
    for some in around.chunks(AT_ONCE) {
        let read = some
            .iter()
            .map(|workload| read_one(live, service, workload.reference(), (context, board)));
        claims.extend(try_join_all(read).await?.into_iter().flatten());
    }
    if traffic::is_turned(service) && !claims.iter().any(Claim::relies) {
        let kind = Kind::Deployment;
        let all = live.list::<Value>(Collection::Workloads(kind), "").await;
        let all =
            all.map_err(|error| Failure::api("listing the workloads of the namespace", &error))?;
        gone = traffic::turned_for(service).is_some_and(|(of, name)| {
            !all.iter().any(|found| WorkloadRef::of(kind, found).is(&of, &name))
        });
        for found in all.into_iter().filter(|found| traffic::selects(service, found)) {
            let reference = WorkloadRef::of(kind, &found);
            if !claims.iter().any(|claim| claim.reference == reference) {
                claims.push(of(live, reference, found, (context, board)).await?);
            }
        }
    }
    claims.sort_by(|a, b| a.reference.cmp(&b.reference));
    Ok(Behind { claims, gone })
}

/// The claim of a workload, if it is there and the Service selects its pods.
async fn read_one(
    live: &Live<'_>,
    service: &Value,
    reference: WorkloadRef,
    places: (&Context, &Board),
) -> Result<Option<Claim>, Failure> {
    let found = live.get(Collection::Workloads(reference.kind), &reference.name).await;
    let found = found
        .map_err(|error| Failure::api(&format!("reading {reference} behind a Service"), &error))?;
    match found.filter(|found| traffic::selects(service, found)) {
        Some(found) => of(live, reference, found, places).await.map(Some),
        None => Ok(None),
    }
}

async fn of(
    live: &Live<'_>,
    reference: WorkloadRef,
    workload: Value,
    (context, board): (&Context, &Board),
) -> Result<Claim, Failure> {
    let recorded = Recorded::read(&workload);
    let asked = opt_in(&workload);
    let object = asked.as_ref().ok().and_then(|asked| meant(asked, &reference.namespace, board));
    // Whatever opens a Service is read from the API server.
    let object = match object {
        Some(object) if is_deleted(&object) || says_companion(&object) => {
            read_again(&object, context).await?
        }
        object => object,
    };
    let going = object.as_deref().is_some_and(is_going);
    let companion = Companion::name(&reference.name);
    let companion = live.get(Collection::Services, &companion).await;
    let companion =
        companion.map_err(|error| Failure::api("reading the companion Service", &error))?;
    // A rollback is no wish to be open. What only a companion says, which others may have written, keeps what is on record, and
    // turns nothing.
    let remembered = is_unmeant(&workload)
        && companion.as_ref().is_some_and(|live| Companion::remembered(live, &workload).is_some());
    let asks = asked != Ok(OptIn::No) && !going;
    let routed = companion.as_ref().filter(|live| Companion::was_routed(live, &workload));
    let known = routed.and_then(Companion::ports);
    let stance = match (asks, &recorded) {
        (true, Recorded::Yes(record)) => Stance::Protected(record.ports()),
        (false, _) if remembered => Stance::Asking(None),
        // A record that can not be read is no reason to open anything.
        (true, Recorded::No) | (_, Recorded::Unreadable(_)) => Stance::Asking(known),
        (false, Recorded::Yes(record)) => Stance::Leaving(record.ports()),
        (false, Recorded::No) => Stance::Open,
    };
    let protected_before = routed.is_some();
    // Of one that was made anew, the companion of the former one may still be there.
    let asked_before = companion.as_ref().and_then(|live| Companion::opt_in(live, &workload));
    let former = asked_before.and_then(|text| meant(&meaning(text), &reference.namespace, board));
    let (mode, said) = mode(&workload, &recorded, object.as_deref());
    Ok(Claim {
        mode,
        said,
        paused: Wishes::paused(&workload).unwrap_or(false),
        object: object.or(former).as_deref().map(object_reference),
        reference,
        workload,
        stance,
        protected_before,
    })
}

/// What is wanted of the Services, and whether that is said now. What is only on record, or nowhere, never opens a Service.
fn mode(workload: &Value, recorded: &Recorded, object: Option<&Guarded>) -> (Traffic, bool) {
    let recorded = recorded.as_ref().and_then(|record| record.traffic).unwrap_or(Traffic::Auto);
    match Wishes::traffic(workload) {
        Ok(Some(wish)) => (wish, true),
        Err(_) => (recorded, false),
        Ok(None) => match object.and_then(|object| object.0.as_ref().ok()) {
            Some(object) => (object.spec.sidecar.traffic, true),
            None => (recorded, false),
        },
    }
}

/// The object that an opt-in means, as far as the watch knows.
fn meant(asked: &OptIn, namespace: &str, board: &Board) -> Option<Arc<Guarded>> {
    match asked {
        OptIn::No => None,
        OptIn::Named(name) => board.objects.get(&ObjectRef::new(name).within(namespace)),
        OptIn::Only => match board.objects.within(namespace, |_| true).as_slice() {
            [object] => Some(Arc::clone(object)),
            _ => None,
        },
    }
}

/// Whether an object is on its way out.
fn is_deleted(object: &Guarded) -> bool {
    object.meta().deletion_timestamp.is_some()
}

fn says_companion(object: &Guarded) -> bool {
    object.0.as_ref().is_ok_and(|object| object.spec.sidecar.traffic == Traffic::Companion)
}

/// Whether the object goes and its sidecars with it.
fn is_going(object: &Guarded) -> bool {
    let removes = |object: &OAuth2Proxy| object.spec.deletion_policy == DeletionPolicy::Remove;
    is_deleted(object) && object.0.as_ref().is_ok_and(removes)
}

/// The object as the API server has it.
async fn read_again(object: &Guarded, context: &Context) -> Result<Option<Arc<Guarded>>, Failure> {
    let api: Api<Guarded> =
        Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    let found = api.get_opt(&object.name_any()).await;
    let found = found.map_err(|error| Failure::api("reading an OAuth2Proxy", &error))?;
    Ok(found.map(Arc::new))
}

fn object_reference(object: &Guarded) -> ObjectReference {
    object::reference(&object.namespace().unwrap_or_default(), object.name_any(), object.uid())
}
