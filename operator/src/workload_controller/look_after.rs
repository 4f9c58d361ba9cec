//! A workload that carries the sidecar: its companion is as it should be, and the rest is left to whoever observes it.

use super::observe::Subject;
use super::resolve::Resolved;
use super::{Turn, companion, template};
use crate::controller::Next;
use crate::failure::Failure;
use crate::inject::{self, Ports, Recorded, Refusal};
use crate::pod::mounted;
use crate::traffic::{self, Companion};
use serde_json::Value;

impl Turn<'_> {
    /// Makes the companion as it should be, from how it is now.
    pub(super) async fn look_after(
        &self,
        workload: &Value,
        ports: Ports,
        refusal: Option<&Refusal>,
        companion: Option<&Value>,
    ) -> Result<Next, Failure> {
        let recorded = Recorded::read(workload);
        let opt_in = recorded.as_ref().map(|record| record.opt_in.as_str()).unwrap_or_default();
        let mut wanted = Companion::of(workload, ports).remember(opt_in);
        if self.desk.was_closed(self.key) {
            wanted = wanted.routed(workload);
        }
        let taken = companion::ensure(&self.live, workload, companion, wanted).await?.err();
        self.leave(workload, ports, refusal.or(taken.as_ref()));
        // Its pods may have changed with it.
        self.desk.look(self.key);
        Ok(Next::Resync)
    }

    /// Leaves the workload to whoever observes it.
    pub(super) fn leave(&self, workload: &Value, ports: Ports, refusal: Option<&Refusal>) {
        let recorded = Recorded::read(workload);
        let recorded = || recorded.as_ref().map(|record| record.object.clone());
        let subject = Subject {
            announcer: self.announcer.clone(),
            object: self.object().or_else(recorded),
            injected: inject::carries(workload),
            ports,
            mode: self.mode,
            config_hash: self.config_hash().map(str::to_owned),
            refusal: refusal.cloned().or_else(|| inject::unmeant_traffic(workload)),
            trouble: template::rollout_trouble(workload),
            published: traffic::published(workload, ports),
            files: mounted::files_of(workload),
            selector: traffic::pods_of(workload),
        };
        self.desk.leave(self.key, subject);
    }

    fn config_hash(&self) -> Option<&str> {
        match &self.resolved {
            Resolved::Usable { config_hash, .. } => config_hash.as_deref(),
            Resolved::Unusable { meant, .. } => meant.config_hash.as_deref(),
            Resolved::Leaving => None,
        }
    }
}
