//! The Services of one workload, live: turned to the proxy, restored, and waited for.
//!
//! Nothing is turned while a pod behind it lacks the sidecar, nothing is restored while another workload behind it relies on
//! it, and no sidecar goes before the traffic has surely left.

use super::flapping::Repairs;
use super::live::{Applied, Kind, Live};
use super::neighbour;
use super::pods::{PodFacts, Protection, protection};
use crate::failure::Failure;
use crate::inject::{Ports, Refusal, opt_in};
use crate::traffic::{self, Companion, Route};
use crds::Traffic;
use serde_json::Value;
use tokio::time::Instant;

/// What was found and done about the Services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Routing {
    /// What is awaited before Services can be turned.
    pub(super) awaited: Option<String>,
    /// Ways past the proxy that are left open, each with the reason and the next step.
    pub(super) open: Vec<String>,
    /// Names of Services that were turned now.
    pub(super) turned: Vec<String>,
    /// Whether one of them had been turned before and somebody had changed it back.
    pub(super) repaired: bool,
}

/// Makes the companion of an injected workload as it should be.
///
/// # Errors
/// The API server's; a Service of that name that is not ours is a refusal.
pub(super) async fn ensure_companion(
    live: &Live<'_>,
    workload: &Value,
    wanted: &Companion,
) -> Result<Result<(), Refusal>, Failure> {
    let name = Companion::name(traffic::name_of(workload));
    let found =
        live.get(Kind::Service, &name).await.map_err(api("reading the companion Service"))?;
    if let Err(refusal) = Companion::check_free(workload, found.as_ref()) {
        return Ok(Err(refusal));
    }
    if found.as_ref().is_some_and(|found| wanted.is_in(found)) {
        return Ok(Ok(()));
    }
    // It is ours alone, so whatever somebody changed in it is taken back.
    match live.apply(Kind::Service, &name, wanted.body(), true).await {
        Ok(Applied::Done(_)) => Ok(Ok(())),
        Ok(Applied::Conflict(fields)) => Err(Failure::conflict(fields.join(", "))),
        Err(error) => Err(Failure::api("applying the companion Service", &error)),
    }
}

/// Turns every Service that should be, as soon as it may be.
///
/// # Errors
/// The API server did not answer.
pub(super) async fn turn(
    live: &Live<'_>,
    workload: &Value,
    (ports, mode): (Ports, Traffic),
    repairs: &mut Repairs,
) -> Result<Routing, Failure> {
    let mut routing = Routing::default();
    routing.open.extend(traffic::published(workload, ports));
    for service in selecting(live, workload).await? {
        let name = traffic::name_of(&service);
        let patch = match mode {
            Traffic::Companion => {
                note_direct(
                    &mut routing,
                    &service,
                    (workload, ports),
                    "sidecar.traffic is Companion",
                );
                match for_workload(&service, workload) {
                    Some(patch)
                        if neighbour::relying(live, &service, workload, None).await?.is_none() =>
                    {
                        Some(patch)
                    }
                    _ => None,
                }
            }
            Traffic::Auto | Traffic::Retarget => {
                match may_turn(live, &service, (workload, ports, mode)).await? {
                    Verdict::Nothing => None,
                    Verdict::Turn(patch) => Some(patch),
                    Verdict::Awaited(text) => {
                        routing.awaited.get_or_insert_with(|| {
                            format!("Service {name:?} is turned to the proxy when {text}")
                        });
                        None
                    }
                    Verdict::Astray(text) => {
                        routing.open.push(text);
                        None
                    }
                    Verdict::LeftAlone(why) => {
                        note_direct(&mut routing, &service, (workload, ports), &why);
                        None
                    }
                }
            }
        };
        if let Some(patch) = patch {
            let again = traffic::is_turned(&service)
                && traffic::route(&service, workload, ports) == Route::Direct;
            if again && repairs.allow(Instant::now()).is_err() {
                let why = "somebody keeps changing it back, so it is left alone for an hour";
                note_direct(&mut routing, &service, (workload, ports), why);
                continue;
            }
            routing.repaired |= again;
            match live.patch(Kind::Service, name, &patch).await.map_err(api("turning a Service"))? {
                Some(_) => routing.turned.push(name.to_owned()),
                None => return Err(Failure::conflict(format!("Service {name} changed meanwhile"))),
            }
        }
    }
    Ok(routing)
}

/// Names every Service that leads past the proxy and changes none.
///
/// # Errors
/// The API server did not answer.
pub(super) async fn survey(
    live: &Live<'_>,
    workload: &Value,
    ports: Ports,
    why: &str,
) -> Result<Routing, Failure> {
    let mut routing = Routing::default();
    routing.open.extend(traffic::published(workload, ports));
    for service in selecting(live, workload).await? {
        note_direct(&mut routing, &service, (workload, ports), why);
    }
    Ok(routing)
}

/// How far the Services of a workload are restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Restored {
    /// None leads to the sidecar because of it.
    All,
    /// Some were restored now: to be looked at again.
    Some,
    /// One stays as it is, because another workload behind it relies on it; the text names both.
    Held(String),
}

/// Restores every Service that leads to the sidecar because of this workload, and no other.
///
/// # Errors
/// The API server did not answer, or somebody changed a Service at the same time.
pub(super) async fn restore(live: &Live<'_>, workload: &Value) -> Result<Restored, Failure> {
    let mut restored = Restored::All;
    // Whoever asks for an object and is let go all the same shares its fate with others that ask for it.
    let going = opt_in(workload).ok();
    // All of them, because somebody may have taken the label away that they could be selected by.
    for service in live.list(Kind::Service, "").await.map_err(api("listing Services"))? {
        let Some(patch) = for_workload(&service, workload) else { continue };
        let name = traffic::name_of(&service);
        if let Some(other) = neighbour::relying(live, &service, workload, going.as_ref()).await? {
            restored = Restored::Held(format!(
                "Service {name:?} leads to the proxy and also selects the pods of Deployment {other:?}, which is protected: take one of the two out of the Service's selector, or end the protection of {other:?} too"
            ));
            continue;
        }
        if restored == Restored::All {
            restored = Restored::Some;
        }
        if live
            .patch(Kind::Service, name, &patch)
            .await
            .map_err(api("restoring a Service"))?
            .is_none()
        {
            return Err(Failure::conflict(format!("Service {name} changed meanwhile")));
        }
    }
    Ok(restored)
}

/// The patch that restores a Service that is on record for this workload. A mark without a readable record is of whoever is
/// behind the Service: then there is nothing to restore but the mark itself.
fn for_workload(service: &Value, workload: &Value) -> Option<Value> {
    let ours = match traffic::turned_for(service) {
        Some(name) => name == traffic::name_of(workload),
        None => traffic::is_turned(service) && traffic::selects(service, workload),
    };
    traffic::restore(service).filter(|_| ours)
}

/// Whether no endpoint of a Service leads to the sidecar any more, the companion and ports that lead there by themselves
/// aside.
///
/// # Errors
/// The API server did not answer.
pub(super) async fn endpoints_have_left(
    live: &Live<'_>,
    workload: &Value,
    ports: Ports,
) -> Result<bool, Failure> {
    for service in selecting(live, workload).await? {
        let names = traffic::names_of_ports_elsewhere(&service, workload, ports);
        if names.is_empty() {
            continue;
        }
        let labels = format!("kubernetes.io/service-name={}", traffic::name_of(&service));
        let slices =
            live.list(Kind::EndpointSlice, &labels).await.map_err(api("listing EndpointSlices"))?;
        if slices.iter().any(|slice| leads_to(slice, ports.proxy, &names)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Deletes the companion of a workload, if there is one.
///
/// # Errors
/// The API server did not answer.
pub(super) async fn delete_companion(live: &Live<'_>, workload: &str) -> Result<(), Failure> {
    let name = Companion::name(workload);
    match live.get(Kind::Service, &name).await.map_err(api("reading the companion Service"))? {
        Some(service) if Companion::is_for(&service, workload) => live
            .delete(Kind::Service, &service)
            .await
            .map_err(api("deleting the companion Service")),
        _ => Ok(()),
    }
}

/// The opt-in that the companion of a workload remembers.
///
/// # Errors
/// The API server did not answer.
pub(super) async fn remembered(
    live: &Live<'_>,
    workload: &Value,
) -> Result<Option<String>, Failure> {
    let name = Companion::name(traffic::name_of(workload));
    let companion =
        live.get(Kind::Service, &name).await.map_err(api("reading the companion Service"))?;
    Ok(companion
        .and_then(|companion| Companion::remembered(&companion, workload).map(str::to_owned)))
}

enum Verdict {
    Nothing,
    Turn(Value),
    Awaited(String),
    LeftAlone(String),
    Astray(String),
}

async fn may_turn(
    live: &Live<'_>,
    service: &Value,
    (workload, ports, mode): (&Value, Ports, Traffic),
) -> Result<Verdict, Failure> {
    if traffic::route(service, workload, ports) == Route::Headless {
        return Ok(Verdict::LeftAlone(
            "it is headless, so clients reach the pods directly".to_owned(),
        ));
    }
    let owner = neighbour::owner(live, service, workload).await?;
    let Some(patch) = traffic::turn(service, workload, ports, &owner) else {
        let stray = neighbour::stray(live, service, (workload, ports)).await?;
        return Ok(stray.map_or(Verdict::Nothing, Verdict::Astray));
    };
    if let (Traffic::Auto, Some(manager)) = (mode, traffic::manager(service)) {
        return Ok(Verdict::LeftAlone(format!("{manager} looks after it")));
    }
    let pods = live.list(Kind::Pod, &selector_of(service)).await.map_err(api("listing pods"))?;
    let (own, others): (Vec<&Value>, Vec<&Value>) =
        pods.iter().partition(|pod| belongs(pod, workload));
    let others: Vec<PodFacts> = others.into_iter().filter_map(PodFacts::read).collect();
    if let Some(bare) = others.iter().find(|pod| !pod.terminating && !pod.carries(ports)) {
        return Ok(Verdict::LeftAlone(format!(
            "it also selects pod {}, which has no sidecar",
            bare.name
        )));
    }
    if let Some(other) = neighbour::unprotected(live, service, workload).await? {
        return Ok(Verdict::LeftAlone(format!(
            "it also selects the pods of Deployment {other:?}, which asks for no sidecar"
        )));
    }
    let mut all: Vec<PodFacts> = own.into_iter().filter_map(PodFacts::read).collect();
    all.extend(others);
    let unready = service.pointer("/spec/publishNotReadyAddresses") == Some(&Value::Bool(true));
    Ok(match protection(&all, ports, unready) {
        Protection::Complete => Verdict::Turn(patch),
        Protection::Awaited(text) => {
            Verdict::Awaited(format!("no pod behind it lacks the sidecar: {text}"))
        }
    })
}

/// The Services of the namespace that select the workload's pods, its companion aside.
async fn selecting(live: &Live<'_>, workload: &Value) -> Result<Vec<Value>, Failure> {
    let mut services = live.list(Kind::Service, "").await.map_err(api("listing Services"))?;
    services.retain(|service| {
        traffic::selects(service, workload)
            && !Companion::is_for(service, traffic::name_of(workload))
    });
    Ok(services)
}

fn note_direct(
    routing: &mut Routing,
    service: &Value,
    (workload, ports): (&Value, Ports),
    why: &str,
) {
    if !matches!(traffic::route(service, workload, ports), Route::Direct | Route::Headless) {
        return;
    }
    let name = traffic::name_of(service);
    let companion = Companion::name(traffic::name_of(workload));
    let step = match traffic::direct_port(service, workload, ports) {
        Some(port) if !why.contains("headless") => {
            format!("set targetPort of its port {port} to {} where it is defined", ports.proxy)
        }
        _ => format!("lead clients to Service {companion:?}"),
    };
    let retarget = if why.contains("looks after it") {
        ", or annotate the workload oauth2proxy.dev/traffic: Retarget"
    } else {
        ""
    };
    routing.open.push(format!(
        "Service {name:?} leads to the protected port {} past the proxy ({why}): {step}{retarget}",
        ports.upstream
    ));
}

pub(super) fn belongs(pod: &Value, workload: &Value) -> bool {
    let labels = pod.pointer("/metadata/labels").unwrap_or(&Value::Null);
    let wanted = workload.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    wanted.is_none_or(|wanted| wanted.iter().all(|(key, value)| labels.get(key) == Some(value)))
}

/// The selector of a Service in the form of a list request.
pub(super) fn selector_of(service: &Value) -> String {
    let selector = service.pointer("/spec/selector").and_then(Value::as_object);
    let pairs = selector
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    pairs.collect::<Vec<_>>().join(",")
}

/// Whether one of the ports of these names leads to this port in a slice.
fn leads_to(slice: &Value, port: u16, names: &[&str]) -> bool {
    let array = |field: &str| slice.get(field).and_then(Value::as_array);
    let name = |entry: &Value| {
        names.contains(&entry.get("name").and_then(Value::as_str).unwrap_or_default())
    };
    array("endpoints").is_some_and(|endpoints| !endpoints.is_empty())
        && array("ports")
            .into_iter()
            .flatten()
            .any(|entry| entry.get("port") == Some(&Value::from(port)) && name(entry))
}

pub(super) fn api(doing: &'static str) -> impl Fn(kube::Error) -> Failure {
    move |error| Failure::api(doing, &error)
}
