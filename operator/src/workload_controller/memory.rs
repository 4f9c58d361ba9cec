//! What is remembered between the turns of one workload, and between the looks at its pods. Losing it delays, and never
//! misleads.

use super::failing::Failing;
use super::flapping::Repairs;
use super::template::Rewritten;
use crate::fleet::Said;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// Looks at a workload in which something is under way: quickly at first, then with patience.
const RESTLESS: [u64; 10] = [300, 300, 500, 500, 1000, 1000, 2000, 2000, 5000, 10_000];
/// A pod that falls silent is believed what it said last for so many questions.
const BENEFIT: u8 = 3;

/// How often in a row something was under way.
#[derive(Default)]
pub(super) struct Ladder(usize);

impl Ladder {
    /// When to look again at what is under way.
    pub(super) fn soon(&mut self) -> Duration {
        let delay = RESTLESS.get(self.0).or(RESTLESS.last()).copied().unwrap_or(10_000);
        self.0 = (self.0 + 1).min(RESTLESS.len());
        Duration::from_millis(delay)
    }

    /// Whether a moment's wait has not turned into a state yet.
    pub(super) fn is_patient(&self) -> bool {
        self.0 < RESTLESS.len()
    }

    /// Nothing is under way.
    pub(super) fn calm(&mut self) {
        self.0 = 0;
    }
}

/// Memory of the turns of one workload.
#[derive(Default)]
pub(super) struct Memory {
    /// Turns that did not end well.
    pub(super) failing: Failing,
    /// Repairs of the template.
    pub(super) repairs: Repairs,
    /// How the workload came back otherwise than it was applied.
    pub(super) rewritten: Option<Rewritten>,
    /// Since when no endpoint leads to the sidecar that is to be removed.
    pub(super) left_since: Option<Instant>,
    /// Turns in which a Service still led to the sidecar that is to be removed.
    pub(super) leaving: Ladder,
    /// Turns in which the object had not been got to yet.
    pub(super) ladder: Ladder,
}

/// Memory of the looks at the pods of one workload.
#[derive(Default)]
pub(super) struct Observed {
    /// Looks that failed.
    pub(super) failing: Failing,
    /// Looks in a row at which something was under way.
    pub(super) ladder: Ladder,
    /// What each pod said last, by its uid, and how often it has been silent since.
    said: HashMap<String, (Said, u8)>,
}

impl Observed {
    /// Bridges a moment's silence of a pod.
    pub(super) fn bridged(
        &mut self,
        pod: &str,
        said: Result<Said, String>,
    ) -> Result<Said, String> {
        match said {
            Ok(said) => {
                self.said.insert(pod.to_owned(), (said.clone(), 0));
                Ok(said)
            }
            Err(error) => match self.said.get_mut(pod) {
                Some((last, silent)) if *silent < BENEFIT => {
                    *silent += 1;
                    Ok(last.clone())
                }
                _ => Err(error),
            },
        }
    }

    /// Forgets pods that are gone.
    pub(super) fn keep_pods(&mut self, names: &[String]) {
        self.said.retain(|pod, _| names.contains(pod));
    }
}
