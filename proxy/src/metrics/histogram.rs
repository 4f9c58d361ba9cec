//! A histogram of durations with the buckets of oauth2-proxy (Prometheus' defaults).

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds in microseconds and as text, in seconds.
const BOUNDS: [(u64, &str); 11] = [
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (10_000_000, "10"),
];

/// Counts of durations; the last bucket holds what is longer than every bound.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    counts: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Buckets {
    /// For one writing thread: a load and a store, no locked instruction.
    pub(super) fn observe_alone(&self, duration: Duration) {
        let (bucket, nanoseconds) = self.place(duration);
        if let Some(count) = bucket {
            super::shard::bump(count, 1);
        }
        super::shard::bump(&self.nanoseconds, nanoseconds);
    }

    fn place(&self, duration: Duration) -> (Option<&AtomicU64>, u64) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let index = BOUNDS
            .iter()
            .position(|(bound, _)| nanoseconds <= bound * 1_000)
            .unwrap_or(BOUNDS.len());
        (self.counts.get(index), nanoseconds)
    }

    /// A copy at this moment.
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            counts: std::array::from_fn(|i| {
                self.counts.get(i).map_or(0, |count| count.load(Ordering::Relaxed))
            }),
            nanoseconds: self.nanoseconds.load(Ordering::Relaxed),
        }
    }
}

/// Sums of one or more histograms.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Snapshot {
    counts: [u64; BOUNDS.len() + 1],
    nanoseconds: u64,
}

impl Snapshot {
    pub(super) fn add(&mut self, other: &Self) {
        for (sum, count) in self.counts.iter_mut().zip(other.counts) {
            *sum += count;
        }
        self.nanoseconds = self.nanoseconds.wrapping_add(other.nanoseconds);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }

    /// Writes the lines of one member of the family; `labels` without braces, maybe empty.
    pub(super) fn write(&self, out: &mut String, name: &str, labels: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut sum = 0;
        let bounds = BOUNDS.iter().map(|(_, text)| *text).chain(["+Inf"]);
        for (bound, count) in bounds.zip(self.counts) {
            sum += count;
            let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {sum}");
        }
        let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let seconds = Duration::from_nanos(self.nanoseconds).as_secs_f64();
        let _ = writeln!(out, "{name}_sum{braces} {seconds}");
        let _ = writeln!(out, "{name}_count{braces} {sum}");
    }
}
