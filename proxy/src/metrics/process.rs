//! What every Prometheus client tells of its process, read from `/proc/self` at each scrape. The runtime metrics of the
//! oauth2-proxy's language have no meaning here and do not exist.

use super::registry::header;
use std::fmt::Write;
use std::fs;

/// Kernels of all supported machines count processor time in hundredths of a second towards user space (proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE_BYTES: u64 = 4096;

/// Appends the `process_*` families; a value that can not be read is left out.
pub(super) fn write(out: &mut String) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is the program's name in parentheses and may hold anything; count from the last one.
    let fields: Vec<&str> =
        stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace().collect();
    let number =
        |index: usize| fields.get(index).and_then(|text| text.parse::<u32>().ok()).map(f64::from);
    if let (Some(user), Some(system)) = (number(11), number(12)) {
        let seconds = (user + system) / TICKS_PER_SECOND;
        gauge(out, "process_cpu_seconds_total", "Processor time used.", "counter", seconds);
    }
    if let (Some(started), Some(booted)) = (number(19), boot_time()) {
        let seconds = booted + started / TICKS_PER_SECOND;
        gauge(
            out,
            "process_start_time_seconds",
            "Start of the process, as Unix time.",
            "gauge",
            seconds,
        );
    }
    let bytes = |index: usize, unit: u64| {
        let pages = fs::read_to_string("/proc/self/statm").ok()?;
        pages.split_ascii_whitespace().nth(index)?.parse::<u64>().ok().map(|pages| pages * unit)
    };
    if let Some(virtual_bytes) = bytes(0, PAGE_BYTES) {
        gauge(out, "process_virtual_memory_bytes", "Virtual memory.", "gauge", virtual_bytes);
    }
    if let Some(resident) = bytes(1, PAGE_BYTES) {
        gauge(out, "process_resident_memory_bytes", "Resident memory.", "gauge", resident);
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        gauge(out, "process_open_fds", "Open files.", "gauge", entries.count());
    }
    if let Some(limit) = open_files_limit() {
        gauge(out, "process_max_fds", "Files that may be open at a time.", "gauge", limit);
    }
}

fn gauge(out: &mut String, name: &str, help: &str, kind: &str, value: impl std::fmt::Display) {
    header(out, name, help, kind);
    let _ = writeln!(out, "{name} {value}");
}

fn boot_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.parse().ok()
}

fn open_files_limit() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?
        .split_ascii_whitespace()
        .next()?
        .parse()
        .ok()
}
