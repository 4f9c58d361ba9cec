//! Keeps the proxy in the pods of the Deployments that ask for it: the driver of one turn of one workload.
//!
//! Every step is derived from live objects alone, so a turn that ends anywhere is taken up by the next one, in whatever
//! process. The steps and what each keeps true:
//!
//! In:
//! 1. The object is usable: its configuration and keys exist before a pod mounts them.
//! 2. The companion Service exists. It leads to the proxy's port by number, where nothing listens before the sidecar does.
//! 3. The template gets the sidecar and the record in one apply: what was added is on record before a pod has it.
//! 4. The companion remembers the opt-in, so that a rollback that wipes all annotations is no way out (`wiped`).
//! 5. Its Services follow (`service_controller`), which the workload only hears of.
//! 6. Who is connected past the proxy is asked for, then and ever after.
//! 7. When nothing reaches it without a login, the companion remembers that too.
//!
//! Out:
//! 1. Without the opt-in it relies on no Service, so those are restored, while sidecar and application both serve.
//! 2. None leads to the sidecar any more, their endpoints are seen to have left, and kube-proxy gets time to follow.
//! 3. The companion goes; with it, the memory of the opt-in.
//! 4. Sidecar and record leave the template in one patch. The pods that end keep their sidecar to the last request.

mod announce;
mod closed;
mod companion;
mod desk;
mod entries;
mod failing;
mod flapping;
mod look_after;
mod memory;
pub(crate) mod observe;
mod outcome;
mod remove;
mod resolve;
pub(crate) mod stage;
pub(crate) mod standalone;
mod template;
pub(crate) mod unsupported;
mod wiped;

pub(crate) use desk::Desk;

use crate::context::Context;
use crate::controller::Next;
use crate::failure::Failure;
use crate::inject::{
    INJECT, Injection, OptIn, Plan, PortDefaults, Ports, Record, Recorded, Refusal, Sidecar,
    Target, Wanted, Wishes, is_unmeant, meaning, opt_in, opt_in_text, plan, template_opt_in,
};
use crate::live::{Collection, Live};
use crate::pod::{self, PodPorts};
use crate::traffic::Companion;
use crate::workload::{Watched, WorkloadRef};
use announce::Announcer;
use crds::{Reason, Traffic};
use entries::Entry;
use flapping::{Repairs, Wait};
use memory::Memory;
use resolve::{Meant, Resolved};
use serde_json::Value;
use std::sync::Arc;
use template::{Brought, Rewritten};
use tokio::time::{Duration, Instant};

/// A refused workload waits for a change, which a watch reports; this is in case it does not.
const REFUSED: Duration = Duration::from_mins(2);

/// What one turn works with.
struct Turn<'a> {
    context: &'a Context,
    desk: &'a Desk,
    live: Live<'a>,
    key: &'a WorkloadRef,
    announcer: Announcer,
    /// What the workload's opt-in led to.
    resolved: Resolved,
    /// What is wanted of its Services.
    mode: Option<Traffic>,
    /// What had the name of its companion Service when the turn began.
    companion: Option<Value>,
}

/// One turn of one workload.
pub(crate) async fn reconcile(
    watched: Arc<Watched>,
    context: Arc<Context>,
    desk: Arc<Desk>,
) -> Result<Next, Failure> {
    let key = watched.reference();
    let live = Live::new(&context.client, &key.namespace);
    let read = live.get(Collection::Workloads(key.kind), &key.name).await;
    let next = match read.map_err(|error| Failure::api(&format!("reading {key}"), &error))? {
        Some(workload) if workload.pointer("/metadata/deletionTimestamp").is_none() => {
            let memory = desk.memory(&key);
            let mut memory = memory.lock().await;
            turn(&context, &desk, (&key, live), workload, &mut memory).await
        }
        _ => {
            desk.forget(&key);
            Ok(Next::Resync)
        }
    };
    context.metrics.workloads(desk.scope(), desk.totals());
    next
}

async fn turn(
    context: &Context,
    desk: &Desk,
    (key, live): (&WorkloadRef, Live<'_>),
    workload: Value,
    memory: &mut Memory,
) -> Result<Next, Failure> {
    let asked = opt_in(&workload);
    let no = asked == Ok(OptIn::No);
    if no
        && is_unmeant(&workload)
        && !Wishes::paused(&workload).unwrap_or(true)
        && let Some(next) = wiped::undo((context, desk), (key, &live), &workload).await?
    {
        return Ok(next);
    }
    if no && Recorded::read(&workload) == Recorded::No {
        return unasked(context, desk, (key, &live), &workload, memory).await;
    }
    let resolved = match &asked {
        Ok(asked) => resolve::resolve(asked, &key.namespace, context).await?,
        Err(refusal) => Resolved::Unusable { meant: Meant::default(), refusal: refusal.clone() },
    };
    if matches!(&resolved, Resolved::Unusable { meant, .. } if meant.late)
        && memory.ladder.is_patient()
    {
        return Ok(Next::After(memory.ladder.soon()));
    }
    memory.ladder.calm();
    let wishes = Wishes::read(&workload);
    let mode = match (&wishes, &resolved) {
        (Ok(wishes), Resolved::Usable { spec, .. }) => {
            Some(wishes.traffic.unwrap_or(spec.spec.sidecar.traffic))
        }
        (Ok(wishes), Resolved::Unusable { meant, .. }) => wishes.traffic.or(meant.traffic),
        _ => None,
    };
    let announcer =
        Announcer::new(&context.events, (key, &workload), resolved.reference(&key.namespace));
    let mut turn = Turn { context, desk, live, key, announcer, resolved, mode, companion: None };
    if wishes.is_ok_and(|wishes| wishes.paused) {
        return turn.paused(&workload).await;
    }
    if let Some(refusal) = memory.failing.begin() {
        turn.not_done(&workload, &refusal).await;
    }
    let taken = match companion::read(&turn.live, &workload).await {
        Ok(companion) => {
            turn.companion = companion;
            turn.take(&workload, memory).await
        }
        Err(failure) => Err(failure),
    };
    if let Some(refusal) = memory.failing.end(&taken) {
        turn.not_done(&workload, &refusal).await;
    }
    taken
}

/// A workload that neither asks for anything nor has anything: what is left of an earlier time is put away.
async fn unasked(
    context: &Context,
    desk: &Desk,
    (key, live): (&WorkloadRef, &Live<'_>),
    workload: &Value,
    memory: &mut Memory,
) -> Result<Next, Failure> {
    if Wishes::paused(workload).unwrap_or(true) {
        return Ok(Next::Resync);
    }
    memory.repairs = Repairs::default();
    companion::delete(live, workload, None).await?;
    misplaced(context, desk, key, workload).await;
    Ok(Next::Resync)
}

/// An opt-in on the pod template, where other sidecars want theirs: it has no effect, and that must not go unsaid.
async fn misplaced(context: &Context, desk: &Desk, key: &WorkloadRef, workload: &Value) {
    let asked = match (opt_in_text(workload), template_opt_in(workload).map(meaning)) {
        (None, Some(asked)) if asked != OptIn::No => asked,
        _ => {
            desk.is_news(key, None);
            return desk.put_bare(key, None);
        }
    };
    let text = format!(
        "annotation {INJECT} stands on the pod template, where it has no effect, so the application is open: put it on the {} itself",
        key.kind
    );
    let refusal = Refusal::new(Reason::InvalidAnnotation, text);
    Announcer::new(&context.events, (key, workload), None).trouble(Some(&refusal), desk).await;
    let object = match asked {
        OptIn::Named(name) => Some(name),
        OptIn::No | OptIn::Only => None,
    };
    desk.put_bare(key, Some(Entry::refused(key, object, &refusal)));
}

impl Turn<'_> {
    async fn take(&self, workload: &Value, memory: &mut Memory) -> Result<Next, Failure> {
        let plan = self.plan(workload);
        if !matches!(plan, Plan::Remove(_)) {
            memory.left_since = None;
            memory.leaving.calm();
        }
        match plan {
            Plan::Leave => {
                self.desk.put_bare(self.key, None);
                Ok(Next::Resync)
            }
            Plan::Refuse(refusal) => self.refused(&refusal).await,
            Plan::Keep { ports, refusal } => {
                self.look_after(workload, ports, refusal.as_ref(), self.companion.as_ref()).await
            }
            Plan::Remove(removal) => {
                let ports = removal.record.ports();
                self.remove(workload, &removal, ports, memory).await
            }
            Plan::Inject(injection) => self.inject(workload, *injection, memory).await,
        }
    }

    fn plan(&self, workload: &Value) -> Plan {
        let opt_in_text = opt_in_text(workload).unwrap_or_default();
        match &self.resolved {
            Resolved::Leaving => plan(workload, &Wanted::Open),
            Resolved::Unusable { refusal, .. } => {
                plan(workload, &Wanted::Unusable(refusal.clone()))
            }
            Resolved::Usable { spec, .. } => {
                let render = |ports: Ports| {
                    let ports = PodPorts {
                        proxy: ports.proxy,
                        admin: ports.admin,
                        application: Some(ports.upstream),
                    };
                    let pod = pod::render(spec, &self.context.proxy, ports);
                    Sidecar {
                        container: pod.container,
                        volumes: pod.volumes,
                        image_pull_secrets: pod.image_pull_secrets,
                    }
                };
                let sidecar = &spec.spec.sidecar;
                let defaults = PortDefaults {
                    proxy: sidecar.port,
                    admin: sidecar.admin_port,
                    upstream: sidecar.upstream_port,
                };
                let target = Target {
                    object: &spec.name,
                    opt_in: opt_in_text,
                    traffic: self.mode.unwrap_or(sidecar.traffic),
                    writer: &self.context.writer,
                    companion: self.companion_uid(workload),
                    defaults,
                    render: &render,
                };
                plan(workload, &Wanted::Protected(target))
            }
        }
    }

    /// The uid of the companion that was there when the turn began.
    fn companion_uid(&self, workload: &Value) -> Option<&str> {
        Companion::uid(self.companion.as_ref()?, workload)
    }

    async fn inject(
        &self,
        workload: &Value,
        mut injection: Injection,
        memory: &mut Memory,
    ) -> Result<Next, Failure> {
        let mut wanted = Companion::of(workload, injection.ports());
        let mut repair = injection.is_repair();
        let mut companion = self.companion.clone();
        if !injection.may_repair() {
            // Who replaces the workload takes the record along with the sidecar; the companion knows that both were there.
            let live = companion.as_ref();
            if let Some(opt_in) = live.and_then(|live| Companion::remembered(live, workload)) {
                wanted = wanted.remember(opt_in);
                repair = true;
            }
            if self.desk.was_closed(self.key) {
                wanted = wanted.routed(workload);
            }
            let ensured = companion::ensure(&self.live, workload, live, wanted).await?;
            match ensured {
                Ok(live) => {
                    injection = injection.with_companion(Companion::uid(&live, workload));
                    companion = Some(live);
                }
                Err(refusal) => return self.refused(&refusal).await,
            }
        }
        let (injection, companion) = (&injection, companion.as_ref());
        let counted = repair || injection.contested().is_some();
        if memory.rewritten.as_ref().is_some_and(|rewritten| rewritten.is(workload, injection)) {
            return self.look_after(workload, injection.ports(), None, companion).await;
        }
        if let (true, Err(wait)) = (counted, memory.repairs.allow(Instant::now())) {
            return self.wait(workload, injection, wait).await;
        }
        match template::bring_in(&self.live, workload, injection).await? {
            Brought::In(now) => {
                let repairs = counted.then_some(&mut memory.repairs);
                self.brought((workload, &now), injection, repair, repairs).await;
                self.look_after(&now, injection.ports(), None, companion).await
            }
            Brought::Rewritten(now) => {
                tracing::info!(workload = %self.key, "the sidecar was applied, and is another on the way through admission");
                let repairs = counted.then_some(&mut memory.repairs);
                self.brought((workload, &now), injection, repair, repairs).await;
                memory.rewritten = Some(Rewritten::new(&now, injection));
                self.look_after(&now, injection.ports(), None, companion).await
            }
            Brought::Refused(refusal) => match Recorded::read(workload).as_ref() {
                Some(record) => {
                    self.look_after(workload, record.ports(), Some(&refusal), companion).await
                }
                None => self.refused(&refusal).await,
            },
        }
    }

    /// Counts and tells what was done, if pods are made anew for it.
    async fn brought(
        &self,
        (before, now): (&Value, &Value),
        injection: &Injection,
        repair: bool,
        repairs: Option<&mut Repairs>,
    ) {
        self.desk.expect(self.key, now);
        if !template::is_rolled(before, now) {
            return;
        }
        if let Some(repairs) = repairs {
            repairs.note(Instant::now());
        }
        if repair {
            self.context.metrics.drift_repairs.inc();
        }
        self.announcer.injected(injection, repair).await;
    }

    /// Somebody undoes what is written here: not too often.
    async fn wait(
        &self,
        workload: &Value,
        injection: &Injection,
        wait: Wait,
    ) -> Result<Next, Failure> {
        let refusal = wait.told.then(|| template::flapping(injection));
        if Recorded::read(workload) == Recorded::No {
            let waiting =
                || Refusal::new(Reason::InProgress, "the sidecar is put back in a moment");
            self.put_refused(&refusal.unwrap_or_else(waiting)).await;
        } else {
            self.look_after(workload, injection.ports(), refusal.as_ref(), self.companion.as_ref())
                .await?;
        }
        Ok(Next::After(wait.rest))
    }

    /// The API server said no, or does not get it done: that is told in its own words, and everything else goes on.
    async fn not_done(&self, workload: &Value, refusal: &Refusal) {
        match Recorded::read(workload).as_ref().map(Record::ports) {
            Some(ports) => self.leave(workload, ports, Some(refusal)),
            None => self.put_refused(refusal).await,
        }
    }

    /// Nothing is there and nothing comes.
    async fn refused(&self, refusal: &Refusal) -> Result<Next, Failure> {
        self.put_refused(refusal).await;
        Ok(Next::After(REFUSED))
    }

    async fn put_refused(&self, refusal: &Refusal) {
        self.announcer.trouble(Some(refusal), self.desk).await;
        let entry = Entry::refused(self.key, self.object(), refusal);
        self.desk.put_bare(self.key, Some(entry));
    }

    async fn paused(&self, workload: &Value) -> Result<Next, Failure> {
        let refusal = Refusal::new(
            Reason::Paused,
            format!(
                "left as it is because of annotation {}: remove it to go on",
                crate::inject::PAUSED
            ),
        );
        match Recorded::read(workload).as_ref().map(Record::ports) {
            Some(ports) => {
                self.leave(workload, ports, Some(&refusal));
                Ok(Next::Resync)
            }
            None => self.refused(&refusal).await,
        }
    }

    /// Name of the object that this workload is reported at.
    fn object(&self) -> Option<String> {
        match &self.resolved {
            Resolved::Usable { spec, .. } => Some(spec.name.clone()),
            Resolved::Unusable { meant, .. } => meant.name.clone(),
            Resolved::Leaving => None,
        }
    }
}
