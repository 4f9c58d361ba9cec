//! Counters and gauges by name, and the text that shows them together with the workers' shards.

use super::event::ALL;
use super::histogram::Snapshot;
use super::process;
use super::shard::{METHODS, Shard};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A number that only grows. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter(Arc<AtomicU64>);

impl Counter {
    /// One more; gives the count with it.
    pub(crate) fn increment(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The present count.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that is set. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Sets it, seconds and ratios included.
    pub(crate) fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// The present value.
    pub(crate) fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

#[derive(Debug)]
enum Member {
    Counter(Counter),
    Gauge(Gauge),
}

#[derive(Debug)]
struct Family {
    help: &'static str,
    members: BTreeMap<String, Member>,
}

/// All metrics of one process.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    shards: Mutex<Vec<Arc<Shard>>>,
    families: Mutex<BTreeMap<&'static str, Family>>,
}

impl Registry {
    /// An empty one.
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Counters for one more worker.
    pub(crate) fn shard(&self) -> Arc<Shard> {
        let shard = Arc::new(Shard::new());
        locked(&self.shards).push(Arc::clone(&shard));
        shard
    }

    /// The counter of this name and these labels; the same one for the same call. Names end in `_total`.
    pub(crate) fn counter(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
    ) -> Counter {
        let mut families = locked(&self.families);
        match member(&mut families, name, help, labels, || Member::Counter(Counter::default())) {
            Member::Counter(counter) => counter.clone(),
            Member::Gauge(_) => Counter::default(),
        }
    }

    /// The gauge of this name and these labels; the same one for the same call.
    pub(crate) fn gauge(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
    ) -> Gauge {
        let mut families = locked(&self.families);
        match member(&mut families, name, help, labels, || Member::Gauge(Gauge::default())) {
            Member::Gauge(gauge) => gauge.clone(),
            Member::Counter(_) => Gauge::default(),
        }
    }

    /// Everything, as Prometheus reads it.
    pub(crate) fn text(&self) -> String {
        let mut out = String::with_capacity(16 * 1024);
        let shards = locked(&self.shards);
        write_requests(&mut out, &shards);
        write_events(&mut out, &shards);
        drop(shards);
        write_families(&mut out, &locked(&self.families));
        process::write(&mut out);
        out
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn member<'a>(
    families: &'a mut BTreeMap<&'static str, Family>,
    name: &'static str,
    help: &'static str,
    labels: &[(&str, &str)],
    make: impl FnOnce() -> Member,
) -> &'a Member {
    let family = families.entry(name).or_insert_with(|| Family { help, members: BTreeMap::new() });
    family.members.entry(label_text(labels)).or_insert_with(make)
}

fn label_text(labels: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in labels {
        let comma = if text.is_empty() { "" } else { "," };
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = write!(text, "{comma}{name}=\"{value}\"");
    }
    text
}

pub(super) fn header(out: &mut String, name: &str, help: &str, kind: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn braced(labels: &str) -> String {
    if labels.is_empty() { String::new() } else { format!("{{{labels}}}") }
}

fn write_requests(out: &mut String, shards: &[Arc<Shard>]) {
    let mut statuses: BTreeMap<usize, u64> = BTreeMap::new();
    let mut durations = [Snapshot::default(); METHODS.len()];
    let mut in_flight = 0;
    for shard in shards {
        for (status, count) in shard.statuses().enumerate().filter(|(_, count)| *count > 0) {
            *statuses.entry(status).or_default() += count;
        }
        for (sum, part) in durations.iter_mut().zip(shard.durations()) {
            sum.add(&part);
        }
        in_flight += shard.in_flight();
    }
    header(out, "oauth2_proxy_requests_in_flight", "Requests being served.", "gauge");
    let _ = writeln!(out, "oauth2_proxy_requests_in_flight {in_flight}");
    header(out, "oauth2_proxy_requests_total", "Requests by status.", "counter");
    for (status, count) in statuses {
        let _ = writeln!(out, "oauth2_proxy_requests_total{{code=\"{status}\"}} {count}");
    }
    header(
        out,
        "oauth2_proxy_response_duration_seconds",
        "Time to the end of the response, by method.",
        "histogram",
    );
    for (method, sum) in METHODS.iter().zip(&durations).filter(|(_, sum)| !sum.is_empty()) {
        sum.write(out, "oauth2_proxy_response_duration_seconds", &format!("method=\"{method}\""));
    }
}

fn write_events(out: &mut String, shards: &[Arc<Shard>]) {
    let mut last = "";
    for event in ALL {
        let (name, labels, help) = event.describe();
        if name != last {
            header(out, name, help, "counter");
            last = name;
        }
        let sum: u64 = shards.iter().map(|shard| shard.counted(event)).sum();
        let _ = writeln!(out, "{name}{} {sum}", braced(labels));
    }
}

fn write_families(out: &mut String, families: &BTreeMap<&'static str, Family>) {
    for (name, family) in families {
        let kind = match family.members.values().next() {
            Some(Member::Counter(_)) => "counter",
            Some(Member::Gauge(_)) => "gauge",
            None => continue,
        };
        header(out, name, family.help, kind);
        for (labels, member) in &family.members {
            match member {
                Member::Counter(counter) => {
                    let _ = writeln!(out, "{name}{} {}", braced(labels), counter.get());
                }
                Member::Gauge(gauge) => {
                    let _ = writeln!(out, "{name}{} {}", braced(labels), gauge.get());
                }
            }
        }
    }
}
