//! What is printed, and what is held against bars (must) and goals (should).

use crate::process::Memory;
use crate::targets::Kind;
use std::io::Write;

/// The middle of some samples.
pub(crate) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// Prints a line.
pub(crate) fn say(line: &str) {
    // Nobody reading is no reason to stop measuring.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Results of one kind of work: CPU in microseconds per request.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) floor: f64,
    pub(crate) proxy: f64,
    /// To the floor: the middle of the rounds' ratios.
    pub(crate) ratio: f64,
    pub(crate) nginx: Option<f64>,
    pub(crate) bytes: u64,
    pub(crate) bar: Option<f64>,
    pub(crate) goal: f64,
}

impl Row {
    /// Whether the bar is missed.
    pub(crate) fn misses(&self) -> bool {
        self.bar.is_some_and(|bar| misses(self.ratio, bar))
    }
}

/// What could not be measured misses every bar.
fn misses(value: f64, bar: f64) -> bool {
    value.is_nan() || value > bar
}

/// Everything so far.
#[derive(Default)]
pub(crate) struct Report {
    missed: Vec<String>,
    headed: bool,
}

impl Report {
    /// Adds a work's row.
    pub(crate) fn work(&mut self, row: &Row) {
        if !std::mem::replace(&mut self.headed, true) {
            say(
                "CPU per request in microseconds, median of the rounds; MB/CPU-s: throughput per CPU-second",
            );
            say(&format!(
                "{:40} {:>10} {:>13} {:>10} {:>7}   bar, goal",
                "work", "bare hyper", "oauth2-proxy", "nginx", "ratio"
            ));
        }
        let nginx = row.nginx.map_or_else(|| "-".to_owned(), |nginx| format!("{nginx:.1}"));
        let verdict = self.held(row.name, row.ratio, row.bar, row.goal);
        say(&format!(
            "{:40} {:>10.1} {:>13.1} {nginx:>10} {:>7.2}   {verdict}",
            row.name, row.floor, row.proxy, row.ratio
        ));
        if row.bytes >= 64 << 10 {
            let rate = |micros: f64| float(row.bytes) / micros;
            let nginx =
                row.nginx.map_or_else(|| "-".to_owned(), |nginx| format!("{:.0}", rate(nginx)));
            let name = "  MB/CPU-s";
            say(&format!(
                "{name:40} {:>10.0} {:>13.0} {nginx:>10}",
                rate(row.floor),
                rate(row.proxy)
            ));
        }
    }

    /// Adds a program's bytes per idle connection.
    pub(crate) fn idle(&mut self, kind: Kind, bytes: u64) {
        let name = format!("idle connection, {}", kind.name());
        let verdict = match kind {
            Kind::Proxy => self.held(&name, float(bytes), Some(2048.0), 1536.0),
            Kind::Floor | Kind::Nginx => String::new(),
        };
        say(&format!("{name:38} {bytes:>10} B   {verdict}"));
    }

    /// Adds the proxy's start.
    pub(crate) fn start(&mut self, least: f64, middle: f64) {
        let verdict = self.held("exec to first answer", least, None, 4.0);
        say(&format!(
            "{:38} {least:>10.1} ms, median {middle:.1} ms   {verdict}",
            "exec to first answer, least"
        ));
    }

    /// Adds a program's memory and size.
    pub(crate) fn rest(&mut self, kind: Kind, memory: &Memory, size: u64) {
        let megabytes = |bytes: u64| float(bytes) / 1_048_576.0;
        let Memory { resident, proportional, anonymous } = memory;
        let verdicts = match kind {
            Kind::Proxy => {
                let own = self.held("anonymous", megabytes(*anonymous), Some(0.8), 0.8);
                let size = self.held("binary", megabytes(size), Some(10.3), 10.0);
                format!("anonymous: {own}; on disk: {size}")
            }
            Kind::Floor | Kind::Nginx => String::new(),
        };
        let name = format!("at rest, {}", kind.name());
        say(&format!(
            "{name:38} {:>10.2} MB anonymous, {:.1} MB proportional, {:.1} MB resident, {:.1} MB on disk   {verdicts}",
            megabytes(*anonymous),
            megabytes(*proportional),
            megabytes(*resident),
            megabytes(size)
        ));
    }

    fn held(&mut self, name: &str, value: f64, bar: Option<f64>, goal: f64) -> String {
        let met = |limit: f64| if value <= limit { "met" } else { "MISSED" };
        if bar.is_some_and(|bar| misses(value, bar)) {
            self.missed.push(name.to_owned());
        }
        match bar {
            Some(bar) if bar.total_cmp(&goal).is_eq() => format!("bar {bar} {}", met(bar)),
            Some(bar) => format!("bar {bar} {}, goal {goal} {}", met(bar), met(goal)),
            None => format!("goal {goal} {}", met(goal)),
        }
    }

    /// Whether all bars were met.
    pub(crate) fn finish(&self) -> bool {
        if !self.missed.is_empty() {
            say(&format!("bars missed: {}", self.missed.join(", ")));
        }
        self.missed.is_empty()
    }
}
