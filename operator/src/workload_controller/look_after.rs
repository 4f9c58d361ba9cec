//! A workload that carries the sidecar: its companion, its Services, its pods.

use super::desk::{Entry, Memory};
use super::live::Kind;
use super::outcome::{Found, judge};
use super::pods::PodFacts;
use super::resolve::Resolved;
use super::services::{self, Routing};
use super::{Turn, template};
use crate::controller::Next;
use crate::failure::Failure;
use crate::fleet::{self, Said};
use crate::inject::{Ports, Recorded, Refusal};
use crate::traffic::{self, Companion};
use serde_json::Value;
use std::collections::HashMap;

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
        let companion = Companion::of(workload, ports).remember(opt_in);
        let taken = services::ensure_companion(&self.live, workload, &companion).await?.err();
        let routing = match self.mode {
            Some(mode) => {
                services::turn(&self.live, workload, (ports, mode), &mut memory.repairs).await?
            }
            None => Routing::default(),
        };
        if routing.repaired {
            self.context.metrics.drift_repairs.inc();
        }
        self.announcer.turned(&routing.turned, ports).await;
        self.conclude(workload, ports, (refusal.or(taken.as_ref()), &routing), memory).await
    }

    /// Reports without touching anything; ways past the proxy are named all the same.
    pub(super) async fn watch_only(
        &self,
        workload: &Value,
        ports: Ports,
        refusal: &Refusal,
        memory: &mut Memory,
    ) -> Result<Next, Failure> {
        let routing = services::survey(&self.live, workload, ports, &refusal.message).await?;
        self.conclude(workload, ports, (Some(refusal), &routing), memory).await
    }

    async fn conclude(
        &self,
        workload: &Value,
        ports: Ports,
        (refusal, routing): (Option<&Refusal>, &Routing),
        memory: &mut Memory,
    ) -> Result<Next, Failure> {
        let pods = self.pods(workload, memory).await?;
        let trouble = template::rollout_trouble(workload);
        let outcome = judge(&Found {
            name: traffic::name_of(workload),
            ports,
            mode: self.mode,
            config_hash: self.config_hash(),
            refusal,
            trouble: trouble.as_ref(),
            pods: &pods,
            routing,
        });
        self.announcer.trouble(outcome.trouble.as_ref(), memory).await;
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
        Ok(Next::After(match outcome.again {
            Some(delay) => {
                memory.calm();
                delay
            }
            None => memory.soon(),
        }))
    }

    /// The pods of the workload, each with what its sidecar says now.
    async fn pods(&self, workload: &Value, memory: &mut Memory) -> Result<Vec<Asked>, Failure> {
        let listed = self.live.list(Kind::Pod, &selector(workload)).await;
        let listed = listed.map_err(|error| Failure::api("listing the pods", &error))?;
        let facts: Vec<PodFacts> = listed.iter().filter_map(PodFacts::read).collect();
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

/// The selector of a workload in the form of a list request.
fn selector(workload: &Value) -> String {
    let labels = workload.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let equal = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    let expressions = workload.pointer("/spec/selector/matchExpressions").and_then(Value::as_array);
    let sets = expressions.into_iter().flatten().filter_map(|expression| {
        let key = expression.get("key")?.as_str()?;
        let values: Vec<&str> = expression
            .get("values")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        Some(match expression.get("operator")?.as_str()? {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        })
    });
    equal.chain(sets).collect::<Vec<_>>().join(",")
}
