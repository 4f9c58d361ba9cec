//! What is printed, and what is held against bars.

use crate::audit::Requests;
use crate::objects::Shape;
use crate::program::Memory;
use std::io::Write as _;
use std::time::Duration;

/// Prints a line.
pub(crate) fn say(line: &str) {
    // Nobody reading is no reason to stop measuring.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Everything so far.
pub(crate) struct Report {
    missed: Vec<String>,
    /// Whether only what is counted is held against its bar: times are those of a quiet machine and an optimised program.
    counts_only: bool,
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}

fn megabytes(bytes: u64) -> f64 {
    float(bytes) / 1_048_576.0
}

impl Report {
    pub(crate) fn new(counts_only: bool) -> Self {
        Self { missed: Vec::new(), counts_only }
    }

    /// The first sync.
    pub(crate) fn sync(
        &mut self,
        (took, cpu): (Duration, Duration),
        memory: Memory,
        requests: &Requests,
        shape: Shape,
    ) {
        say(&format!(
            "first sync of {} objects and {} workloads in {} namespaces:",
            shape.objects, shape.workloads, shape.namespaces
        ));
        say(&format!("  it took {:.1} s", took.as_secs_f64()));
        self.timed("processor time", cpu.as_secs_f64(), "s", 60.0);
        self.held("resident memory", megabytes(memory.resident), "MB", 150.0);
        self.held("resident memory, the most", megabytes(memory.most), "MB", 150.0);
        let (all, writes) = (requests.all(), requests.writes());
        let workloads = u64::try_from(shape.workloads).unwrap_or(u64::MAX);
        say(&format!(
            "  {all} requests, {writes} writes; for each workload {:.1} and {:.1}",
            float(all) / float(workloads),
            float(writes) / float(workloads)
        ));
        say(&format!("  {}", requests.lines().join(", ")));
    }

    /// Nothing happens.
    pub(crate) fn rest(
        &mut self,
        time: Duration,
        cpu: Duration,
        memory: Memory,
        requests: &Requests,
    ) {
        say(&format!("at rest for {} s:", time.as_secs()));
        self.held("writes, the Lease left out", float(requests.writes()), "", 0.0);
        self.timed(
            "processor",
            cpu.as_secs_f64() * 1000.0 / time.as_secs_f64(),
            "millicores",
            10.0,
        );
        self.held("requests a second", float(requests.all()) / time.as_secs_f64(), "", 5.0);
        self.held("resident memory", megabytes(memory.resident), "MB", 150.0);
        say(&format!(
            "  of it for the Lease {} requests; {}",
            requests.leases(),
            requests.lines().join(", ")
        ));
    }

    /// The operator started anew where everything is as it should be.
    pub(crate) fn restart(
        &mut self,
        (took, cpu): (Duration, Duration),
        memory: Memory,
        requests: &Requests,
    ) {
        say("started anew where everything is settled:");
        say(&format!("  at rest after {:.1} s, {} requests", took.as_secs_f64(), requests.all()));
        self.held("writes, the Lease left out", float(requests.writes()), "", 0.0);
        self.timed("processor time", cpu.as_secs_f64(), "s", 60.0);
        self.held("resident memory", megabytes(memory.resident), "MB", 150.0);
        self.held("resident memory, the most", megabytes(memory.most), "MB", 150.0);
        say(&format!("  {}", requests.lines().join(", ")));
    }

    /// One thing changed, and each thing that follows from it may be written so often.
    pub(crate) fn change(&mut self, what: &str, took: Duration, most: u32, requests: &Requests) {
        say(&format!("{what}: done in {:.2} s", took.as_secs_f64()));
        let (thing, written) = requests.most_written();
        self.held("lists of what there is", float(requests.lists()), "", 0.0);
        self.held("writes of one thing", float(written), thing, most.into());
        say(&format!(
            "  {} requests, {} writes ({} of events), {} looks at the pods of one workload or Service: {}",
            requests.all(),
            requests.writes(),
            requests.events(),
            requests.looks(),
            requests.lines().join(", ")
        ));
    }

    /// How long others' injections take beside a namespace of silent pods, and without it.
    pub(crate) fn beside(&mut self, silent: usize, alone: &[Duration], beside: &[Duration]) {
        let worst = |all: &[Duration]| all.iter().max().copied().unwrap_or_default().as_secs_f64();
        let middle = |all: &[Duration]| {
            let mut all = all.to_vec();
            all.sort();
            all.get(all.len() / 2).copied().unwrap_or_default().as_secs_f64()
        };
        say(&format!(
            "a workload is injected and its Service turned, median and worst of {}:",
            alone.len()
        ));
        say(&format!("  alone {:.2} s, {:.2} s", middle(alone), worst(alone)));
        say(&format!(
            "  beside {silent} whose pods are silent {:.2} s, {:.2} s",
            middle(beside),
            worst(beside)
        ));
        self.timed("later by", worst(beside) - worst(alone), "s", 1.0);
    }

    /// Holds what depends on how fast the machine and the program are.
    fn timed(&mut self, name: &str, value: f64, unit: &str, bar: f64) {
        if self.counts_only {
            say(&format!("  {name:32} {value:>10.1} {unit}"));
        } else {
            self.held(name, value, unit, bar);
        }
    }

    fn held(&mut self, name: &str, value: f64, unit: &str, bar: f64) {
        let met = value <= bar;
        if !met {
            self.missed.push(name.to_owned());
        }
        let verdict = if met { "met" } else { "MISSED" };
        say(&format!("  {name:32} {value:>10.1} {unit:10} bar {bar} {verdict}"));
    }

    /// Says what was missed; whether nothing was.
    pub(crate) fn finish(&self) -> bool {
        if !self.missed.is_empty() {
            say(&format!("bars missed: {}", self.missed.join(", ")));
        }
        self.missed.is_empty()
    }
}
