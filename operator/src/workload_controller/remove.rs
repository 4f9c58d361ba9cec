//! Taking the sidecar out of a workload without a lost request: the traffic leaves first.

use super::memory::Memory;
use super::{Turn, companion, template};
use crate::controller::Next;
use crate::failure::Failure;
use crate::inject::{Ports, Refusal, Removal};
use crate::service_controller::{Leaving, leaving};
use crds::Reason;
use serde_json::Value;
use tokio::time::{Duration, Instant};

/// From the moment that no endpoint leads to the sidecar to the moment that it may go. Nothing reports when the kube-proxies
/// of all nodes have followed; on large clusters they take seconds.
const SETTLE: Duration = Duration::from_secs(10);
/// Between two looks at a Service that somebody else has to change, which a watch may report before.
const HELD: Duration = Duration::from_secs(5);
/// Between two looks at the endpoints.
const LOOK: Duration = Duration::from_millis(300);

impl Turn<'_> {
    /// Goes one step further out.
    pub(super) async fn remove(
        &self,
        workload: &Value,
        removal: &Removal,
        ports: Ports,
        memory: &mut Memory,
    ) -> Result<Next, Failure> {
        let stage = leaving(&self.live, self.key, workload, ports).await?;
        if stage != Leaving::Free {
            memory.left_since = None;
        }
        if let Leaving::Held(text) = stage {
            let refusal = Refusal::new(Reason::RemovalSkipped, text);
            self.leave(workload, ports, Some(&refusal));
            return Ok(Next::After(HELD));
        }
        let text = "its Services are restored, and the sidecar goes when traffic has left it";
        self.leave(workload, ports, Some(&Refusal::new(Reason::InProgress, text)));
        if stage == Leaving::Awaited {
            return Ok(Next::After(memory.leaving.soon()));
        }
        let since = *memory.left_since.get_or_insert_with(Instant::now);
        if let Some(rest) = SETTLE.checked_sub(since.elapsed()).filter(|rest| !rest.is_zero()) {
            return Ok(Next::After(rest));
        }
        companion::delete(&self.live, workload, removal.record.companion.as_deref()).await?;
        if !template::take_out(&self.live, workload, removal).await? {
            return Err(Failure::conflict("the workload changed meanwhile"));
        }
        *memory = Memory::default();
        self.announcer.removed(removal).await;
        self.desk.put_bare(self.key, None);
        Ok(Next::After(LOOK))
    }
}
