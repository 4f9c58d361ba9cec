//! A workload that carries the sidecar: its companion, its Services, its pods.

use super::desk::{Entry, Memory};
use super::outcome::{Found, judge};
use super::resolve::Resolved;
use super::{Turn, companion, template};
use crate::controller::Next;
use crate::failure::Failure;
use crate::fleet::{self, Said};
use crate::inject::{Ports, Recorded, Refusal, UPSTREAM_PORT};
use crate::live::Collection;
use crate::pods::{Pod, PodFacts};
use crate::service_controller::Routing;
use crate::traffic::{self, Companion};
use crate::workload::Watched;
use serde::Deserialize as _;
use serde_json::Value;
use std::collections::HashMap;

/// What was reported, and when to look again.
struct Concluded {
    /// No Service leads past the proxy, and no pod lacks it.
    closed: bool,
    next: Next,
}

/// A pod with what its sidecar said, if it has one.
pub(super) type Asked = (PodFacts, Option<Result<Said, String>>);

impl Turn<'_> {
    /// Makes companion and Services as they should be, as far as the pods allow, and reports.
    pub(super) async fn look_after(
        &self,
        workload: &Value,
        ports: Ports,
        refusal: Option<&Refusal>,
        memory: &mut Memory,
    ) -> Result<Next, Failure> {
        let recorded = Recorded::read(workload);
        let opt_in = recorded.as_ref().map(|record| record.opt_in.as_str()).unwrap_or_default();
        let wanted = Companion::of(workload, ports).remember(opt_in);
        let (routed, taken) = match companion::ensure(&self.live, workload, wanted.clone()).await? {
            Ok(routed) => (routed, None),
            Err(refusal) => (false, Some(refusal)),
        };
        let refusal = refusal.or(taken.as_ref());
        let concluded = self.conclude(workload, ports, refusal, memory).await?;
        if concluded.closed && !routed && taken.is_none() {
            let name = Companion::name(&self.key.name);
            companion::apply(&self.live, &name, &wanted.routed(workload)).await?;
        }
        Ok(concluded.next)
    }

    /// Reports without touching anything; ways past the proxy are named all the same.
    pub(super) async fn watch_only(
        &self,
        workload: &Value,
        ports: Ports,
        refusal: &Refusal,
        memory: &mut Memory,
    ) -> Result<Next, Failure> {
        Ok(self.conclude(workload, ports, Some(refusal), memory).await?.next)
    }

    async fn conclude(
        &self,
        workload: &Value,
        ports: Ports,
        refusal: Option<&Refusal>,
        memory: &mut Memory,
    ) -> Result<Concluded, Failure> {
        let routing = self.routing(workload, ports);
        let pods = self.pods(workload, memory).await?;
        let trouble = template::rollout_trouble(workload);
        let outcome = judge(&Found {
            workload: self.key,
            ports,
            mode: self.mode,
            config_hash: self.config_hash(),
            refusal,
            trouble: trouble.as_ref(),
            pods: &pods,
            routing: &routing,
        });
        self.announcer.trouble(outcome.trouble.as_ref(), memory).await;
        let closed = outcome.closed;
        self.report(Entry {
            object: self
                .object()
                .or_else(|| Recorded::read(workload).as_ref().map(|record| record.object.clone())),
            workload: outcome.workload,
            config_hash: self.config_hash().map(str::to_owned),
            pods: outcome.pods,
            direct: outcome.direct,
            refusal: refusal.map(|refusal| refusal.reason),
        });
        let next = Next::After(match outcome.again {
            Some(delay) => {
                memory.calm();
                delay
            }
            None => memory.soon(),
        });
        Ok(Concluded { closed, next })
    }

    /// What is known of the Services, and the ways past the proxy that no Service is part of.
    fn routing(&self, workload: &Value, ports: Ports) -> Routing {
        let Ok(watched) = Watched::deserialize(workload) else { return Routing::default() };
        let mut routing = self.board.routing(&watched);
        routing.open.extend(traffic::published(workload, ports));
        let Routing { awaited, open, well, elsewhere } = &routing;
        if awaited.is_none() && open.is_empty() && well.is_empty() && !elsewhere.is_empty() {
            let names = elsewhere.join(", ");
            routing.open.push(format!(
                "no Service leads to the protected port {}, and {names} leads to others, past the proxy: correct {UPSTREAM_PORT}, or targetPort there",
                ports.upstream
            ));
        }
        routing
    }

    /// The pods of the workload, each with what its sidecar says now.
    async fn pods(&self, workload: &Value, memory: &mut Memory) -> Result<Vec<Asked>, Failure> {
        let facts = match traffic::pods_of(workload) {
            // No selector would list every pod of the namespace.
            Some(selector) if !selector.selects_all() => {
                let listed = self.live.list::<Pod>(Collection::Pods, &selector.to_string()).await;
                listed.map_err(|error| Failure::api("listing the pods", &error))?
            }
            _ => Vec::new(),
        };
        let facts: Vec<PodFacts> = facts.into_iter().filter_map(Pod::facts).collect();
        let questions = facts.iter().filter_map(PodFacts::question).collect();
        let mut answers = HashMap::new();
        for (asked, said) in fleet::ask(questions).await {
            let said = memory.bridged(&asked.pod, said);
            answers.insert(asked.pod, said);
        }
        memory.keep_pods(&facts.iter().map(|pod| pod.name.clone()).collect::<Vec<_>>());
        Ok(facts
            .into_iter()
            .map(|pod| {
                let said = answers.remove(&pod.name);
                (pod, said)
            })
            .collect())
    }

    fn config_hash(&self) -> Option<&str> {
        match &self.resolved {
            Resolved::Usable { config_hash, .. } => config_hash.as_deref(),
            Resolved::Unusable { meant, .. } => meant.config_hash.as_deref(),
            Resolved::Leaving => None,
        }
    }
}
